//! Files → documents, for `millrace index PATH…`.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use schemas::{Document, Timestamp};
use thiserror::Error;

use crate::markdown::first_heading;

/// What a folder is searched for. A file that is named itself is taken as text whatever it is called.
const MARKDOWN: [&str; 2] = ["md", "markdown"];
const TEXT: [&str; 2] = ["txt", "text"];

#[derive(Debug, Error)]
pub enum FilesError {
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} is not UTF-8 text: convert it first")]
    NotText { path: PathBuf },
    #[error("no *.md, *.markdown, *.txt or *.text file under {path}")]
    Nothing { path: PathBuf },
}

/// One document for each file, and for each Markdown and text file below each folder (hidden ones and links to folders
/// are passed over), sorted by path. A document's id and source are its path as it was given, so the same command run
/// again speaks of the same documents; its title is its first heading, else its file name.
///
/// # Errors
/// The first file that cannot be read, and a folder without any.
pub fn documents_from(paths: &[PathBuf]) -> Result<Vec<Document>, FilesError> {
    let mut files = Vec::new();
    for path in paths {
        let before = files.len();
        if metadata(path)?.is_dir() {
            collect(path, &mut files)?;
            if files.len() == before {
                return Err(FilesError::Nothing { path: path.clone() });
            }
        } else {
            files.push(path.clone());
        }
    }
    files.sort();
    files.dedup();
    files.iter().map(|path| document(path)).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), FilesError> {
    let failed = |source| FilesError::Read {
        path: folder.to_owned(),
        source,
    };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            collect(&path, files)?;
        } else if (has_extension(&path, &MARKDOWN) || has_extension(&path, &TEXT)) && metadata(&path)?.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

fn document(path: &Path) -> Result<Document, FilesError> {
    let failed = |source| FilesError::Read {
        path: path.to_owned(),
        source,
    };
    let bytes = fs::read(path).map_err(failed)?;
    let content = String::from_utf8(bytes).map_err(|_| FilesError::NotText { path: path.to_owned() })?;
    let modified = metadata(path)?.modified().map_err(failed)?;
    let id = path
        .strip_prefix(".")
        .unwrap_or(path)
        .to_string_lossy()
        .replace('\\', "/");
    let markdown = has_extension(path, &MARKDOWN);
    let heading = if markdown { first_heading(&content) } else { None };
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    Ok(Document {
        title: heading.map_or_else(|| name.into_owned(), str::to_owned),
        content_type: if markdown { "text/markdown" } else { "text/plain" }.to_owned(),
        source: id.clone(),
        document_id: id,
        content,
        updated_at: timestamp(modified),
        ..Document::default()
    })
}

fn metadata(path: &Path) -> Result<fs::Metadata, FilesError> {
    fs::metadata(path).map_err(|source| FilesError::Read {
        path: path.to_owned(),
        source,
    })
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension()
        .is_some_and(|extension| extensions.iter().any(|known| extension.eq_ignore_ascii_case(known)))
}

fn timestamp(at: SystemTime) -> Timestamp {
    let millis = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gives_its_texts_and_a_file_itself() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &[u8]| fs::write(folder.path().join(name), content).unwrap();
        fs::create_dir_all(folder.path().join("deep/.git")).unwrap();
        write("a.md", b"```\n# no\n```\n# Alpha #\ntext");
        write("deep/b.TXT", b"# plain");
        write("deep/.git/c.md", b"# hidden");
        write("d.rs", b"// code");
        let documents = documents_from(&[folder.path().to_owned(), folder.path().join("d.rs")]).unwrap();
        let seen: Vec<_> = documents
            .iter()
            .map(|d| (d.title.as_str(), d.content_type.as_str(), d.document_id == d.source))
            .collect();
        assert_eq!(
            seen,
            [
                ("Alpha", "text/markdown", true),
                ("d", "text/plain", true),
                ("b", "text/plain", true)
            ]
        );
        assert!(documents[2].document_id.ends_with("/deep/b.TXT"));
    }

    #[test]
    fn what_cannot_be_indexed_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let of = |path: PathBuf| documents_from(&[path]).unwrap_err().to_string();
        assert!(of(folder.path().to_owned()).starts_with("no *.md"));
        assert!(of(folder.path().join("none.md")).starts_with("cannot read"));
        fs::write(folder.path().join("image.md"), [0xff, 0xd8]).unwrap();
        assert!(of(folder.path().to_owned()).contains("not UTF-8"));
    }
}

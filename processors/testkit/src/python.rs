//! Virtual environments for third-party Python clients: made once under the ignored folder, and again when their
//! requirements change.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

use crate::parts::folder;

#[derive(Debug, thiserror::Error)]
pub enum PythonError {
    #[error("cannot prepare {path}")]
    Folder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot start {program}; Debian: apt-get install python3-venv")]
    Start {
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("`{command}` ended with {status}; its output is above")]
    Failed { command: String, status: ExitStatus },
}

/// The interpreter of an environment that has exactly what `requirements` (a file for pip) lists.
///
/// # Errors
/// When Python or its `venv` module is missing, or a package cannot be had.
pub fn environment(requirements: &Path) -> Result<PathBuf, PythonError> {
    let wanted = fs::read(requirements).map_err(|source| at(requirements, source))?;
    let folder = folder::root().join("python").join(name(requirements));
    fs::create_dir_all(&folder).map_err(|source| at(&folder, source))?;
    let lock = File::create(folder.join("lock")).map_err(|source| at(&folder, source))?;
    lock.lock().map_err(|source| at(&folder, source))?;

    let python = folder.join("env/bin/python");
    let installed = folder.join("installed.txt");
    if fs::read(&installed).ok().as_deref() != Some(&wanted) {
        run(Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(folder.join("env")))?;
        run(Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--requirement"])
            .arg(requirements))?;
        fs::write(&installed, &wanted).map_err(|source| at(&installed, source))?;
    }
    Ok(python)
}

/// `…/stranger/requirements.txt` → `stranger-requirements`
fn name(requirements: &Path) -> String {
    let text = |part: Option<&OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    format!(
        "{}-{}",
        text(requirements.parent().and_then(Path::file_name)),
        text(requirements.file_stem())
    )
}

fn run(command: &mut Command) -> Result<(), PythonError> {
    let status = command.status().map_err(|source| PythonError::Start {
        program: command.get_program().to_string_lossy().into_owned(),
        source,
    })?;
    if status.success() {
        Ok(())
    } else {
        Err(PythonError::Failed {
            command: format!("{command:?}"),
            status,
        })
    }
}

fn at(path: &Path, source: io::Error) -> PythonError {
    PythonError::Folder {
        path: path.to_owned(),
        source,
    }
}

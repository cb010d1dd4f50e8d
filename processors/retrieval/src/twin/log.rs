//! The file behind an index: an append-only log of what was acknowledged.
//!
//! A write is acknowledged when its frame is on the disk, so a crash at any point leaves at most one torn frame at the end,
//! which was not acknowledged and is cut off. Overwritten and deleted vectors are dropped when the file is opened: it is
//! then written anew beside the old one and renamed over it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use thiserror::Error;

use super::{
    definition::Definition,
    entry::{Entry, FORMAT, Header},
    frame::{Frames, frame},
};

#[derive(Debug, Error)]
pub enum LogError {
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write {path}")]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} is damaged at byte {at}: restore it from a copy, or delete it and index the documents again")]
    Damaged { path: PathBuf, at: u64 },
    #[error("{path} has format {found}, this program reads {FORMAT}")]
    Format { path: PathBuf, found: u32 },
    #[error("an entry cannot be written as JSON")]
    Encode(#[source] serde_json::Error),
}

pub(super) struct Log {
    path: PathBuf,
    file: File,
    /// Where the last whole frame ends.
    end: u64,
}

impl Log {
    /// Writes a new log with these entries, replacing a file of the same name in one step.
    pub(super) fn create(
        path: &Path,
        definition: &Definition,
        lsn: u64,
        entries: impl Iterator<Item = Entry>,
    ) -> Result<Self, LogError> {
        let beside = path.with_extension("new");
        let failed = |source| LogError::Write {
            path: beside.clone(),
            source,
        };
        let mut writer = BufWriter::new(File::create(&beside).map_err(failed)?);
        let header = Header::new(definition.clone(), lsn);
        let mut end = 0;
        let payloads = std::iter::once(header.payload()).chain(entries.map(|entry| entry.payload()));
        for payload in payloads {
            let frame = frame(&payload.map_err(LogError::Encode)?);
            writer.write_all(&frame).map_err(failed)?;
            end += frame.len() as u64;
        }
        let file = writer.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(failed)?;
        fs::rename(&beside, path).map_err(failed)?;
        sync_folder_of(path)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            end,
        })
    }

    /// Opens a log and folds its entries into what `start` makes of the header.
    pub(super) fn open<T>(
        path: &Path,
        start: impl FnOnce(Header) -> T,
        mut apply: impl FnMut(&mut T, Entry),
    ) -> Result<(Self, T), LogError> {
        let failed = |source| LogError::Read {
            path: path.to_owned(),
            source,
        };
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let mut frames = Frames::new(path, &file, length);
        let damaged = |at| LogError::Damaged {
            path: path.to_owned(),
            at,
        };
        let first = frames.next()?.ok_or_else(|| damaged(0))?;
        let header = Header::from_payload(&first).ok_or_else(|| damaged(0))?;
        if header.format != FORMAT {
            return Err(LogError::Format {
                path: path.to_owned(),
                found: header.format,
            });
        }
        let dimension = header.definition.dimension as usize;
        let mut folded = start(header);
        loop {
            let at = frames.at;
            let Some(payload) = frames.next()? else { break };
            let entry = Entry::from_payload(&payload, dimension).ok_or_else(|| damaged(at))?;
            apply(&mut folded, entry);
        }
        let end = frames.at;
        if end < length {
            tracing::warn!(path = %path.display(), bytes = length - end, "an unacknowledged write at the end was cut off");
            file.set_len(end).map_err(failed)?;
        }
        let log = Self {
            path: path.to_owned(),
            file,
            end,
        };
        Ok((log, folded))
    }

    /// Returns when the entry is on the disk.
    pub(super) fn append(&mut self, entry: &Entry) -> Result<(), LogError> {
        let frame = frame(&entry.payload().map_err(LogError::Encode)?);
        let written = self
            .file
            .seek(SeekFrom::Start(self.end))
            .and_then(|_| self.file.write_all(&frame))
            .and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => {
                self.end += frame.len() as u64;
                Ok(())
            }
            Err(source) => {
                // What was written of it would be overwritten by the next frame, but a shorter one would leave a rest.
                if let Err(error) = self.file.set_len(self.end) {
                    tracing::warn!(path = %self.path.display(), %error, "half a write could not be taken back");
                }
                Err(LogError::Write {
                    path: self.path.clone(),
                    source,
                })
            }
        }
    }
}

/// A rename is on the disk when its folder is.
pub(super) fn sync_folder_of(path: &Path) -> Result<(), LogError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| LogError::Write {
            path: folder.to_owned(),
            source,
        })
}

//! The file behind an index: an append-only log of what was acknowledged.
//!
//! A frame is `length: u32 LE, crc32 of the payload: u32 LE, payload`; a payload is `json length: u32 LE, JSON, f32 LE...`,
//! where the vectors' values follow the JSON in the order of the vectors. The first frame is the header. A write is
//! acknowledged when its frame is on the disk, so a crash at any point leaves at most one torn frame at the end, which was
//! not acknowledged and is cut off. Overwritten and deleted vectors are dropped when the file is opened: it is then
//! written anew beside the old one and renamed over it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use crc::{CRC_32_ISCSI, Crc};
use serde::{Deserialize, Serialize, Serializer, de::DeserializeOwned};
use thiserror::Error;

use super::definition::Definition;
use crate::{Metadata, Vector};

const CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
const FORMAT: u32 = 1;
/// Above every request's size: a longer frame is not one of ours.
const LONGEST_FRAME: u32 = 64 << 20;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Header {
    format: u32,
    pub(super) definition: Definition,
    /// The log sequence number before the first entry. Each entry adds one.
    pub(super) lsn: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(super) enum Entry {
    Upsert {
        namespace: String,
        #[serde(serialize_with = "without_values")]
        vectors: Vec<Vector>,
    },
    Delete {
        namespace: String,
        ids: Vec<String>,
    },
    Clear {
        namespace: String,
    },
}

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
        let header = Header {
            format: FORMAT,
            definition: definition.clone(),
            lsn,
        };
        let mut end = 0;
        let frames = std::iter::once(frame(&header, &[])).chain(entries.map(|entry| entry.frame()));
        for frame in frames {
            let frame = frame?;
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
        let mut frames = Frames {
            path,
            reader: BufReader::new(&file),
            at: 0,
            length,
        };
        let damaged = |at| LogError::Damaged {
            path: path.to_owned(),
            at,
        };
        let first = frames.next()?.ok_or_else(|| damaged(0))?;
        let (header, _): (Header, _) = split(&first).ok_or_else(|| damaged(0))?;
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
        let frame = entry.frame()?;
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

impl Entry {
    /// How many vectors it writes or deletes.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Upsert { vectors, .. } => vectors.len(),
            Self::Delete { ids, .. } => ids.len(),
            Self::Clear { .. } => 1,
        }
    }

    fn frame(&self) -> Result<Vec<u8>, LogError> {
        let vectors = match self {
            Self::Upsert { vectors, .. } => vectors.as_slice(),
            Self::Delete { .. } | Self::Clear { .. } => &[],
        };
        frame(self, vectors)
    }

    fn from_payload(payload: &[u8], dimension: usize) -> Option<Self> {
        let (mut entry, values): (Self, _) = split(payload)?;
        if let Self::Upsert { vectors, .. } = &mut entry {
            let mut values = values.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four));
            for vector in vectors {
                vector.values.extend(values.by_ref().take(dimension));
                if vector.values.len() != dimension {
                    return None;
                }
            }
        }
        Some(entry)
    }
}

fn without_values<S: Serializer>(vectors: &[Vector], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Bare<'a> {
        id: &'a str,
        #[serde(skip_serializing_if = "Metadata::is_empty")]
        metadata: &'a Metadata,
    }
    serializer.collect_seq(vectors.iter().map(|Vector { id, metadata, .. }| Bare { id, metadata }))
}

struct Frames<'a> {
    path: &'a Path,
    reader: BufReader<&'a File>,
    /// Where the next frame begins.
    at: u64,
    length: u64,
}

impl Frames<'_> {
    /// The payload of the next frame; `None` at the end and at a torn frame, which is one that reaches the end of the file
    /// without being whole.
    fn next(&mut self) -> Result<Option<Vec<u8>>, LogError> {
        let left = self.length - self.at;
        if left < 8 {
            return Ok(None);
        }
        let [length, checksum] = [self.read_u32()?, self.read_u32()?];
        if u64::from(length) > left - 8 {
            return Ok(None);
        }
        if length > LONGEST_FRAME {
            return Err(self.damaged());
        }
        let mut payload = vec![0; length as usize];
        self.reader
            .read_exact(&mut payload)
            .map_err(|source| self.failed(source))?;
        if CHECKSUM.checksum(&payload) != checksum {
            if u64::from(length) == left - 8 {
                return Ok(None);
            }
            return Err(self.damaged());
        }
        self.at += 8 + u64::from(length);
        Ok(Some(payload))
    }

    fn read_u32(&mut self) -> Result<u32, LogError> {
        let mut bytes = [0; 4];
        self.reader
            .read_exact(&mut bytes)
            .map_err(|source| self.failed(source))?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn failed(&self, source: io::Error) -> LogError {
        LogError::Read {
            path: self.path.to_owned(),
            source,
        }
    }

    fn damaged(&self) -> LogError {
        LogError::Damaged {
            path: self.path.to_owned(),
            at: self.at,
        }
    }
}

fn frame(json: &impl Serialize, vectors: &[Vector]) -> Result<Vec<u8>, LogError> {
    let json = serde_json::to_vec(json).map_err(LogError::Encode)?;
    let values = vectors.iter().flat_map(|vector| &vector.values);
    let mut payload = Vec::new();
    payload.extend_from_slice(&(json.len() as u32).to_le_bytes());
    payload.extend_from_slice(&json);
    for value in values {
        payload.extend_from_slice(&value.to_le_bytes());
    }
    let mut frame = Vec::with_capacity(8 + payload.len());
    frame.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    frame.extend_from_slice(&CHECKSUM.checksum(&payload).to_le_bytes());
    frame.extend_from_slice(&payload);
    Ok(frame)
}

fn split<T: DeserializeOwned>(payload: &[u8]) -> Option<(T, &[u8])> {
    let (length, rest) = payload.split_first_chunk::<4>()?;
    let (json, values) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some((serde_json::from_slice(json).ok()?, values))
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

//! Reading the history log that drivers and workers write (`topics::History`): what a run claims to have done.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::{Deserialize, de::DeserializeOwned};

/// One line: who did what, and when.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Line {
    /// Microseconds since 1970, by the clock of the writer.
    pub at: i64,
    pub pid: u32,
    #[serde(flatten)]
    pub event: Event,
}

/// What `topics::history::Event` says, owned. `src` is `topic/partition/offset`, `map` the base64 of the commit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    Produced {
        request_id: String,
        topic: String,
        key: Option<String>,
    },
    Acknowledged {
        request_id: String,
        topic: String,
        partition: i32,
        offset: i64,
    },
    Claimed {
        topic: String,
        partition: i32,
        watermark: i64,
        seq: u64,
        map: String,
        writer: String,
    },
    Dispatched {
        src: String,
        writer: String,
    },
    Called {
        request_id: String,
        attempt_id: String,
        step: String,
        attempt: i32,
    },
    Committed {
        topic: String,
        partition: i32,
        watermark: i64,
        seq: u64,
        map: String,
        writer: String,
    },
    Aborted {
        writer: String,
        reason: String,
    },
    Released {
        topic: String,
        partition: i32,
        watermark: i64,
        seq: u64,
        writer: String,
    },
}

#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error("cannot read the history {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}:{line} is no event", path.display())]
    Line {
        path: PathBuf,
        line: usize,
        source: serde_json::Error,
    },
}

/// The whole file. What takes more memory than that is read by [`lines`].
pub fn history(path: &Path) -> Result<Vec<Line>, HistoryError> {
    lines(path)?.collect()
}

/// In the order of the file, which is the order of the writes. A last line without its end is left out: its writer was
/// killed in the middle of it.
pub fn lines<T: DeserializeOwned>(path: &Path) -> Result<impl Iterator<Item = Result<T, HistoryError>>, HistoryError> {
    let path = path.to_owned();
    let read = |path: &Path, source| HistoryError::Read {
        path: path.to_owned(),
        source,
    };
    let mut file = BufReader::new(File::open(&path).map_err(|source| read(&path, source))?);
    let (mut text, mut line) = (String::new(), 0);
    Ok(std::iter::from_fn(move || {
        text.clear();
        line += 1;
        match file.read_line(&mut text) {
            Err(source) => Some(Err(read(&path, source))),
            Ok(_) if !text.ends_with('\n') => None,
            Ok(_) => Some(serde_json::from_str(&text).map_err(|source| HistoryError::Line {
                path: path.clone(),
                line,
                source,
            })),
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, io::Write};
    use topics::history::Event as Written;

    #[test]
    fn what_is_written_is_read_but_for_the_torn_last_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        let writer = topics::History::open(Some(&path)).unwrap();
        let (topic, map, name) = ("requests", "", "w-1");
        writer.note(|| Written::Produced {
            request_id: "r",
            topic,
            key: None,
        });
        writer.note(|| Written::Acknowledged {
            request_id: "r",
            topic,
            partition: 0,
            offset: 7,
        });
        writer.note(|| Written::Claimed {
            topic,
            partition: 0,
            watermark: 0,
            seq: 1,
            map,
            writer: name,
        });
        writer.note(|| Written::Dispatched {
            src: "requests/0/7",
            writer: name,
        });
        writer.note(|| Written::Called {
            request_id: "r",
            attempt_id: "a",
            step: "answer",
            attempt: 1,
        });
        writer.note(|| Written::Committed {
            topic,
            partition: 0,
            watermark: 8,
            seq: 2,
            map,
            writer: name,
        });
        writer.note(|| Written::Aborted {
            writer: name,
            reason: "fenced",
        });
        writer.note(|| Written::Released {
            topic,
            partition: 0,
            watermark: 8,
            seq: 3,
            writer: name,
        });
        fs::File::options()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(br#"{"at":1,"pid""#)
            .unwrap();

        let read = history(&path).unwrap();
        assert_eq!(read.len(), 8);
        assert!(read.iter().all(|line| line.pid == std::process::id()));
        assert!(matches!(
            &read[5].event,
            Event::Committed {
                watermark: 8,
                seq: 2,
                ..
            }
        ));
    }
}

//! The history log: JSON lines of what drivers and workers did, by which fault runs are judged.
//!
//! One `write` on a file opened with O_APPEND per line: lines of several processes do not mix, and what was written
//! survives a `kill -9` of its writer. Switched off it is a `None`: the closure that makes the event never runs.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Serialize;

/// A handle to the log; clones write to the same file. `History::default()` is off.
#[derive(Debug, Clone, Default)]
pub struct History(Option<Arc<File>>);

#[derive(Debug, thiserror::Error)]
#[error("cannot open the history log {path}; give a path that can be created and appended to, or none")]
pub struct HistoryError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// What happened. `src` is `topic/partition/offset` of the request; `map` is the base64 that travels in the commit.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event<'a> {
    /// A driver handed a request to its producer.
    Produced {
        request_id: &'a str,
        topic: &'a str,
        key: Option<&'a str>,
    },
    /// The broker has it.
    Acknowledged {
        request_id: &'a str,
        topic: &'a str,
        partition: i32,
        offset: i64,
    },
    /// A worker owns the partition: the state that it found, now with its own name on it.
    Claimed {
        topic: &'a str,
        partition: i32,
        watermark: i64,
        seq: u64,
        map: &'a str,
        writer: &'a str,
    },
    Dispatched {
        src: &'a str,
        writer: &'a str,
    },
    /// A paid call left for its provider.
    Called {
        request_id: &'a str,
        attempt_id: &'a str,
        step: &'a str,
        attempt: i32,
    },
    /// A transaction that carried this partition's state is committed.
    Committed {
        topic: &'a str,
        partition: i32,
        watermark: i64,
        seq: u64,
        map: &'a str,
        writer: &'a str,
    },
    /// A transaction ended without a commit; its results stay in the ledger.
    Aborted {
        writer: &'a str,
        reason: &'a str,
    },
    /// The partition was given back: its committed state names no writer.
    Released {
        topic: &'a str,
        partition: i32,
        watermark: i64,
        seq: u64,
        writer: &'a str,
    },
}

#[derive(Serialize)]
struct Line<'a> {
    /// Microseconds since the epoch, by the writer's clock.
    at: u128,
    pid: u32,
    #[serde(flatten)]
    event: &'a Event<'a>,
}

impl History {
    /// Appends to `path`, which is created if it is not there. `None` is off.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(path: Option<&Path>) -> Result<Self, HistoryError> {
        let Some(path) = path else { return Ok(Self::default()) };
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(|source| HistoryError {
                path: path.to_owned(),
                source,
            })?;
        Ok(Self(Some(Arc::new(file))))
    }

    /// Writes the event, if the log is on. A line that cannot be written is reported and the work goes on: the log
    /// judges the work, it is no part of it.
    pub fn note<'a>(&self, event: impl FnOnce() -> Event<'a>) {
        let Some(file) = &self.0 else { return };
        if let Err(error) = append(file, &event()) {
            tracing::error!(%error, "history line lost");
        }
    }
}

fn append(mut file: &File, event: &Event<'_>) -> io::Result<()> {
    let at = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros());
    let mut line = serde_json::to_vec(&Line {
        at,
        pid: std::process::id(),
        event,
    })?;
    line.push(b'\n');
    file.write_all(&line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_is_one_line_and_a_reopened_log_goes_on() {
        let path = std::env::temp_dir().join(format!("history-{}", uuid::Uuid::new_v4()));
        for offset in 0..2 {
            let history = History::open(Some(&path)).unwrap();
            history.note(|| Event::Acknowledged {
                request_id: "r",
                topic: "requests",
                partition: 3,
                offset,
            });
        }

        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1]["event"], "acknowledged");
        assert_eq!(lines[1]["offset"], 1);
        assert_eq!(lines[1]["pid"], std::process::id());
    }

    #[test]
    fn switched_off_it_does_not_even_make_the_event() {
        History::open(None).unwrap().note(|| unreachable!("the log is off"));
    }
}

//! What was broken: a line in `faults.jsonl` each, and a count.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Write,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::Context;
use testkit::chaos::{Crash, Fault};

use crate::world::now;

pub struct FaultLog(Mutex<Log>);

struct Log {
    file: File,
    counts: Counts,
}

#[derive(Debug, Clone, Default)]
pub struct Counts {
    pub by_kind: BTreeMap<String, u64>,
    /// Workers that died at a crash point.
    pub crash_points: BTreeMap<String, u64>,
    pub in_flight_at_kills: u64,
    /// Processes that ended although nobody ended them.
    pub ended_by_themselves: Vec<String>,
}

impl FaultLog {
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
        let counts = Counts::default();
        Ok(Self(Mutex::new(Log { file, counts })))
    }

    /// Began at `at` (microseconds since 1970).
    pub fn note(&self, at: i64, kind: &str, target: &str, detail: impl Into<String>) -> anyhow::Result<()> {
        self.write(at, kind, target, detail.into(), None)
    }

    /// A worker died just now.
    pub fn death(&self, kind: &str, target: &str, detail: &str, crash: Crash) -> anyhow::Result<()> {
        self.write(now(), kind, target, detail.to_owned(), Some(crash))
    }

    /// It was not asked to.
    pub fn ended_by_itself(&self, what: &str, how: &str) -> anyhow::Result<()> {
        tracing::warn!(what, how, "ended by itself");
        self.log().counts.ended_by_themselves.push(format!("{what}: {how}"));
        self.note(now(), "ended_by_itself", what, how)
    }

    pub fn counts(&self) -> Counts {
        self.log().counts.clone()
    }

    fn write(&self, at: i64, kind: &str, target: &str, detail: String, crash: Option<Crash>) -> anyhow::Result<()> {
        tracing::info!(kind, target, detail, ?crash, "fault");
        let mut log = self.log();
        *log.counts.by_kind.entry(kind.to_owned()).or_default() += 1;
        if let Some(crash) = &crash {
            log.counts.in_flight_at_kills += crash.in_flight;
            if let Some(point) = &crash.point {
                *log.counts.crash_points.entry(point.clone()).or_default() += 1;
            }
        }
        let fault = Fault {
            at,
            kind: kind.to_owned(),
            target: target.to_owned(),
            detail,
            crash,
        };
        let line = serde_json::to_string(&fault)? + "\n";
        log.file.write_all(line.as_bytes()).context("cannot write a fault")
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

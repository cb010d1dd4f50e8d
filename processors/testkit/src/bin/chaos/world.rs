//! What everybody in the run shares.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use testkit::{
    ScriptedModel,
    chaos::{Plan, RunFolder, schedule::WORKERS},
};

use crate::{board::Board, faults::FaultLog, maps::Maps};

pub struct World {
    pub folder: RunFolder,
    pub plan: Plan,
    /// The brokers as workers and producers reach them: through the proxies.
    pub proxied_bootstrap: String,
    /// The binary with crash points.
    pub program: PathBuf,
    /// Of another version.
    pub predecessor: Option<PathBuf>,
    /// `check-history`, as it was when the run began.
    pub judge: PathBuf,
    /// Of every process of Millrace.
    pub environment: Vec<(String, String)>,
    pub api_address: String,
    pub model: ScriptedModel,
    /// Of a slow answer.
    pub tail: Duration,
    pub log: FaultLog,
    pub board: Arc<Board>,
    pub maps: Maps,
    pub http: reqwest::Client,
    pub starts: Starts,
}

impl World {
    /// What a process of this name is started from: of the workers, the last is of another version, if there is one.
    pub fn program_of(&self, base: &str) -> &Path {
        let predecessor = self.predecessor.as_ref();
        predecessor
            .filter(|_| base == format!("w{WORKERS}"))
            .unwrap_or(&self.program)
    }

    /// `results` → `chaos.results`
    pub fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.plan.prefix)
    }
}

/// How often a process of each name was started: every start has files of its own.
#[derive(Default)]
pub struct Starts(Mutex<BTreeMap<String, u32>>);

impl Starts {
    pub fn next(&self, name: &str) -> String {
        let mut starts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = starts.entry(name.to_owned()).or_default();
        *count += 1;
        format!("{name}-{count}")
    }
}

/// Microseconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_micros().try_into().unwrap_or(i64::MAX)
}

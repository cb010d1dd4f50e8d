//! What a fault run leaves behind.
//!
//! ```text
//! plan.json        Plan: what was to be done, and where everything answers
//! driver-*.jsonl   history lines of the producers: produced, acknowledged
//! worker-*.jsonl   history lines of the workers; used to count what was in flight, never to acquit
//! http.jsonl       what callers were answered, if there were any: at, request_id, status (0: no answer), body
//! decisions.jsonl  Decision: what was decided about runs that waited, and what came of that, if anything was
//! calls.jsonl      ModelCall: what the model got, if it wrote that down
//! reader.jsonl     Seen: the results a read_committed reader saw while it happened
//! archive.jsonl    Archived: records that were deleted from the topics, as they were, if any were
//! feed.jsonl       Fed: what a reader of the api's feed got, which came back again and again, if there was one
//! faults.jsonl     Fault: what was broken, in order
//! summary.json     Summary: what only the driver can know
//! ```

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// The folder of one run.
#[derive(Debug, Clone)]
pub struct RunFolder(PathBuf);

impl RunFolder {
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    #[must_use]
    pub fn plan(&self) -> PathBuf {
        self.0.join("plan.json")
    }

    /// The history of the producer of this name.
    #[must_use]
    pub fn driver(&self, name: &str) -> PathBuf {
        self.0.join(format!("driver-{name}.jsonl"))
    }

    /// The history of the worker of this name.
    #[must_use]
    pub fn worker(&self, name: &str) -> PathBuf {
        self.0.join(format!("worker-{name}.jsonl"))
    }

    #[must_use]
    pub fn reader(&self) -> PathBuf {
        self.0.join("reader.jsonl")
    }

    #[must_use]
    pub fn http(&self) -> PathBuf {
        self.0.join("http.jsonl")
    }

    #[must_use]
    pub fn decisions(&self) -> PathBuf {
        self.0.join("decisions.jsonl")
    }

    #[must_use]
    pub fn calls(&self) -> PathBuf {
        self.0.join("calls.jsonl")
    }

    #[must_use]
    pub fn feed(&self) -> PathBuf {
        self.0.join("feed.jsonl")
    }

    #[must_use]
    pub fn archive(&self) -> PathBuf {
        self.0.join("archive.jsonl")
    }

    #[must_use]
    pub fn faults(&self) -> PathBuf {
        self.0.join("faults.jsonl")
    }

    #[must_use]
    pub fn summary(&self) -> PathBuf {
        self.0.join("summary.json")
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    pub seed: u64,
    pub seconds: u64,
    /// Requests a second.
    pub rate: u64,
    pub brokers: usize,
    /// `host:port,...` of the brokers themselves, not of the proxy in front of them.
    pub bootstrap: String,
    pub registry_url: String,
    pub postgres_url: String,
    /// In front of every topic and group.
    pub prefix: String,
    /// Of the workers.
    pub group: String,
    /// Request topics, with prefix.
    pub request_topics: Vec<String>,
    /// Chains that write their outputs into a topic of an owner's as well, and its full name.
    #[serde(default)]
    pub emits: BTreeMap<String, String>,
    pub session_timeout_ms: u64,
    pub transaction_timeout_ms: u64,
}

/// A committed result, when a reader that was there all the time got it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Seen {
    /// Microseconds since 1970.
    pub at: i64,
    /// Where the result lies.
    pub partition: i32,
    pub offset: i64,
    /// From its headers.
    pub request_id: String,
    pub src: String,
}

/// An event of the api's feed: a result by its place, or the word that some are missing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fed {
    /// Microseconds since 1970.
    pub at: i64,
    pub partition: i32,
    pub offset: i64,
    pub gap: Option<String>,
}

/// Somebody decided about a run that waited.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Decision {
    /// Microseconds since 1970.
    pub at: i64,
    pub request_id: String,
    /// What the run gives if this is what counts.
    pub output: serde_json::Value,
    /// The last word of the api to it: 202 or 200 if it counts, 409 if another one does, 0 if there was none. Of a
    /// decision that went to the topic itself: 202.
    pub status: u16,
    /// Why not.
    pub problem: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fault {
    /// Microseconds since 1970, when it began.
    pub at: i64,
    /// `kill_worker`, `stop_worker`, `pause_worker`, `crash_point`, `kill_broker`, `proxy_cut`, ...
    pub kind: String,
    /// Whom it hit: a worker's or broker's name.
    pub target: String,
    /// What else there is to know: the proxy's rule, how long it lasted.
    pub detail: String,
    /// For the death of a worker.
    pub crash: Option<Crash>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Crash {
    /// The crash point, if it was one.
    pub point: Option<String>,
    /// Calls under way at the model server for this worker's requests.
    pub in_flight: u64,
    /// Offsets above the watermark in the committed maps, of all partitions.
    pub map: u64,
}

/// What the judge cannot find in the logs of others.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Summary {
    pub model_calls: u64,
    /// Calls of the same body under the same request id beyond the first, the provider's own failures not counted.
    pub model_calls_repeated: u64,
    /// Crash points armed, by name, and how often a worker died there.
    pub crash_points: BTreeMap<String, u64>,
    /// The longest time in which the reader saw nothing although requests were waiting.
    pub longest_reader_stall_s: f64,
    /// The longest time for which readers of read_committed could not get on in one partition of the results, behind which
    /// something was written, while no broker was away.
    #[serde(default)]
    pub longest_held_reader_s: f64,
    /// From the death of a worker to the next result of a partition that was its own, without the sessions of others that
    /// fell silent meanwhile and the times in which brokers, network or registry were away.
    pub longest_takeover_s: f64,
}

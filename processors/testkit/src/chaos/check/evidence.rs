//! Everything the judge knows: plain data, so that each check can be shown an invented history that breaks exactly it.
//!
//! Bodies are kept as fingerprints (64 bits, valid within this process only): a run of 180,000 requests fits in memory.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::chaos::{Decision, Fault, Fed, Seen};

#[derive(Debug, Clone, Default)]
pub struct Evidence {
    pub logs: Logs,
    /// Of the workers' group, for each partition of the request topics.
    pub committed: Vec<CommittedState>,
    /// What producers say that the broker has.
    pub acknowledged: Vec<Acknowledged>,
    pub workers: Workers,
    pub faults: Vec<Fault>,
    /// What the reader saw, in the order of its file.
    pub seen: Vec<Seen>,
    /// What became of each call of HTTP callers.
    pub http: Vec<HttpAnswer>,
    /// What a reader of the api's feed got, in the order of its file.
    pub fed: Vec<Fed>,
    /// About runs that waited for a person.
    pub decisions: Vec<Decision>,
    /// Calls that the model got.
    pub calls: Vec<ModelCall>,
    pub tables: Tables,
}

/// The topics from their beginning to their end, each partition in the order of its offsets.
#[derive(Debug, Clone, Default)]
pub struct Logs {
    pub requests: Vec<RequestRecord>,
    pub results: Vec<ResultRecord>,
    pub audit: Vec<AuditRecord>,
    pub attempts: Vec<AttemptRecord>,
    pub dead_letters: Vec<DeadLetterRecord>,
    /// In topics of owners, as far as these have kept it.
    pub emitted: Vec<EmittedRecord>,
    /// Records of all topics that were deleted during the run, and are here all the same.
    pub archived: u64,
    pub ends: Vec<LogEnd>,
    /// `topic/partition/offset` of what Millrace wrote and nobody can read, and why.
    pub unreadable: Vec<(String, String)>,
}

/// A record of a request topic, whether it can be read or not.
#[derive(Debug, Clone)]
pub struct RequestRecord {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    /// Fingerprint; none for no key.
    pub key: Option<u64>,
    /// Of key, value and headers.
    pub bytes: u64,
    pub request_id: String,
    pub tenant: String,
    pub form: Form,
}

/// What can be said of a request's bytes without knowing any chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Request,
    /// Readable, but nobody can take it: it names itself in an impossible way, or its JSON is none.
    Invalid,
    /// No request at all.
    Undecodable,
    /// Of an owner's topic: what it must look like is the business of its chain.
    Plain,
}

#[derive(Debug, Clone)]
pub struct ResultRecord {
    pub partition: i32,
    pub offset: i64,
    pub key: Option<u64>,
    /// Kafka's timestamp.
    pub at_ms: i64,
    /// From the headers.
    pub header: Identity,
    /// From the record.
    pub body: Identity,
    pub turn: i32,
    pub status: String,
    pub has_chain: bool,
    pub attempts: i32,
    pub cost: i64,
    /// Of the output as JSON, whatever its spelling.
    pub output: Option<u64>,
    /// The topic that this output must be in as well.
    pub emits_to: Option<String>,
    /// Of the columns that Postgres keeps of it.
    pub row: u64,
}

/// What a chain wrote into a topic of an owner's.
#[derive(Debug, Clone)]
pub struct EmittedRecord {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub key: Option<u64>,
    pub identity: Identity,
    /// Of the value as JSON, whatever its spelling.
    pub output: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    pub src: String,
    pub request_id: String,
    pub tenant: String,
}

#[derive(Debug, Clone)]
pub struct AuditRecord {
    pub partition: i32,
    pub offset: i64,
    pub is_run: bool,
    pub attempt_id: Option<String>,
    pub src: String,
    pub request_id: String,
    pub turn: i32,
    pub cost: i64,
    pub row: u64,
}

#[derive(Debug, Clone)]
pub struct AttemptRecord {
    pub partition: i32,
    pub offset: i64,
    pub attempt_id: String,
    pub phase: String,
    pub src: String,
    pub request_id: String,
    pub cost: i64,
    /// Microseconds since 1970.
    pub at: i64,
}

#[derive(Debug, Clone)]
pub struct DeadLetterRecord {
    pub partition: i32,
    pub offset: i64,
    /// `topic/partition/offset` of the request.
    pub src: String,
    /// Of key, value and headers.
    pub bytes: u64,
    pub row: u64,
}

#[derive(Debug, Clone)]
pub struct LogEnd {
    pub topic: String,
    pub partition: i32,
    /// The offset behind the last record that the scan got; 0 when there was none.
    pub next: i64,
    pub end: i64,
    /// Where read_committed readers end: before `end` while a transaction is open. None: the broker told `end` and not this.
    pub stable_end: Option<i64>,
    /// Nothing more came to the scan, though the broker answers.
    pub is_stuck: bool,
}

#[derive(Debug, Clone)]
pub struct CommittedState {
    pub topic: String,
    pub partition: i32,
    pub offset: Option<i64>,
    pub metadata: String,
    /// There are offsets of a transaction behind it that nobody ends: a stable read gets no answer.
    pub is_pending: bool,
}

#[derive(Debug, Clone)]
pub struct Acknowledged {
    pub request_id: String,
    pub topic: String,
    pub partition: i32,
    /// Negative: the broker has it and did not say where.
    pub offset: i64,
}

/// What the workers say. Used to look closer, never to acquit, but for two things: whose attempt a crash may have cut off, and
/// which commit had its answer when a broker died.
#[derive(Debug, Clone, Default)]
pub struct Workers {
    pub commits: Vec<Commit>,
    /// Whose each transactional id is.
    pub writers: HashMap<String, ProcessName>,
    /// When, and whose.
    pub aborted: Vec<(i64, String)>,
    /// By attempt id: the process that made the call.
    pub calls: HashMap<String, (ProcessName, i64)>,
    /// When each process wrote its last line.
    pub last_words: HashMap<ProcessName, i64>,
}

/// A worker, and which of its lives.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProcessName {
    pub worker: String,
    pub pid: u32,
}

/// A state of a partition that a worker says it committed: a claim, or what travelled with results.
#[derive(Debug, Clone)]
pub struct Commit {
    pub at: i64,
    pub topic: String,
    pub partition: i32,
    pub watermark: i64,
    pub seq: u64,
    pub map: String,
    pub writer: String,
    pub is_claim: bool,
    /// The last one of this writer: it gave the partition back.
    pub is_release: bool,
}

/// What a caller got.
#[derive(Debug, Clone, Deserialize)]
pub struct HttpAnswer {
    /// Microseconds since 1970.
    pub at: i64,
    /// Empty where the answer names none.
    pub request_id: String,
    /// 0: none came.
    pub status: u16,
    /// JSON, or a text that holds JSON.
    #[serde(default)]
    pub body: Value,
}

/// A paid call, as the model got it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModelCall {
    /// Microseconds since 1970: when it came.
    pub at: i64,
    pub request_id: String,
    /// The process that made it.
    pub door: String,
}

#[derive(Debug, Clone, Default)]
pub struct Tables {
    pub runs: Vec<RunRow>,
    pub duplicate_results: Vec<RunRow>,
    pub audit: Vec<AuditRow>,
    pub attempts: Vec<AttemptRow>,
    /// By `topic/partition/offset` of the request.
    pub dead_letters: Vec<(String, u64)>,
    /// By topic and partition.
    pub positions: BTreeMap<(String, i32), i64>,
    /// `topic/partition/offset`, and the reason.
    pub quarantine: Vec<(String, String)>,
    /// What was deleted before it was recorded: a place, and how far.
    pub gaps: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct RunRow {
    pub tenant: String,
    pub request_id: String,
    pub turn: i32,
    pub status: String,
    pub request_src: Option<String>,
    pub result_src: Option<String>,
    pub row: u64,
}

#[derive(Debug, Clone)]
pub struct AuditRow {
    pub partition: i32,
    pub offset: i64,
    pub row: u64,
}

#[derive(Debug, Clone)]
pub struct AttemptRow {
    pub attempt_id: String,
    pub phase: String,
    pub estimate: Option<i64>,
    pub cost: Option<i64>,
}

impl RequestRecord {
    #[must_use]
    pub fn src(&self) -> String {
        format!("{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

impl ResultRecord {
    /// For whoever reads a violation.
    #[must_use]
    pub fn shown(&self) -> String {
        let Identity { src, request_id, .. } = &self.header;
        format!(
            "result {}/{}: src {src}, request {request_id}, {}",
            self.partition, self.offset, self.status
        )
    }
}

impl EmittedRecord {
    #[must_use]
    pub fn shown(&self) -> String {
        let Identity { src, request_id, .. } = &self.identity;
        format!(
            "emitted {}/{}/{}: src {src}, request {request_id}",
            self.topic, self.partition, self.offset
        )
    }
}

impl AuditRecord {
    #[must_use]
    pub fn shown(&self) -> String {
        let kind = if self.is_run { "run" } else { "attempt" };
        format!(
            "audit {}/{}: {kind}, src {}, request {}, turn {}, attempt {}",
            self.partition,
            self.offset,
            self.src,
            self.request_id,
            self.turn,
            self.attempt_id.as_deref().unwrap_or("-")
        )
    }
}

impl AttemptRecord {
    #[must_use]
    pub fn shown(&self) -> String {
        format!(
            "attempts {}/{}: {} {} at {} for {}",
            self.partition, self.offset, self.attempt_id, self.phase, self.at, self.src
        )
    }
}

impl ModelCall {
    #[must_use]
    pub fn shown(&self) -> String {
        format!(
            "a call for {} by {} came to the model at {}",
            self.request_id, self.door, self.at
        )
    }
}

impl Commit {
    #[must_use]
    pub fn shown(&self) -> String {
        let what = if self.is_claim { "claim" } else { "commit" };
        format!(
            "{what} of {}/{}: seq {}, watermark {}, map {}, by {} at {}",
            self.topic, self.partition, self.seq, self.watermark, self.map, self.writer, self.at
        )
    }
}

/// Equal for equal values within one process.
pub fn fingerprint(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Of JSON by what it says: the order of members does not matter.
#[must_use]
pub fn json_fingerprint(value: &Value) -> u64 {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members
                .iter()
                .map(|(name, value)| (name, json_fingerprint(value)))
                .collect();
            members.sort_unstable();
            fingerprint(&("object", members))
        }
        Value::Array(items) => fingerprint(&("array", items.iter().map(json_fingerprint).collect::<Vec<_>>())),
        Value::Number(number) => fingerprint(&("number", number.to_string())),
        Value::String(text) => fingerprint(&("text", text)),
        Value::Bool(value) => fingerprint(value),
        Value::Null => fingerprint(&()),
    }
}

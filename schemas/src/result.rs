use serde::{Deserialize, Serialize};

use crate::{Money, Shape, Timestamp};

/// How a run ended: values of [`RunResult::status`].
pub mod status {
    pub const COMPLETED: &str = "completed";
    pub const FAILED: &str = "failed";
    pub const CANCELLED: &str = "cancelled";
    /// Not final: a resume goes on as the next turn.
    pub const INTERRUPTED: &str = "interrupted";
}

/// Where token counts come from: values of [`Usage::source`].
pub mod usage_source {
    pub const REPORTED: &str = "reported";
    pub const ESTIMATED: &str = "estimated";
}

/// What became of a request: exactly one per request record. The record key is the request's.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename = "Result")]
pub struct RunResult {
    pub request_id: String,
    pub tenant: String,
    /// `topic/partition/offset` of the request.
    pub src: String,
    /// The Kafka timestamp of the request, of the first one of a run that was resumed: the day key of every table.
    pub accepted_at: Timestamp,
    pub turn: i32,
    /// `name@version#sha256`; none when no chain could be found.
    pub chain: Option<String>,
    /// One of [`status`].
    pub status: String,
    /// JSON text.
    pub output: Option<String>,
    pub error: Option<RunError>,
    pub usage: Usage,
    pub cost: Money,
    pub timings: Timings,
    /// Paid calls, those that failed included.
    pub attempts: i32,
    /// What a resume needs; opaque.
    pub state: Option<String>,
    pub completed_at: Timestamp,
}

/// Why a run did not complete.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunError {
    /// One word that programs may branch on.
    pub class: String,
    pub message: String,
    pub step: Option<String>,
}

/// Tokens of one call, or of all calls of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    pub input_tokens: i64,
    pub output_tokens: i64,
    /// One of [`usage_source`]; empty when nothing was counted.
    pub source: String,
}

/// Where the time of a run went, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Timings {
    /// From the Kafka timestamp of the request to the dispatch.
    pub queued_us: i64,
    /// From the dispatch to the outcome.
    pub ran_us: i64,
}

impl Shape for RunResult {
    const NAME: &'static str = "Result";
    const SCHEMA: &'static str = include_str!("../avro/result.avsc");
}

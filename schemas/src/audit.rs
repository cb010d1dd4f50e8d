use serde::{Deserialize, Serialize};

use crate::{Money, Shape, Timestamp, Usage};

/// What an audit record is about: values of [`Audit::kind`].
pub mod audit_kind {
    /// One attempt of a paid call.
    pub const ATTEMPT: &str = "attempt";
    /// The run as a whole; one per result.
    pub const RUN: &str = "run";
}

/// What was done for a run, committed in the same transaction as its result.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Audit {
    /// One of [`audit_kind`].
    pub kind: String,
    /// The same as in [`crate::Attempt`]; none for a run.
    pub attempt_id: Option<String>,
    pub request_id: String,
    pub tenant: String,
    /// `topic/partition/offset` of the request.
    pub src: String,
    pub accepted_at: Timestamp,
    pub turn: i32,
    /// `name@version#sha256`.
    pub chain: Option<String>,
    pub step: String,
    pub provider: String,
    pub model: String,
    /// Why this model was chosen: `primary`, `fallback`, ...
    pub route_reason: String,
    /// Counts from 1 within its step.
    pub attempt: i32,
    /// `ok`, or the class of the error.
    pub outcome: String,
    pub usage: Usage,
    pub cost: Money,
    /// Microseconds spent waiting for limits.
    pub queue_us: i64,
    pub connect_us: i64,
    /// Until the first token of a streamed answer.
    pub first_token_us: Option<i64>,
    pub total_us: i64,
    /// As sent; none when redaction is on.
    pub prompt: Option<String>,
    /// As received; none when redaction is on.
    pub response: Option<String>,
    /// Lower-case hex.
    pub prompt_sha256: String,
    /// Lower-case hex.
    pub response_sha256: String,
    pub documents: Vec<RetrievedDocument>,
    /// Of a run: its steps in the order of their ends.
    pub trail: Vec<StepTaken>,
    /// Steps that are not in the trail, because there were too many.
    pub trail_left_out: i32,
    /// W3C trace id, 32 hex digits.
    pub trace_id: Option<String>,
    pub started_at: Timestamp,
}

/// A document that a retrieval found.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RetrievedDocument {
    pub index: String,
    pub namespace: String,
    pub id: String,
    /// As the index scores: what is better depends on its metric.
    pub score: f64,
}

/// A step of the chain that ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StepTaken {
    /// The way to it: `pages[3].summary`.
    pub step: String,
    /// What it is: `chat`, `map`, ...
    pub kind: String,
    /// `ok`, `skipped`, `fallback`, `error_skipped`, `kept` (from an earlier turn), or the class of the error.
    pub outcome: String,
    /// How often it was tried.
    pub attempts: i32,
    /// Microseconds from the begin of the run.
    pub began_us: i64,
    /// Microseconds.
    pub took_us: i64,
}

impl Shape for Audit {
    const NAME: &'static str = "Audit";
    const SCHEMA: &'static str = include_str!("../avro/audit.avsc");
}

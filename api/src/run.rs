//! A run as callers see it: one shape, whether its parts come from the stream, from Postgres or from both.

use std::collections::BTreeMap;

use schemas::{RunError, RunResult, Timestamp, Timings, Usage, status};
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::ring::RunKey;

/// Statuses of a run that has no result yet; those of a result are in [`schemas::status`].
pub(crate) const QUEUED: &str = "queued";
pub(crate) const IN_PROGRESS: &str = "in_progress";

/// What can be asked for as a status.
pub(crate) const STATUSES: [&str; 6] = [
    QUEUED,
    IN_PROGRESS,
    status::COMPLETED,
    status::FAILED,
    status::CANCELLED,
    status::INTERRUPTED,
];

/// Members that are not known (yet) are left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Run {
    pub id: String,
    pub tenant: String,
    /// 0, and one more for each time it was resumed.
    pub turn: i32,
    /// One of [`STATUSES`].
    pub status: String,
    /// As it was asked for until it ran; then `name@version#sha256`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// What this turn began with, if it is not the first: by the step that waited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decisions: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<BTreeMap<String, String>>,
    /// The parameters it was called with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
    /// Where the request lies: `topic/partition/offset`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_src: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rfc_3339")]
    pub deadline: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rfc_3339")]
    pub created_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rfc_3339")]
    pub accepted_at: Option<Timestamp>,
    /// Path of the dead letter, if the request became one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<String>,
    #[serde(flatten)]
    pub end: Option<End>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct End {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<RunError>,
    pub usage: Usage,
    /// 10⁻⁹ dollars
    pub cost_nano_dollars: i64,
    pub timings: Timings,
    /// Paid calls, those that failed included.
    pub attempts: i32,
    #[serde(serialize_with = "rfc_3339_of")]
    pub completed_at: Timestamp,
}

impl Run {
    /// One of which nothing is known but that it was accepted.
    pub fn queued(run: &RunKey) -> Self {
        Self {
            id: run.request_id.clone(),
            tenant: run.tenant.clone(),
            status: QUEUED.to_owned(),
            ..Self::default()
        }
    }

    /// The request whose result is waited for: those of earlier turns are results of the run, too.
    pub fn awaited(&self) -> Option<String> {
        self.request_src.clone().filter(|_| self.turn > 0)
    }

    /// The request as Postgres knows it, with a result that Postgres does not know yet.
    pub fn ended_by(self, result: RunResult) -> Self {
        let ended = Self::from(result);
        Self {
            turn: ended.turn,
            status: ended.status,
            chain: ended.chain,
            request_src: ended.request_src,
            accepted_at: ended.accepted_at,
            end: ended.end,
            ..self
        }
    }
}

impl From<RunResult> for Run {
    fn from(result: RunResult) -> Self {
        Self {
            id: result.request_id,
            tenant: result.tenant,
            turn: result.turn,
            status: result.status,
            chain: result.chain,
            request_src: Some(result.src),
            accepted_at: Some(result.accepted_at),
            end: Some(End {
                output: result.output.as_deref().map(json),
                error: result.error,
                usage: result.usage,
                cost_nano_dollars: result.cost.0,
                timings: result.timings,
                attempts: result.attempts,
                completed_at: result.completed_at,
            }),
            ..Self::default()
        }
    }
}

/// JSON text as JSON; text that is none as a string.
pub(crate) fn json(text: &str) -> Value {
    schemas::json::read(text.as_bytes()).unwrap_or_else(|_| Value::String(text.to_owned()))
}

pub(crate) fn rfc_3339<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.collect_str(at),
        None => serializer.serialize_none(),
    }
}

pub(crate) fn rfc_3339_of<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

use serde::{Deserialize, Serialize};

use crate::{Money, Shape, Timestamp, Usage};

/// How far an attempt came: values of [`Attempt::phase`].
pub mod phase {
    /// The call is about to leave.
    pub const STARTED: &str = "started";
    /// It was made and paid, though nobody wants its outcome.
    pub const SETTLED: &str = "settled";
    /// It was never made, or cut off before it could cost.
    pub const ABANDONED: &str = "abandoned";
}

/// The write-ahead of a paid call: acknowledged before the call leaves, outside the transaction of its result. A
/// committed attempt needs no `settled`: its [`crate::Audit`] row settles it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Attempt {
    /// UUIDv7.
    pub attempt_id: String,
    /// One of [`phase`].
    pub phase: String,
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
    pub route_reason: String,
    /// Counts from 1 within its step.
    pub attempt: i32,
    /// An estimate when started, what was used when settled.
    pub usage: Usage,
    /// An estimate when started, what was paid when settled.
    pub cost: Money,
    /// W3C trace id, 32 hex digits.
    pub trace_id: Option<String>,
    pub at: Timestamp,
}

impl Shape for Attempt {
    const NAME: &'static str = "Attempt";
    const SCHEMA: &'static str = include_str!("../avro/attempt.avsc");
}

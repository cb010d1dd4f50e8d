use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Shape, Timestamp};

/// What a request asks for: values of [`Request::kind`].
pub mod request_kind {
    pub const RUN: &str = "run";
    /// Go on with a run that was interrupted, as its next turn.
    pub const RESUME: &str = "resume";
}

/// Asks for one run of a chain. The record key says what must stay in order; null means nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Request {
    /// 1–128 of `[A-Za-z0-9._:-]`. Without it (and without the header) [`crate::identity`] derives one.
    pub request_id: Option<String>,
    /// One of [`request_kind`].
    pub kind: String,
    /// Empty: the tenant of the topic's binding, or `default`.
    pub tenant: String,
    /// `name` or `name@version`.
    pub chain: String,
    /// JSON text. Of a resume: the decisions, by the step that waits for them.
    pub input: String,
    /// A JSON object as text; empty for none.
    pub params: String,
    /// When the answer is worth nothing any more. Without it the chain's own time limit counts.
    pub deadline: Option<Timestamp>,
    pub conversation: Option<String>,
    pub turn: i32,
    /// For a resume: the state of the interrupted result, as it is.
    pub state: Option<String>,
    pub metadata: BTreeMap<String, String>,
    pub created_at: Timestamp,
}

impl Request {
    /// The turn that its result belongs to, whatever it says itself: a new run begins with turn 0, and only a resume has another.
    #[must_use]
    pub fn turn(&self) -> i32 {
        match self.kind.as_str() {
            request_kind::RESUME => self.turn.max(0),
            _ => 0,
        }
    }
}

impl Default for Request {
    fn default() -> Self {
        Self {
            request_id: None,
            kind: request_kind::RUN.to_owned(),
            tenant: String::new(),
            chain: String::new(),
            input: "null".to_owned(),
            params: String::new(),
            deadline: None,
            conversation: None,
            turn: 0,
            state: None,
            metadata: BTreeMap::new(),
            created_at: Timestamp(0),
        }
    }
}

impl Shape for Request {
    const NAME: &'static str = "Request";
    const SCHEMA: &'static str = include_str!("../avro/request.avsc");
}

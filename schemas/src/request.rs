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

    /// When the run was accepted that this goes on with, by its state. All turns of a run lie under the day of the first, so
    /// whoever asks for it, before or after the run itself is known, reads it here; and reads no more of a state than this,
    /// so that a state which cannot be gone on with still says whose turn it is.
    #[must_use]
    pub fn run_accepted_at(&self) -> Option<Timestamp> {
        let state = self.state.as_deref().filter(|_| self.kind == request_kind::RESUME)?;
        serde_json::from_str(state)
            .map(|Began { format: _, accepted_at }| accepted_at)
            .ok()
    }
}

/// What all formats of a state have.
#[derive(Deserialize)]
struct Began {
    /// Without it, it is none.
    #[expect(dead_code, reason = "it has to be there")]
    format: u32,
    accepted_at: Timestamp,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resume_says_when_its_run_was_accepted_and_nothing_else_does() {
        let resume = |state: &str| Request {
            kind: request_kind::RESUME.to_owned(),
            state: Some(state.to_owned()),
            ..Request::default()
        };
        let state = r#"{"format": 2, "accepted_at": 7, "of a later version": {"\ud800": 1e999}}"#;
        assert_eq!(resume(state).run_accepted_at(), Some(Timestamp(7)));
        for none in [
            "",
            "7",
            "{}",
            r#"{"accepted_at": 7}"#,
            r#"{"format": 1, "accepted_at": "7"}"#,
        ] {
            assert_eq!(resume(none).run_accepted_at(), None, "{none}");
        }
        let run = Request {
            kind: request_kind::RUN.to_owned(),
            ..resume(state)
        };
        assert_eq!(run.run_accepted_at(), None);
    }
}

//! How a run ended. A failure is an outcome too: recorded and audited like any other.

use serde_json::Value;

use super::{bill::Bill, trail::Trail, turn::State};

#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub ending: Ending,
    pub bill: Bill,
    pub trail: Trail,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    Completed(Value),
    /// It waits for somebody; a resume goes on with it.
    Interrupted(Box<State>),
    Failed(Failure),
    /// Not wanted any more; nothing about the request was wrong.
    Cancelled(Failure),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// One word that programs may branch on.
    pub class: String,
    /// For people. It may quote a provider, so it belongs in results and audit, not in logs.
    pub message: String,
    /// The step that failed, if it was one.
    pub step: Option<String>,
}

//! A paid call of a run.

use serde::Serialize;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Step {
    pub attempt_id: String,
}

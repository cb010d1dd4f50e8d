use serde::{Deserialize, Serialize};

use crate::Shape;

/// A piece of an answer while it is made: provisional until the result.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Token {
    pub request_id: String,
    pub tenant: String,
    pub turn: i32,
    pub attempt_id: String,
    pub step: String,
    /// Counts from 0 within the attempt.
    pub index: i64,
    pub text: String,
    pub last: bool,
    /// The run began again: drop what came before.
    pub reset: bool,
}

impl Shape for Token {
    const NAME: &'static str = "Token";
    const SCHEMA: &'static str = include_str!("../avro/token.avsc");
}

use serde::{Deserialize, Serialize};

use crate::{Shape, Timestamp};

/// A version of a chain, as an orchestrator loaded it. The record key is `name@version`; the same key with another
/// digest is refused.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename = "Chain")]
pub struct ChainRecord {
    pub name: String,
    pub version: i32,
    /// SHA-256, lower-case hex.
    pub digest: String,
    /// The file, verbatim.
    pub source: String,
    /// The steps and what each waits for: JSON text.
    pub graph: String,
    /// JSON Schema text.
    pub input_schema: String,
    /// JSON Schema text.
    pub output_schema: String,
    pub published_at: Timestamp,
}

impl Shape for ChainRecord {
    const NAME: &'static str = "Chain";
    const SCHEMA: &'static str = include_str!("../avro/chain.avsc");
}

use serde::{Deserialize, Serialize};

use crate::{Shape, Timestamp};

/// A record that could not be processed, with its bytes as they were. It comes in addition to a failed result.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DeadLetter {
    pub request_id: String,
    pub tenant: String,
    pub accepted_at: Timestamp,
    /// Where the record was read.
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    #[serde(with = "apache_avro::serde::bytes_opt")]
    pub key: Option<Vec<u8>>,
    #[serde(with = "apache_avro::serde::bytes_opt")]
    pub value: Option<Vec<u8>>,
    /// In their order; names may repeat.
    pub headers: Vec<RawHeader>,
    /// One word that programs may branch on.
    pub class: String,
    pub message: String,
    /// `name@version#sha256`, when it came that far.
    pub chain: Option<String>,
    pub failed_at: Timestamp,
}

/// A record header as it was.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RawHeader {
    pub name: String,
    #[serde(with = "apache_avro::serde::bytes_opt")]
    pub value: Option<Vec<u8>>,
}

impl Shape for DeadLetter {
    const NAME: &'static str = "DeadLetter";
    const SCHEMA: &'static str = include_str!("../avro/dead_letter.avsc");
}

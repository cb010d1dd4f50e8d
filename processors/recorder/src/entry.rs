//! A record of a topic, and the row that it becomes.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use schemas::{Attempt, Audit, DeadLetter, RunResult, Timestamp, identity::Identity};
use serde_json::json;
use topics::{Headers, Record, TopicPartition};

/// A record and where it goes.
#[derive(Debug)]
pub(crate) struct Entry {
    pub record: Record,
    pub row: Row,
}

/// What is written in one transaction.
#[derive(Debug, Default)]
pub(crate) struct Part {
    pub entries: Vec<Entry>,
    /// Partitions of which all was read, and where they end.
    pub ends: BTreeMap<TopicPartition, i64>,
}

#[derive(Debug)]
pub(crate) enum Row {
    Request(Box<RequestRow>),
    Result(Box<RunResult>),
    Audit(Box<Audit>),
    Attempt(Box<Attempt>),
    DeadLetter(Box<DeadLetter>),
    /// No table takes it, for this reason.
    Quarantine(String),
}

/// A request under the identity that every role derives for it.
#[derive(Debug)]
pub(crate) struct RequestRow {
    pub identity: Identity,
    pub turn: i32,
    pub accepted_at: Timestamp,
    pub kind: String,
    pub chain: String,
    /// JSON text.
    pub input: String,
    /// JSON text.
    pub params: String,
    pub deadline: Option<Timestamp>,
    pub conversation: Option<String>,
    /// JSON text.
    pub metadata: String,
    pub created_at: Option<Timestamp>,
    pub trace_id: Option<String>,
}

impl Entry {
    pub fn partition(&self) -> TopicPartition {
        TopicPartition::new(self.record.topic.clone(), self.record.partition)
    }

    /// The day that the row belongs to.
    pub fn accepted_at(&self) -> Option<Timestamp> {
        match &self.row {
            Row::Request(request) => Some(request.accepted_at),
            Row::Result(result) => Some(result.accepted_at),
            Row::Audit(audit) => Some(audit.accepted_at),
            Row::Attempt(attempt) => Some(attempt.accepted_at),
            Row::DeadLetter(letter) => Some(letter.accepted_at),
            Row::Quarantine(_) => None,
        }
    }
}

/// Headers as JSON text: `[{"name", "value": base64 or null}]`.
pub(crate) fn headers_json(headers: &Headers) -> String {
    header_list(headers.iter())
}

/// A name may be any bytes; what JSON in Postgres cannot hold is replaced.
pub(crate) fn header_list<'a, N: AsRef<[u8]>>(headers: impl Iterator<Item = (N, Option<&'a [u8]>)>) -> String {
    let header = |(name, value): (N, Option<&[u8]>)| {
        let name = String::from_utf8_lossy(name.as_ref()).replace('\0', "\u{fffd}");
        json!({ "name": name, "value": value.map(|value| BASE64_STANDARD.encode(value)) })
    };
    json!(headers.map(header).collect::<Vec<_>>()).to_string()
}

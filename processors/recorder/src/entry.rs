//! A record of a topic, and the row that it becomes.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use schemas::{Attempt, Audit, DeadLetter, RunResult, Timestamp, identity::Identity};
use serde_json::json;
use topics::{Record, TopicPartition};

use crate::mended::mend;

/// A record and where it goes.
#[derive(Debug)]
pub(crate) struct Entry {
    pub record: Record,
    pub row: Row,
    /// Columns that do not hold what the record says, with commas between.
    pub mended: Option<String>,
}

/// A record key as text.
#[derive(Debug)]
pub(crate) struct Key {
    /// At most [`KEY_CHARACTERS`] of it.
    pub text: String,
    /// The key, where the text is not that.
    pub bytes: Option<Vec<u8>>,
}

/// An index takes no long ones. The api looks for as many.
const KEY_CHARACTERS: usize = 256;

impl Key {
    pub fn of(key: &[u8]) -> Self {
        // A character has four bytes at most: a key of a megabyte is not looked at whole.
        let begin = key.get(..KEY_CHARACTERS * 4).unwrap_or(key);
        let text: String = String::from_utf8_lossy(begin)
            .chars()
            .take(KEY_CHARACTERS)
            .map(|character| if character == '\0' { '\u{fffd}' } else { character })
            .collect();
        let bytes = (text.as_bytes() != key).then(|| key.to_vec());
        Self { text, bytes }
    }
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
    pub key: Option<Key>,
    pub trace_id: Option<String>,
    /// None: the record cannot be read. It is a request all the same, which whoever runs it answers with a failed result and
    /// a dead letter.
    pub said: Option<Said>,
}

/// What a request says.
#[derive(Debug)]
pub(crate) struct Said {
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
}

impl Entry {
    pub fn new(record: Record, mut row: Row) -> Self {
        let mended = mend(&mut row);
        Self { record, row, mended }
    }

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

/// Headers as JSON text: `[{"name", "value": base64 or null}]`, and `"name_bytes"` in base64 where the name is no UTF-8.
pub(crate) fn headers_json<'h>(headers: impl Iterator<Item = (&'h [u8], Option<&'h [u8]>)>) -> String {
    let header = |(name, value): (&[u8], Option<&[u8]>)| {
        let mut header = json!({
            "name": String::from_utf8_lossy(name),
            "value": value.map(|value| BASE64_STANDARD.encode(value)),
        });
        if str::from_utf8(name).is_err() {
            header["name_bytes"] = BASE64_STANDARD.encode(name).into();
        }
        header
    };
    json!(headers.map(header).collect::<Vec<_>>()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_no_text_or_too_long_has_its_bytes_beside_it() {
        let text = |key: &[u8]| {
            let Key { text, bytes } = Key::of(key);
            assert!(bytes.as_deref().is_none_or(|bytes| bytes == key));
            (text, bytes.is_some())
        };
        assert_eq!(text(b"customer-7"), ("customer-7".to_owned(), false));
        assert_eq!(text(b""), (String::new(), false));
        assert_eq!(text("\u{fffd}".as_bytes()), ("\u{fffd}".to_owned(), false));
        assert_eq!(text(b"\xff"), ("\u{fffd}".to_owned(), true));
        assert_eq!(text(b"a\0"), ("a\u{fffd}".to_owned(), true));
        let long = "\u{10ffff}".repeat(300);
        assert_eq!(text(long.as_bytes()), ("\u{10ffff}".repeat(256), true));
        assert_eq!(text(&vec![0; 1 << 20]).0.chars().count(), 256);
    }

    #[test]
    fn a_header_name_that_is_no_text_has_its_bytes_beside_it() {
        let headers = [(&b"a\0"[..], None), (&b"\xff"[..], Some(&b"1"[..]))];
        let expected = json!([
            {"name": "a\0", "value": null},
            {"name": "\u{fffd}", "value": "MQ==", "name_bytes": "/w=="},
        ]);
        assert_eq!(headers_json(headers.into_iter()), expected.to_string());
    }
}

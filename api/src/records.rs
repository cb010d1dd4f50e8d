//! What lies at a place in Kafka, decoded for people: `RawRecord` of `schemas/openapi.json`.

use base64::{Engine, engine::general_purpose::STANDARD};
use schemas::{DecodeError, Plain, PlainDecoder, Registry, Timestamp};
use serde::Serialize;
use serde_json::Value;
use topics::{KafkaSettings, Lookup, LookupError, Record, TopicPartition};

use crate::{
    history::Place,
    problem::{Kind, Problem},
    run::rfc_3339,
};

/// Seconds after which the brokers, or the registry, may be asked again.
const COME_BACK: u32 = 2;

pub(crate) struct Records {
    lookup: Lookup,
    decoder: PlainDecoder,
}

#[derive(Debug, Serialize)]
pub(crate) struct RawRecord {
    #[serde(flatten)]
    place: Place,
    #[serde(serialize_with = "rfc_3339")]
    timestamp: Option<Timestamp>,
    key: Option<String>,
    headers: Vec<Header>,
    /// The full name of the Avro schema that wrote the value.
    schema: Option<String>,
    /// Bytes of the value.
    size: usize,
    value: Value,
    /// The value in base64, when it is neither Avro nor JSON.
    bytes: Option<String>,
}

#[derive(Debug, Serialize)]
struct Header {
    name: String,
    value: Option<String>,
}

impl Records {
    pub fn new(kafka: &KafkaSettings, registry: &Registry) -> Self {
        Self {
            lookup: Lookup::new(kafka),
            decoder: registry.plain_decoder(),
        }
    }

    /// # Errors
    /// 404 when nothing lies there any more, 504 when brokers or registry do not answer in time, 503 when too many ask.
    pub async fn at(&self, place: &Place) -> Result<RawRecord, Problem> {
        let partition = TopicPartition::new(place.topic.as_str(), place.partition);
        let found = self.lookup.record(&partition, place.offset).await;
        let found = found.map_err(|error| unread(&error))?;
        let record = found.ok_or_else(|| {
            let detail = format!(
                "nothing lies at {partition}/{} any more: retention or compaction deleted it",
                place.offset
            );
            Problem::new(Kind::RecordDeleted, detail)
        })?;
        let (content, bytes) = match record.value.as_deref() {
            Some(value) => self.content(value).await?,
            None => (plain(Value::Null), None),
        };
        Ok(RawRecord {
            place: place.clone(),
            timestamp: (record.timestamp_ms > 0).then(|| Timestamp::from_millis(record.timestamp_ms)),
            key: record.key.as_deref().map(text),
            headers: headers(&record),
            schema: content.schema,
            size: record.value.as_ref().map_or(0, |value| value.len()),
            value: content.value,
            bytes,
        })
    }

    /// Avro of any schema, JSON as the owners of a topic may write it, or the bytes.
    async fn content(&self, value: &[u8]) -> Result<(Plain, Option<String>), Problem> {
        match self.decoder.decode_named(value).await {
            Ok(content) => Ok((content, None)),
            Err(error) if error.is_transient() => Err(undecoded(&error)),
            Err(_) => Ok(match schemas::json::read(value) {
                Ok(json) => (plain(json), None),
                Err(_) => (plain(Value::Null), Some(STANDARD.encode(value))),
            }),
        }
    }
}

fn plain(value: Value) -> Plain {
    Plain { schema: None, value }
}

fn headers(record: &Record) -> Vec<Header> {
    let header = |(name, value): (&[u8], Option<&[u8]>)| Header {
        name: text(name),
        value: value.map(text),
    };
    record.headers.iter().map(header).collect()
}

/// Keys and headers are for reading here: bytes that are no UTF-8 are replaced.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn unread(error: &LookupError) -> Problem {
    let kind = match error {
        LookupError::Busy => Kind::Overloaded,
        LookupError::Silent { .. } => Kind::RecordUnavailable,
        LookupError::Create(_) | LookupError::NotAuthorized { .. } | LookupError::Interrupted => Kind::Internal,
    };
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "a record could not be looked up"
    );
    Problem::new(kind, error.to_string()).retry_after(COME_BACK)
}

fn undecoded(error: &DecodeError) -> Problem {
    tracing::warn!(error = error as &dyn std::error::Error, "a record could not be decoded");
    let detail =
        "the record is there, and the schema registry does not answer: without it the record cannot be decoded";
    Problem::new(Kind::RecordUnavailable, detail).retry_after(COME_BACK)
}

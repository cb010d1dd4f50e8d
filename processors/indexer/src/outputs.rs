//! What a document leads to besides its vectors: its audit, and a dead letter if it could not be indexed.

use bytes::Bytes;
use schemas::{
    Audit, DeadLetter, EncodeError, Encoder, RawHeader, Registry, RegistryError, Timestamp, headers, identity::Identity,
};
use topics::{Catalog, Headers, KafkaSettings, Output, Record};

use crate::{patience::Failure, service::CHAIN};

/// What a record takes in its topic besides its key and its value: headers and the batch around them.
const OVERHEAD: usize = 64 << 10;
const LARGEST_AUDIT: u64 = 1 << 20;
const LARGEST_LETTER: u64 = 5 << 20;
/// What a document leads to has its key, if that is not longer.
const MAX_KEY: usize = 1 << 20;
/// Of a `traceparent`: whatever else it is, it is no trace context.
const MAX_TRACEPARENT: usize = 512;

pub(crate) struct Outputs {
    audit_topic: String,
    audit: Encoder<Audit>,
    largest_audit: usize,
    dead_letter_topic: String,
    dead_letters: Encoder<DeadLetter>,
    largest_letter: usize,
}

impl Outputs {
    pub(crate) async fn new(
        registry: &Registry,
        kafka: &KafkaSettings,
        catalog: &Catalog,
    ) -> Result<Self, RegistryError> {
        let audit_topic = kafka.topic("audit");
        let dead_letter_topic = kafka.topic("dead-letters");
        let largest = |name: &str, otherwise: u64| {
            let largest = catalog.topic(name).map_or(otherwise, |topic| topic.max_message_bytes);
            usize::try_from(largest).unwrap_or(usize::MAX).saturating_sub(OVERHEAD)
        };
        Ok(Self {
            audit: registry.encoder(&audit_topic).await?,
            dead_letters: registry.encoder(&dead_letter_topic).await?,
            audit_topic,
            dead_letter_topic,
            largest_audit: largest("audit", LARGEST_AUDIT),
            largest_letter: largest("dead-letters", LARGEST_LETTER),
        })
    }

    pub(crate) fn audit(&self, record: &Record, sender: &Identity, row: &Audit) -> Result<Output, EncodeError> {
        let mut value = self.audit.encode(row)?;
        if value.len() + key(record).map_or(0, Bytes::len) > self.largest_audit {
            // The hashes stay.
            value = self.audit.encode(&Audit {
                prompt: None,
                response: None,
                ..row.clone()
            })?;
        }
        Ok(output(&self.audit_topic, value, record, sender))
    }

    /// The rows of attempts among the outputs of a document: its own row is the last.
    pub(crate) fn attempts<'o>(&self, outputs: &'o [Output]) -> impl Iterator<Item = &'o Output> {
        let topic = self.audit_topic.clone();
        let rows = outputs.iter().filter(move |output| output.topic == topic);
        let attempts = rows.clone().count().saturating_sub(1);
        rows.take(attempts)
    }

    pub(crate) fn dead_letter(
        &self,
        record: &Record,
        sender: &Identity,
        failure: &Failure,
    ) -> Result<Output, EncodeError> {
        let letter = DeadLetter {
            request_id: sender.request_id.clone(),
            tenant: sender.tenant.clone(),
            accepted_at: Timestamp::from_millis(record.timestamp_ms),
            topic: record.topic.to_string(),
            partition: record.partition,
            offset: record.offset,
            key: record.key.as_ref().map(|key| key.to_vec()),
            value: record.value.as_ref().map(|value| value.to_vec()),
            headers: record
                .headers
                .iter()
                .map(|(name, value)| RawHeader::new(name, value))
                .collect(),
            class: failure.class.clone(),
            message: failure.message.clone(),
            chain: Some(CHAIN.to_owned()),
            failed_at: Timestamp::now(),
            left_out: Vec::new(),
        };
        let largest = self.largest_letter.saturating_sub(key(record).map_or(0, Bytes::len));
        let value = letter.encode_within(&self.dead_letters, largest)?;
        Ok(output(&self.dead_letter_topic, value, record, sender))
    }
}

fn output(topic: &str, value: Bytes, record: &Record, sender: &Identity) -> Output {
    let mut headers = Headers::new()
        .with(headers::REQUEST_ID, sender.request_id.clone())
        .with(headers::TENANT, sender.tenant.clone())
        .with(headers::SRC, sender.src.clone());
    let traceparent = record.headers.text(headers::TRACEPARENT);
    if let Some(traceparent) = traceparent.filter(|text| text.len() <= MAX_TRACEPARENT) {
        headers = headers.with(headers::TRACEPARENT, traceparent.to_owned());
    }
    Output {
        topic: topic.to_owned(),
        partition: None,
        key: key(record).cloned(),
        value: Some(value),
        headers,
    }
}

fn key(record: &Record) -> Option<&Bytes> {
    record.key.as_ref().filter(|key| key.len() <= MAX_KEY)
}

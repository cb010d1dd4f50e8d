//! What a document leads to besides its vectors: its audit, and a dead letter if it could not be indexed.

use schemas::{
    Audit, DeadLetter, EncodeError, Encoder, RawHeader, Registry, RegistryError, Timestamp, headers, identity::Identity,
};
use topics::{Catalog, Headers, KafkaSettings, Output, Record};

use crate::{patience::Failure, service::CHAIN};

/// What a record takes in its topic besides its value: key, headers and the batch around them.
const OVERHEAD: usize = 64 << 10;
const LARGEST_AUDIT: u64 = 1 << 20;

pub(crate) struct Outputs {
    audit_topic: String,
    audit: Encoder<Audit>,
    largest_audit: usize,
    dead_letter_topic: String,
    dead_letters: Encoder<DeadLetter>,
}

impl Outputs {
    pub(crate) async fn new(
        registry: &Registry,
        kafka: &KafkaSettings,
        catalog: &Catalog,
    ) -> Result<Self, RegistryError> {
        let audit_topic = kafka.topic("audit");
        let dead_letter_topic = kafka.topic("dead-letters");
        let largest = catalog
            .topic("audit")
            .map_or(LARGEST_AUDIT, |topic| topic.max_message_bytes);
        Ok(Self {
            audit: registry.encoder(&audit_topic).await?,
            dead_letters: registry.encoder(&dead_letter_topic).await?,
            audit_topic,
            dead_letter_topic,
            largest_audit: usize::try_from(largest).unwrap_or(usize::MAX).saturating_sub(OVERHEAD),
        })
    }

    pub(crate) fn audit(&self, record: &Record, sender: &Identity, row: &Audit) -> Result<Output, EncodeError> {
        let mut value = self.audit.encode(row)?;
        if value.len() > self.largest_audit {
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
        let value = self.dead_letters.encode(&DeadLetter {
            request_id: sender.request_id.clone(),
            tenant: sender.tenant.clone(),
            accepted_at: Timestamp::from_millis(record.timestamp_ms),
            topic: record.topic.to_string(),
            partition: record.partition,
            offset: record.offset,
            key: record.key.as_ref().map(|key| key.to_vec()),
            value: record.value.as_ref().map(|value| value.to_vec()),
            headers: record.headers.iter().map(raw).collect(),
            class: failure.class.clone(),
            message: failure.message.clone(),
            chain: Some(CHAIN.to_owned()),
            failed_at: Timestamp::now(),
        })?;
        Ok(output(&self.dead_letter_topic, value, record, sender))
    }
}

fn output(topic: &str, value: bytes::Bytes, record: &Record, sender: &Identity) -> Output {
    let mut headers = Headers::new()
        .with(headers::REQUEST_ID, sender.request_id.clone())
        .with(headers::TENANT, sender.tenant.clone())
        .with(headers::SRC, sender.src.clone());
    if let Some(traceparent) = record.headers.text(headers::TRACEPARENT) {
        headers = headers.with(headers::TRACEPARENT, traceparent.to_owned());
    }
    Output {
        topic: topic.to_owned(),
        partition: None,
        key: record.key.clone(),
        value: Some(value),
        headers,
    }
}

fn raw((name, value): (&str, Option<&[u8]>)) -> RawHeader {
    RawHeader {
        name: name.to_owned(),
        value: value.map(<[u8]>::to_vec),
    }
}

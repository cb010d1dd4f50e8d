//! A record as it lies in a topic, detached from the client's fetch buffers, and one that is to be written.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use rdkafka::{
    Message, Timestamp,
    message::{BorrowedMessage, Headers as _},
};

/// A record read from a topic. `Bytes` are copies: a borrowed message would pin its whole fetch buffer for as long as
/// a model call takes.
#[derive(Debug, Clone)]
pub struct Record {
    pub topic: Arc<str>,
    pub partition: i32,
    pub offset: i64,
    /// Milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// Whether that is when the broker appended it; else it is what the writer says (`CreateTime`), which may be any time.
    pub append_time: bool,
    /// When this process fetched it, in milliseconds since the epoch.
    pub read_ms: i64,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Headers,
}

impl Record {
    pub(crate) fn detach(topic: Arc<str>, message: &BorrowedMessage<'_>) -> Self {
        let mut headers = Headers::new();
        for header in message.headers().into_iter().flat_map(|headers| headers.iter()) {
            headers.push(header.key, header.value.map(Bytes::copy_from_slice));
        }
        Self {
            topic,
            partition: message.partition(),
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
            read_ms: now_ms(),
            append_time: matches!(message.timestamp(), Timestamp::LogAppendTime(_)),
            key: message.key().map(Bytes::copy_from_slice),
            value: message.payload().map(Bytes::copy_from_slice),
            headers,
        }
    }

    /// `topic/partition/offset`: the identity of this record, and the `src` header of whatever it leads to.
    #[must_use]
    pub fn src(&self) -> String {
        format!("{}/{}/{}", self.topic, self.partition, self.offset)
    }

    /// When the broker appended it, in milliseconds since the epoch, if its topic keeps that.
    #[must_use]
    pub fn appended_ms(&self) -> Option<i64> {
        self.append_time.then_some(self.timestamp_ms)
    }

    /// From when on its time runs: since it was appended; where its topic does not keep that, since this process read it.
    #[must_use]
    pub fn accepted_ms(&self) -> i64 {
        self.appended_ms().unwrap_or(self.read_ms)
    }

    /// Bytes that this record holds in memory; what the limit on bytes in flight counts.
    #[must_use]
    pub fn size(&self) -> usize {
        size_of::<Self>() + size(self.key.as_ref(), self.value.as_ref(), &self.headers)
    }
}

/// A record to be produced. Without a partition the key decides it (murmur2, as Java clients do).
#[derive(Debug, Clone, Default)]
pub struct Output {
    pub topic: String,
    pub partition: Option<i32>,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Headers,
}

impl Output {
    /// Bytes that this record holds in memory.
    #[must_use]
    pub fn size(&self) -> usize {
        size_of::<Self>() + size(self.key.as_ref(), self.value.as_ref(), &self.headers)
    }
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

fn size(key: Option<&Bytes>, value: Option<&Bytes>, headers: &Headers) -> usize {
    let headers: usize = headers
        .iter()
        .map(|(name, value)| name.len() + value.map_or(0, <[u8]>::len))
        .sum();
    key.map_or(0, Bytes::len) + value.map_or(0, Bytes::len) + headers
}

/// Record headers in their order. A name may repeat: the last one wins, as in Kafka's `lastHeader`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Option<Bytes>)>);

impl Headers {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.0.push((name.into(), Some(value.into())));
        self
    }

    pub fn push(&mut self, name: impl Into<String>, value: Option<Bytes>) {
        self.0.push((name.into(), value));
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().filter(|(header, _)| *header == name).last()?.1
    }

    /// The header as text; `None` when it is absent, null or not UTF-8.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.get(name)?).ok()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_deref()))
    }
}

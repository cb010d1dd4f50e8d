//! A record as it lies in a topic, detached from the client's fetch buffers, and one that is to be written.
//!
//! Whoever may write to a topic decides about every byte of a record, the names of its headers included: brokers store
//! them as they are. So names are bytes here, and reading headers is guarded: what cannot be read (more of them than the
//! client takes, or a panic over them) is told beside a record that is whole otherwise ([`Headers::unreadable`]). The
//! engine makes poison of such a record; for whoever asks the headers for a name it has none.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use rdkafka::{Message, message::BorrowedMessage};

use crate::native;

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
    /// What a raw client has fetched, for whoever reads with one: the names of headers are any bytes here, too.
    #[must_use]
    pub fn of(message: &BorrowedMessage<'_>) -> Self {
        native::queue::detach(message.topic().into(), message)
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

pub(crate) fn now_ms() -> i64 {
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
pub struct Headers {
    all: Vec<(Box<[u8]>, Option<Bytes>)>,
    unreadable: Option<String>,
}

impl Headers {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn with_capacity(count: usize) -> Self {
        Self {
            all: Vec::with_capacity(count),
            unreadable: None,
        }
    }

    /// In place of those that a record has and that cannot be read.
    pub(crate) fn lost(why: impl Into<String>) -> Self {
        Self {
            all: Vec::new(),
            unreadable: Some(why.into()),
        }
    }

    pub(crate) fn guarded(read: impl FnOnce() -> Self) -> Self {
        catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Self::lost("reading the headers panicked"))
    }

    #[must_use]
    pub fn with(mut self, name: impl AsRef<[u8]>, value: impl Into<Bytes>) -> Self {
        self.push(name, Some(value.into()));
        self
    }

    pub fn push(&mut self, name: impl AsRef<[u8]>, value: Option<Bytes>) {
        self.all.push((name.as_ref().into(), value));
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().filter(|(header, _)| *header == name.as_bytes()).last()?.1
    }

    /// The header as text; `None` when it is absent, null or not UTF-8.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.get(name)?).ok()
    }

    /// Name and value; a name may be any bytes.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], Option<&[u8]>)> {
        self.all.iter().map(|(name, value)| (&**name, value.as_deref()))
    }

    /// Why the record has headers that are not here.
    #[must_use]
    pub fn unreadable(&self) -> Option<&str> {
        self.unreadable.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_over_the_headers_of_one_record_is_told_and_goes_no_further() {
        let headers = Headers::guarded(|| panic!("on purpose"));
        assert_eq!(headers.iter().len(), 0);
        assert_eq!(headers.unreadable(), Some("reading the headers panicked"));
        assert_eq!(Headers::guarded(Headers::new).unreadable(), None);
    }
}

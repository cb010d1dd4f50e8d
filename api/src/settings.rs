//! The `api:` part of `millrace.yaml`.

use std::{net::SocketAddr, time::Duration};

use serde::Deserialize;

/// Sizes are bytes, times are seconds. Every field has a default.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiSettings {
    /// Where to listen. Loopback only: there are no API keys yet, so whoever reaches the port may use it.
    pub listen: SocketAddr,
    /// Names under which the api is called, beside loopback ones: what is in front of it may keep the caller's `Host`.
    pub hosts: Vec<String>,
    /// The tenant of every request that comes in here.
    pub tenant: String,
    /// The largest request body. It becomes one Kafka record, so it stays below the topic's `max.message.bytes`.
    pub max_body_bytes: usize,
    /// How long `invoke` waits for its result unless the caller says `?wait=`.
    pub invoke_wait_seconds: u64,
    /// The longest wait that a caller can ask for.
    pub max_wait_seconds: u64,
    /// Callers that may wait at the same time; one more gets 503.
    pub max_waiters: usize,
    /// Streams of events that may be open at the same time; one more gets 503.
    pub max_streams: usize,
    /// Recent results that are kept for whoever asks a moment late and for readers of the feed that fall behind or come
    /// back, by number and by bytes. So many are read again when the process starts.
    pub ring_results: usize,
    pub ring_bytes: usize,
    /// After the signal to stop: how long callers may still wait for results before they are sent to collect them later.
    pub grace_seconds: u64,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            hosts: Vec::new(),
            tenant: "default".to_owned(),
            max_body_bytes: 900 * 1024,
            invoke_wait_seconds: 60,
            max_wait_seconds: 600,
            max_waiters: 10_000,
            max_streams: 2_000,
            ring_results: 20_000,
            ring_bytes: 64 * 1024 * 1024,
            grace_seconds: 10,
        }
    }
}

impl ApiSettings {
    pub(crate) fn invoke_wait(&self) -> Duration {
        Duration::from_secs(self.invoke_wait_seconds.min(self.max_wait_seconds))
    }

    pub(crate) fn max_wait(&self) -> Duration {
        Duration::from_secs(self.max_wait_seconds)
    }

    pub(crate) fn grace(&self) -> Duration {
        Duration::from_secs(self.grace_seconds)
    }
}

use serde::Deserialize;

/// The `recorder:` part of `millrace.yaml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecorderSettings {
    /// Records that are written in one transaction at most.
    pub batch_records: usize,
    /// Milliseconds that a batch may wait for more records.
    pub batch_wait_ms: u64,
    /// Bytes of records that may wait in memory for Postgres.
    pub buffer_bytes: usize,
    /// Days that are kept, counted by `accepted_at`. Without it, everything is.
    pub retention_days: Option<u32>,
}

impl Default for RecorderSettings {
    fn default() -> Self {
        Self {
            batch_records: 2_000,
            batch_wait_ms: 10,
            buffer_bytes: 64 * 1024 * 1024,
            retention_days: None,
        }
    }
}

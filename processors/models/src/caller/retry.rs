use std::time::Duration;

/// How often and how patiently one model is tried before the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retry {
    pub(crate) max_attempts: u32,
    pub(crate) initial: Duration,
    pub(crate) factor: u32,
    pub(crate) max: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { max_attempts: 3, initial: Duration::from_millis(500), factor: 2, max: Duration::from_secs(30) }
    }
}

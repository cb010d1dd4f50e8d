//! Waiting for something that is away, longer each time.

use std::{fmt::Display, time::Duration};

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::{failure::with_causes, readiness::Readiness};

pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(100);
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Said once, visible as not ready.
pub(crate) struct Patience<'r> {
    ready: &'r Readiness,
    shutdown: &'r CancellationToken,
    pause: Duration,
    since: Option<Instant>,
}

impl<'r> Patience<'r> {
    pub fn new(ready: &'r Readiness, shutdown: &'r CancellationToken) -> Self {
        Self {
            ready,
            shutdown,
            pause: FIRST_PAUSE,
            since: None,
        }
    }

    pub async fn wait(
        &mut self,
        what: impl Display,
        error: &(dyn std::error::Error + Send + Sync + 'static),
    ) -> Result<(), Stopped> {
        if self.since.is_none() {
            self.since = Some(Instant::now());
            tracing::warn!(error, "waiting for {what}");
        }
        self.ready
            .waiting(format!("waiting for {what}: {}", with_causes(error)));
        tokio::select! {
            () = self.shutdown.cancelled() => return Err(Stopped),
            () = sleep(self.pause) => {}
        }
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }

    pub fn over(&mut self) {
        if let Some(since) = self.since.take() {
            tracing::info!(waited = ?since.elapsed(), "going on");
        }
        self.pause = FIRST_PAUSE;
        self.ready.going_on();
    }
}

/// Told to stop while waiting: what was not written is read again by whoever comes next.
pub(crate) struct Stopped;

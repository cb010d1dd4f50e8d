use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;

use super::{PartsError, kafka, postgres, registry};
use crate::{Launch, Process, ProcessError};

/// A starved machine takes many times the usual two seconds.
pub(super) const READY_WITHIN: Duration = Duration::from_secs(240);
const STOPPED_WITHIN: Duration = Duration::from_secs(60);

/// One of the three: how it starts, and how to ask whether it serves.
#[derive(Debug)]
pub struct Part {
    launch: Launch,
    probe: Probe,
    process: Option<Process>,
}

/// Asked in the part's own protocol.
#[derive(Clone)]
pub(super) enum Probe {
    Kafka(Arc<kafka::Client>),
    Registry { url: String },
    Postgres { url: String },
}

impl Part {
    pub(super) fn new(launch: Launch, probe: Probe) -> Self {
        Self {
            launch,
            probe,
            process: None,
        }
    }

    /// Returns when it answers. Does nothing when it runs.
    pub async fn start(&mut self) -> Result<(), PartsError> {
        if self.process.is_none() {
            self.process = Some(self.launch.start()?);
        }
        self.ready().await
    }

    /// Waits until it answers.
    pub async fn ready(&mut self) -> Result<(), PartsError> {
        let probe = self.probe.clone();
        let process = self.running()?;
        let outcome = crate::until(READY_WITHIN, async || match process.running() {
            Ok(()) => probe.answers().await.then_some(Ok(())),
            Err(ended) => Some(Err(ended)),
        });
        match outcome.await {
            Ok(outcome) => Ok(outcome?),
            Err(_) => Err(self.running()?.late("an answer", READY_WITHIN).into()),
        }
    }

    /// Orderly; its data stays.
    pub async fn stop(&mut self) -> Result<(), PartsError> {
        let Some(process) = self.process.take() else {
            return Ok(());
        };
        let signal = match self.probe {
            // SIGTERM would wait for every client to leave
            Probe::Postgres { .. } => Signal::INT,
            Probe::Kafka(_) | Probe::Registry { .. } => Signal::TERM,
        };
        process.stop_by(signal, STOPPED_WITHIN).await?;
        Ok(())
    }

    /// `kill -9`; its data stays.
    pub fn kill(&mut self) -> Result<(), PartsError> {
        if let Some(process) = self.process.take() {
            process.kill()?;
        }
        Ok(())
    }

    /// Orderly stop and start at the same address with the same data.
    pub async fn restart(&mut self) -> Result<(), PartsError> {
        self.stop().await?;
        self.start().await
    }

    /// `SIGSTOP`: its connections stay open and nothing answers.
    pub fn pause(&mut self) -> Result<(), PartsError> {
        Ok(self.running()?.pause()?)
    }

    pub fn resume(&mut self) -> Result<(), PartsError> {
        Ok(self.running()?.resume()?)
    }

    /// `None` when it is stopped.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    pub fn log(&self) -> &std::path::Path {
        self.launch.log()
    }

    fn running(&mut self) -> Result<&mut Process, PartsError> {
        let stopped = || ProcessError::Stopped {
            name: self.launch.name().to_owned(),
        };
        Ok(self.process.as_mut().ok_or_else(stopped)?)
    }
}

impl Probe {
    async fn answers(&self) -> bool {
        match self {
            Self::Kafka(client) => kafka::answers(client.clone()).await,
            Self::Registry { url } => registry::answers(url).await,
            Self::Postgres { url } => postgres::answers(url).await,
        }
    }
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Kafka(_) => "Kafka",
            Self::Registry { .. } => "Registry",
            Self::Postgres { .. } => "Postgres",
        })
    }
}

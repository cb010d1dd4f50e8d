//! A child process of a test: its log is kept, it can be signalled, and it never outlives its owner.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::until;

/// A running child. Dropping it kills it and everything it started in its process group.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    pid: Pid,
    log: PathBuf,
    /// Held open for as long as the child may live.
    _lifeline: ChildStdin,
}

#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    #[error("cannot open the log {}", path.display())]
    Log { path: PathBuf, source: io::Error },
    #[error("cannot start {name} ({program:?})")]
    Start {
        name: String,
        program: OsString,
        source: io::Error,
    },
    #[error("{name} ended ({status}); its log {} ends with:\n{tail}", log.display())]
    Ended {
        name: String,
        status: ExitStatus,
        log: PathBuf,
        tail: String,
    },
    #[error("{name}: {awaited} not seen in {after:?}; its log {} ends with:\n{tail}", log.display())]
    Late {
        name: String,
        awaited: String,
        after: Duration,
        log: PathBuf,
        tail: String,
    },
    #[error("{name} is stopped")]
    Stopped { name: String },
    #[error("cannot signal {name}")]
    Signal { name: String, source: io::Error },
    #[error("cannot wait for {name}")]
    Wait { name: String, source: io::Error },
}

impl Process {
    pub(crate) fn new(name: String, child: Child, lifeline: ChildStdin, log: PathBuf) -> Self {
        let pid = Pid::from_child(&child);
        Self {
            name,
            child,
            pid,
            log,
            _lifeline: lifeline,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> &Path {
        &self.log
    }

    /// `None` while it runs.
    pub fn exit(&mut self) -> Result<Option<ExitStatus>, ProcessError> {
        self.child.try_wait().map_err(|source| ProcessError::Wait {
            name: self.name.clone(),
            source,
        })
    }

    /// To the process alone, not to its children.
    pub fn signal(&self, signal: Signal) -> Result<(), ProcessError> {
        kill_process(self.pid, signal).map_err(|error| self.signal_error(error.into()))
    }

    /// `SIGSTOP`: everything it holds open stays open, nothing answers.
    pub fn pause(&self) -> Result<(), ProcessError> {
        self.signal_family(Signal::STOP)
    }

    pub fn resume(&self) -> Result<(), ProcessError> {
        self.signal_family(Signal::CONT)
    }

    /// `kill -9`, of its whole group.
    pub fn kill(mut self) -> Result<ExitStatus, ProcessError> {
        self.end()
    }

    /// `SIGTERM`, and `SIGKILL` if it has not ended in time.
    pub async fn stop(self, within: Duration) -> Result<ExitStatus, ProcessError> {
        self.stop_by(Signal::TERM, within).await
    }

    /// `signal`, and `SIGKILL` if it has not ended in time.
    pub async fn stop_by(mut self, signal: Signal, within: Duration) -> Result<ExitStatus, ProcessError> {
        self.signal(signal)?;
        match self.ended(within).await {
            Ok(status) => Ok(status),
            Err(ProcessError::Late { .. }) => self.end(),
            Err(error) => Err(error),
        }
    }

    /// Waits until it ends by itself.
    pub async fn ended(&mut self, within: Duration) -> Result<ExitStatus, ProcessError> {
        let outcome = until(within, async || self.exit().transpose()).await;
        outcome.unwrap_or_else(|_| Err(self.late("its end", within)))
    }

    /// Waits until it ends by itself; anything but exit code 0 is an error with the end of its log.
    pub async fn succeeded(&mut self, within: Duration) -> Result<(), ProcessError> {
        if self.ended(within).await?.success() {
            Ok(())
        } else {
            self.running()
        }
    }

    /// Waits until its log has a line that contains `text`, and returns the first such line.
    pub async fn line(&mut self, text: &str, within: Duration) -> Result<String, ProcessError> {
        let outcome = until(within, async || {
            let log = fs::read(&self.log).unwrap_or_default();
            let found = String::from_utf8_lossy(&log)
                .lines()
                .find(|line| line.contains(text))
                .map(str::to_owned);
            found.map(Ok).or_else(|| self.running().err().map(Err))
        });
        outcome.await.unwrap_or_else(|_| Err(self.late(text, within)))
    }

    /// An error with the end of its log when it no longer runs.
    pub fn running(&mut self) -> Result<(), ProcessError> {
        match self.exit()? {
            None => Ok(()),
            Some(status) => {
                let (log, tail) = (self.log.clone(), tail(&self.log));
                Err(ProcessError::Ended {
                    name: self.name.clone(),
                    status,
                    log,
                    tail,
                })
            }
        }
    }

    pub fn late(&self, awaited: &str, after: Duration) -> ProcessError {
        let (log, tail) = (self.log.clone(), tail(&self.log));
        ProcessError::Late {
            name: self.name.clone(),
            awaited: awaited.to_owned(),
            after,
            log,
            tail,
        }
    }

    fn signal_family(&self, signal: Signal) -> Result<(), ProcessError> {
        self.signal(signal)?;
        let children = Command::new("pgrep").arg("-P").arg(self.pid().to_string()).output();
        let children = children.map_err(|error| self.signal_error(error))?;
        for child in String::from_utf8_lossy(&children.stdout).lines() {
            if let Some(pid) = child.trim().parse().ok().and_then(Pid::from_raw) {
                // a child that ended in between needs no signal
                let _ = kill_process(pid, signal);
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<ExitStatus, ProcessError> {
        // "no such process" is what is wanted
        let _ = self.signal_family(Signal::KILL);
        let _ = kill_process_group(self.pid, Signal::KILL);
        self.child.wait().map_err(|source| ProcessError::Wait {
            name: self.name.clone(),
            source,
        })
    }

    fn signal_error(&self, source: io::Error) -> ProcessError {
        ProcessError::Signal {
            name: self.name.clone(),
            source,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

fn tail(log: &Path) -> String {
    const LINES: usize = 20;
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

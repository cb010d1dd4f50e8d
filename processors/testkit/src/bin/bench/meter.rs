//! CPU and memory of processes over a time.

use std::time::{Duration, Instant};

use anyhow::Context;
use testkit::Usage;

/// Units a second, microseconds of CPU per unit, megabytes resident.
pub type Measured = [f64; 3];

pub struct Meter {
    pid: u32,
    start: Instant,
    before: Usage,
}

impl Meter {
    pub fn start(pid: u32) -> anyhow::Result<Self> {
        Ok(Self {
            pid,
            start: Instant::now(),
            before: usage(pid)?,
        })
    }

    pub fn of_this_process() -> anyhow::Result<Self> {
        Self::start(std::process::id())
    }

    pub fn read(&self, units: u64) -> anyhow::Result<Measured> {
        let (cpu, elapsed) = (self.cpu()?, self.start.elapsed());
        let (after, units) = (usage(self.pid)?, units as f64);
        Ok([
            units / elapsed.as_secs_f64(),
            cpu.as_secs_f64() * 1e6 / units.max(1.0),
            after.resident_bytes as f64 / 1e6,
        ])
    }

    /// Used since the start.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        Ok(usage(self.pid)?.cpu - self.before.cpu)
    }
}

pub fn usage(pid: u32) -> anyhow::Result<Usage> {
    Usage::of(pid).context("there is no /proc here to read CPU and memory from")
}

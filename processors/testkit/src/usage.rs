use std::fs;
use std::time::Duration;

/// What a process has used so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// In user and kernel mode, all threads.
    pub cpu: Duration,
    pub resident_bytes: u64,
}

impl Usage {
    /// `None` where there is no `/proc`, and for a process that is gone.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        // proc_pid_stat(5): utime and stime are fields 14 and 15; the second one, in parentheses, may contain anything
        const TICKS_PER_SECOND: u64 = 100;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, fields) = stat.rsplit_once(')')?;
        let mut times = fields
            .split_whitespace()
            .skip(11)
            .map_while(|field| field.parse::<u64>().ok());
        let ticks = times.next()? + times.next()?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kilobytes: u64 = resident.split_whitespace().next()?.parse().ok()?;
        Some(Self {
            cpu: Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND),
            resident_bytes: kilobytes * 1024,
        })
    }
}

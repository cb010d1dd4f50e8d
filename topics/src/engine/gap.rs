//! The pause after a commit. The coordinator still writes the markers of the transaction then, and one that follows at
//! once is told to come back later: back to back, transactions cost three times as much.
//!
//! Decision: under load it grows. However little a transaction carries, it costs its broker requests, and a marker in each
//! partition that it touches. So results gather for as long as nobody notices, a sixteenth of what the shortest run lately
//! took, until they are enough that the transaction no longer counts. Runs that take no time never wait for it.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

const SHORTEST: Duration = Duration::from_micros(500);
const LONGEST: Duration = Duration::from_millis(1);
const STEP: Duration = Duration::from_micros(100);
/// Results of one transaction beyond which it costs little beside them.
const ENOUGH: u32 = 256;
/// What results gather for at most, and the share of a run's time.
const GATHERED: Duration = Duration::from_millis(20);
const SHARE: u32 = 16;

/// Grows while requests are repeated, shrinks while they are not. The counts are a second old, so it moves once for each
/// new count.
#[derive(Debug)]
pub(super) struct Gap {
    length: Duration,
    retries: u64,
    commits: u64,
    /// The shortest run lately: it is forgotten within some ten commits that saw none as short.
    run: Duration,
}

/// What there is to know of a commit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Commit {
    pub(super) results: usize,
    /// How long the transaction took.
    pub(super) took: Duration,
    /// Since the commit before it ended.
    pub(super) since: Duration,
    /// Of the runs that ended since then.
    pub(super) shortest_run: Duration,
    /// Requests that had to be repeated so far.
    pub(super) retries: u64,
}

/// The shortest of the runs that end.
#[derive(Debug)]
pub(super) struct ShortestRun(AtomicU64);

impl Gap {
    pub(super) fn new() -> Self {
        Self {
            length: SHORTEST,
            retries: 0,
            commits: 0,
            run: Duration::ZERO,
        }
    }

    pub(super) fn after_commit(&mut self, commit: Commit) -> Duration {
        self.settle(commit.retries);
        self.run = (self.run * 5 / 4 + STEP).min(commit.shortest_run);
        let results = u32::try_from(commit.results).unwrap_or(u32::MAX).max(1);
        let enough = (commit.since * ENOUGH / results).saturating_sub(commit.took);
        enough.min(self.run / SHARE).min(GATHERED).max(self.length)
    }

    fn settle(&mut self, retries: u64) {
        self.commits += 1;
        let repeated = retries.saturating_sub(self.retries);
        if repeated * 20 > self.commits {
            self.length = (self.length + STEP).min(LONGEST);
            (self.retries, self.commits) = (retries, 0);
        } else if self.commits >= 1_000 {
            self.length = (self.length - STEP.min(self.length)).max(SHORTEST);
            (self.retries, self.commits) = (retries, 0);
        }
    }
}

impl Default for ShortestRun {
    fn default() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }
}

impl ShortestRun {
    pub(super) fn note(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.0.fetch_min(micros, Ordering::Relaxed);
    }

    /// Since it was last asked.
    pub(super) fn take(&self) -> Duration {
        Duration::from_micros(self.0.swap(u64::MAX, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: Commit = Commit {
        results: 50,
        took: Duration::from_millis(4),
        since: Duration::from_millis(5),
        shortest_run: Duration::ZERO,
        retries: 0,
    };

    #[test]
    fn it_follows_the_retries_within_its_bounds() {
        let mut gap = Gap::new();
        let mut after = |retries| gap.after_commit(Commit { retries, ..COMMIT });
        assert_eq!(after(0), SHORTEST);
        for retries in 1..20 {
            after(retries * 10);
        }
        assert_eq!(after(190), LONGEST);
        for _ in 0..10_000 {
            after(190);
        }
        assert_eq!(after(190), SHORTEST);
    }

    #[test]
    fn results_gather_for_a_sixteenth_of_the_shortest_run_or_until_they_are_enough() {
        let mut gap = Gap::new();
        let slow = Commit {
            shortest_run: Duration::from_millis(160),
            ..COMMIT
        };
        let mut pauses = (0..100).map(|_| gap.after_commit(slow));
        assert_eq!(pauses.next(), Some(SHORTEST));
        assert_eq!(pauses.last(), Some(Duration::from_millis(10)));

        let many = Commit { results: 200, ..slow };
        assert_eq!(gap.after_commit(many), Duration::from_micros(2_400));
        let full = Commit { results: 400, ..slow };
        assert_eq!(gap.after_commit(full), SHORTEST);

        assert_eq!(gap.after_commit(COMMIT), SHORTEST, "a run of no time waits for nobody");
        assert_eq!(gap.after_commit(slow), SHORTEST, "and is remembered");
    }

    #[test]
    fn nothing_gathers_for_long_however_long_runs_take() {
        let mut gap = Gap::new();
        let slow = Commit {
            shortest_run: Duration::from_secs(30),
            results: 1,
            ..COMMIT
        };
        assert_eq!((0..100).map(|_| gap.after_commit(slow)).last(), Some(GATHERED));
    }
}

//! The pause after a commit. The coordinator still writes the markers of the transaction then, and one that follows at
//! once is told to come back later: back to back, transactions cost three times as much.

use std::time::Duration;

const SHORTEST: Duration = Duration::from_micros(500);
const LONGEST: Duration = Duration::from_millis(1);
const STEP: Duration = Duration::from_micros(100);

/// Grows while requests are repeated, shrinks while they are not. The counts are a second old, so it moves once for each
/// new count.
#[derive(Debug)]
pub(super) struct Gap {
    length: Duration,
    retries: u64,
    commits: u64,
}

impl Gap {
    pub(super) fn new() -> Self {
        Self {
            length: SHORTEST,
            retries: 0,
            commits: 0,
        }
    }

    pub(super) fn after_commit(&mut self, retries: u64) -> Duration {
        self.commits += 1;
        let repeated = retries.saturating_sub(self.retries);
        if repeated * 20 > self.commits {
            self.length = (self.length + STEP).min(LONGEST);
            (self.retries, self.commits) = (retries, 0);
        } else if self.commits >= 1_000 {
            self.length = (self.length - STEP.min(self.length)).max(SHORTEST);
            (self.retries, self.commits) = (retries, 0);
        }
        self.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_the_retries_within_its_bounds() {
        let mut gap = Gap::new();
        assert_eq!(gap.after_commit(0), SHORTEST);
        for retries in 1..20 {
            gap.after_commit(retries * 10);
        }
        assert_eq!(gap.after_commit(190), LONGEST);
        for _ in 0..10_000 {
            gap.after_commit(190);
        }
        assert_eq!(gap.after_commit(190), SHORTEST);
    }
}

use rand::Rng;
use std::time::Duration;
use yaml::{Fields, count, duration};

use crate::Worst;

/// How often and how patiently something is tried that fails for a reason which may pass: one model before the next, or a
/// step of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// The first included.
    pub max_attempts: u32,
    /// The longest wait after the first failure.
    pub initial: Duration,
    /// By how much it grows with each failure.
    pub factor: u32,
    /// Where it stops growing.
    pub max: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            initial: Duration::from_millis(500),
            factor: 2,
            max: Duration::from_secs(30),
        }
    }
}

impl Retry {
    /// What a mapping with them among its keys says.
    pub const KEYS: [&str; 4] = ["max_attempts", "initial", "factor", "max"];

    /// [`Self::KEYS`] of a mapping, with the defaults of those that it lacks.
    #[must_use]
    pub fn read(fields: &Fields<'_>) -> Self {
        let default = Self::default();
        let number = |key, default| fields.scalar(key, count).map_or(default, |number| number.value);
        let time = |key, default| fields.scalar(key, duration).map_or(default, |time| time.value);
        Self {
            max_attempts: number("max_attempts", default.max_attempts),
            initial: time("initial", default.initial),
            factor: number("factor", default.factor),
            max: time("max", default.max),
        }
    }

    /// The wait after the `failed`-th attempt failed: what the provider asked for, else exponential with full jitter
    /// (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>), so that many callers that failed
    /// together do not come back together.
    #[must_use]
    pub fn wait(&self, failed: u32, asked: Option<Duration>) -> Duration {
        self.wait_by(failed, asked, &mut rand::rng())
    }

    /// All attempts at something, and the pauses between them at their longest.
    #[must_use]
    pub fn worst(&self, attempt: Worst) -> Worst {
        let pauses = self.max_attempts.saturating_sub(1);
        // By then they have stopped growing.
        let grown = pauses.min(64);
        let longest = self.ceiling(grown).saturating_mul(pauses - grown);
        let time = (1..=grown)
            .map(|failed| self.ceiling(failed))
            .fold(longest, Duration::saturating_add);
        attempt * u64::from(self.max_attempts) + Worst::taking(Some(time))
    }

    fn wait_by(&self, failed: u32, asked: Option<Duration>, random: &mut impl Rng) -> Duration {
        asked.unwrap_or_else(|| self.ceiling(failed).mul_f64(random.random()))
    }

    fn ceiling(&self, failed: u32) -> Duration {
        let factor = self.factor.saturating_pow(failed.saturating_sub(1));
        self.initial.saturating_mul(factor).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn waits_grow_to_their_cap_and_are_spread_below_it() {
        let retry = Retry {
            max_attempts: 9,
            max: Duration::from_secs(3),
            ..Retry::default()
        };
        let ceilings: Vec<u128> = [1, 2, 3, 4, u32::MAX].map(|n| retry.ceiling(n).as_millis()).to_vec();
        assert_eq!(ceilings, [500, 1000, 2000, 3000, 3000]);
        let mut random = StdRng::seed_from_u64(1);
        let waits: Vec<Duration> = (0..100).map(|_| retry.wait_by(2, None, &mut random)).collect();
        assert!(waits.iter().all(|wait| wait.as_millis() <= 1000));
        assert!(waits.iter().any(|wait| wait.as_millis() < 300) && waits.iter().any(|wait| wait.as_millis() > 700));
    }

    #[test]
    fn the_longest_that_it_takes_ends_somewhere() {
        let time = |max_attempts, factor| {
            let retry = Retry {
                max_attempts,
                factor,
                ..Retry::default()
            };
            retry.worst(Worst::taking(Some(Duration::from_secs(10)))).time.unwrap()
        };
        assert_eq!(time(1, 2), Duration::from_secs(10));
        assert_eq!(time(3, 2), Duration::from_millis(31_500));
        assert_eq!(time(101, 1), Duration::from_secs(1_010 + 50));
        assert!(time(u32::MAX, 2) > Duration::from_secs(u64::from(u32::MAX) * 39));
    }

    #[test]
    fn what_the_provider_asks_for_wins() {
        let asked = Some(Duration::from_secs(77));
        assert_eq!(Retry::default().wait(1, asked), Duration::from_secs(77));
    }
}

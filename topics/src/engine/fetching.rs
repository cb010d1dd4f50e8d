//! Partitions whose records cannot be fetched. librdkafka tries again by itself, for ever, and for most reasons that is right;
//! what still fails after some seconds (a batch that no client can decompress, say) needs somebody to know.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::TopicPartition;

/// A leader that moves takes less.
const LASTING: Duration = Duration::from_secs(10);
/// librdkafka says it again within a second: what is silent for longer is over, or stands still for another reason.
const OVER: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(super) struct Fetching {
    failing: BTreeMap<TopicPartition, Failing>,
}

struct Failing {
    since: Instant,
    last: Instant,
    reason: String,
}

impl Fetching {
    pub(super) fn fails(&mut self, partition: &TopicPartition, reason: String, now: Instant) {
        let first = || Failing {
            since: now,
            last: now,
            reason: String::new(),
        };
        let failing = self.failing.entry(partition.clone()).or_insert_with(first);
        if failing.reason != reason {
            tracing::warn!(%partition, reason, "cannot read: the client tries again by itself");
        }
        (failing.last, failing.reason) = (now, reason);
    }

    pub(super) fn goes_on(&mut self, partition: &TopicPartition) {
        self.failing.remove(partition);
    }

    /// What has been failing for long, in words.
    pub(super) fn trouble(&mut self, now: Instant) -> Option<String> {
        self.failing
            .retain(|_, failing| now.duration_since(failing.last) < OVER);
        let lasting = self
            .failing
            .iter()
            .filter(|(_, failing)| now.duration_since(failing.since) >= LASTING);
        let words = |(partition, failing): (&TopicPartition, &Failing)| {
            format!(
                "the records of {partition} cannot be fetched ({}): nothing of it runs until they can, or are deleted",
                failing.reason
            )
        };
        lasting.map(words).reduce(|all, next| format!("{all}; {next}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_fails_for_long_and_still_does_is_trouble() {
        let (partition, other) = (TopicPartition::new("requests", 0), TopicPartition::new("requests", 1));
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut fetching = Fetching::default();
        for second in 0..=12 {
            fetching.fails(&partition, "bad compression".to_owned(), at(second));
            if second == 9 {
                fetching.fails(&other, "not the leader".to_owned(), at(second));
                assert_eq!(fetching.trouble(at(second)), None);
            }
        }
        let told = fetching.trouble(at(12)).unwrap();
        assert!(
            told.contains("requests/0") && told.contains("bad compression"),
            "{told}"
        );
        assert!(!told.contains("requests/1"), "{told}");
        assert_eq!(fetching.trouble(at(17)), None, "it is not said any more");

        fetching.fails(&partition, "bad compression".to_owned(), at(20));
        fetching.goes_on(&partition);
        fetching.fails(&partition, "bad compression".to_owned(), at(31));
        assert_eq!(fetching.trouble(at(31)), None, "it went on meanwhile");
    }
}

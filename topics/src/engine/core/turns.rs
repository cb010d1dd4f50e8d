//! Whose turn it is: stride scheduling over the request topics. While several have records ready each gets slots in
//! proportion to its weight; a topic that was idle does not save up turns.

use std::{collections::BTreeMap, sync::Arc};

/// Divisible by all small weights, so that their shares are exact.
const STRIDE: u64 = 5_040;

#[derive(Debug, Default)]
pub struct Turns {
    topics: BTreeMap<Arc<str>, Topic>,
    now: u64,
}

#[derive(Debug)]
struct Topic {
    stride: u64,
    next: u64,
}

impl Turns {
    pub fn new<'a>(weights: impl IntoIterator<Item = (&'a str, u32)>) -> Self {
        let topics = weights
            .into_iter()
            .map(|(topic, weight)| {
                (
                    Arc::from(topic),
                    Topic {
                        stride: STRIDE / u64::from(weight.max(1)),
                        next: 0,
                    },
                )
            })
            .collect();
        Self { topics, now: 0 }
    }

    /// Of the topics that have something ready, the one whose turn it is.
    pub fn next(&mut self, has_work: impl Fn(&str) -> bool) -> Option<Arc<str>> {
        let now = self.now;
        let (name, topic) = self
            .topics
            .iter_mut()
            .filter(|(name, _)| has_work(name))
            .min_by_key(|(_, topic)| topic.next.max(now))?;
        self.now = topic.next.max(now);
        topic.next = self.now + topic.stride;
        Some(name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_topics_share_by_weight_and_an_idle_one_saves_nothing() {
        let mut turns = Turns::new([("batch", 1), ("interactive", 3)]);
        for _ in 0..100 {
            turns.next(|topic| topic == "batch");
        }
        let interactive = (0..80)
            .filter(|_| turns.next(|_| true).as_deref() == Some("interactive"))
            .count();
        assert!((59..=61).contains(&interactive), "{interactive}");
        assert_eq!(turns.next(|_| false), None);
    }
}

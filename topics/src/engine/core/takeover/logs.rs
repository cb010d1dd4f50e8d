//! Partitions whose committed offset is not there, or no longer in the log. None is guessed: "from the beginning" would
//! run, and pay for, all history again; "from the end" would lose requests. Only of a partition that was added to its topic
//! is it known that it begins at 0; see [`super::Whole`].

use std::collections::BTreeMap;

use super::{Takeover, Verdict, Whole};
use crate::{TopicPartition, engine::core::Committed};

impl Takeover {
    pub(super) fn judge_logs(&mut self, log_starts: &BTreeMap<TopicPartition, i64>, topics: &BTreeMap<String, Whole>) {
        for partition in self.open.clone() {
            let start = log_starts.get(&partition).copied();
            let whole = topics.get(&*partition.topic);
            if let Some((state, whole)) = self.states.get_mut(&partition).zip(whole) {
                state.partitions = whole.known_after(state.partitions);
            }
            let state = self.states.get(&partition).map(|state| state.progress.watermark());
            let verdict = match (state, start) {
                (_, None) => Verdict::Later(format!("where the log of {partition} starts is unknown")),
                (Some(watermark), Some(start)) if start <= watermark => continue,
                (Some(watermark), Some(start)) => Verdict::Refused(format!(
                    "the log of {partition} starts at {start}, after the watermark {watermark} of group {}: records were \
                     deleted before they ran. To go on without them: {}",
                    self.group,
                    self.reset(&partition, start)
                )),
                (None, Some(start)) => match whole.and_then(|whole| whole.added(partition.partition)) {
                    Some(partitions) if start == 0 => {
                        let added = Committed {
                            partitions,
                            ..Committed::first(0)
                        };
                        self.states.insert(partition, added);
                        continue;
                    }
                    Some(_) | None => Verdict::Refused(format!(
                        "group {} has no committed offset for {partition}: none was made, or it expired or was deleted, and \
                         it is not guessed. If the group is new: millrace topics apply. To run everything in the log (and \
                         pay for it): {}",
                        self.group,
                        self.reset(&partition, start)
                    )),
                },
            };
            self.decide(&partition, verdict);
        }
    }

    fn reset(&self, partition: &TopicPartition, to: i64) -> String {
        format!(
            "stop the group, then kafka-consumer-groups.sh --bootstrap-server BROKERS --group {} --topic {}:{} \
             --reset-offsets --to-offset {to} --execute",
            self.group, partition.topic, partition.partition
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::engine::core::{Answer, Found, Step};

    const ME: &str = "group.me";

    fn partition(number: i32) -> TopicPartition {
        TopicPartition::new("requests", number)
    }

    /// A topic of so many partitions whose first ones have these commits.
    fn topic(partitions: u32, commits: &[String]) -> Whole {
        let commit = |(number, metadata): (usize, &String)| (number as i32, (9, metadata.clone()));
        Whole {
            partitions,
            commits: commits.iter().enumerate().map(commit).collect(),
        }
    }

    fn knows(partitions: u32) -> String {
        Committed {
            partitions,
            ..Committed::first(9)
        }
        .encode()
    }

    /// What becomes of this partition, found in this state, with a log that starts there.
    fn verdict(number: i32, committed: Option<(i64, String)>, log_start: i64, topic: &Whole) -> Verdict {
        let mut takeover = Takeover::new(ME, "group", vec![partition(number)]);
        takeover.start();
        let mut step = takeover.next(Answer::Read(Found::from([(partition(number), committed)])));
        loop {
            let answer = match step {
                Step::Inspect { .. } => Answer::Inspected {
                    log_starts: BTreeMap::from([(partition(number), log_start)]),
                    topics: BTreeMap::from([("requests".to_owned(), topic.clone())]),
                },
                Step::Claim { .. } => Answer::Claimed {
                    failed: BTreeMap::new(),
                },
                Step::Done(verdicts) => return verdicts[&partition(number)].clone(),
                step => panic!("{step:?}"),
            };
            step = takeover.next(answer);
        }
    }

    fn refusal(verdict: Verdict) -> String {
        let Verdict::Refused(message) = verdict else {
            panic!("{verdict:?}")
        };
        message
    }

    #[test]
    fn an_added_partition_begins_at_its_start_and_no_other_without_a_commit() {
        let grown = || topic(4, &[knows(2), knows(2)]);
        let Verdict::Claimed(claimed) = verdict(3, None, 0, &grown()) else {
            panic!()
        };
        assert_eq!(
            (claimed.progress.watermark(), claimed.seq, claimed.writer.as_deref()),
            (0, 1, Some(ME))
        );
        assert_eq!(claimed.partitions, 2, "the one between may not have its commit yet");
        assert!(refusal(verdict(1, None, 0, &topic(2, &[]))).contains("millrace topics apply"));
        assert!(refusal(verdict(3, None, 7, &grown())).contains("--reset-offsets --to-offset 7"));
    }

    #[test]
    fn a_partition_whose_commit_expired_was_not_added() {
        let reset_by_hand = topic(2, &[String::new()]);
        assert!(refusal(verdict(1, None, 0, &reset_by_hand)).contains("not guessed"));
        let Verdict::Claimed(first) = verdict(0, Some((9, String::new())), 0, &reset_by_hand) else {
            panic!()
        };
        assert_eq!(first.partitions, 2, "from now on it is known that there were two");
        assert!(refusal(verdict(1, None, 0, &topic(2, &[first.encode()]))).contains("not guessed"));

        let all = topic(4, &[knows(2), knows(2), knows(2), knows(2)]);
        let Verdict::Claimed(grown) = verdict(0, Some((9, knows(2))), 0, &all) else {
            panic!()
        };
        assert_eq!(grown.partitions, 4, "what was added has a commit, and is known");
    }

    #[test]
    fn records_that_were_deleted_before_they_ran_are_told_of() {
        let state = Committed::first(5).encode();
        assert!(refusal(verdict(0, Some((5, state.clone())), 6, &topic(1, &[]))).contains("records were deleted"));
        assert!(matches!(
            verdict(0, Some((5, state)), 5, &topic(1, &[])),
            Verdict::Claimed(_)
        ));
    }

    #[test]
    fn an_operators_reset_is_taken_and_other_peoples_metadata_is_not() {
        let Verdict::Claimed(claimed) = verdict(0, Some((9, String::new())), 0, &topic(1, &[])) else {
            panic!()
        };
        assert_eq!((claimed.progress.watermark(), claimed.seq), (9, 1));
        assert!(refusal(verdict(0, Some((9, "theirs".to_owned())), 0, &topic(1, &[]))).contains("another program"));
        assert!(refusal(verdict(0, Some((9, "mr9.AAAA".to_owned())), 0, &topic(1, &[]))).contains("newer"));
    }

    #[test]
    fn a_pending_transaction_is_ended_by_fencing_its_writer_before_anything_is_claimed() {
        let state = Committed {
            writer: Some("group.other".to_owned()),
            ..Committed::first(3)
        };
        let found = Found::from([(partition(0), Some((3, state.encode())))]);
        let mut takeover = Takeover::new(ME, "group", vec![partition(0)]);
        assert!(matches!(takeover.start(), Step::ReadStable { patient: false, .. }));
        assert!(matches!(takeover.next(Answer::Pending), Step::ReadUnstable { .. }));
        let Step::Fence { writers } = takeover.next(Answer::Read(found.clone())) else {
            panic!()
        };
        assert_eq!(writers, BTreeSet::from(["group.other".to_owned()]));
        let step = takeover.next(Answer::Fenced {
            failed: BTreeMap::new(),
        });
        assert!(matches!(step, Step::ReadStable { patient: true, .. }));
        assert!(
            matches!(takeover.next(Answer::Read(found)), Step::Inspect { .. }),
            "fenced once is enough"
        );
    }
}

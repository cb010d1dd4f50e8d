//! Partitions whose committed offset is not there, or no longer in the log. None is guessed: "from the beginning" would
//! run, and pay for, all history again; "from the end" would lose requests.

use std::collections::{BTreeMap, BTreeSet};

use super::{Takeover, Verdict};
use crate::{TopicPartition, engine::core::Committed};

impl Takeover {
    pub(super) fn judge_logs(
        &mut self,
        log_starts: &BTreeMap<TopicPartition, i64>,
        committed_topics: &BTreeSet<String>,
    ) {
        for partition in self.open.clone() {
            let start = log_starts.get(&partition).copied();
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
                (None, Some(0)) if committed_topics.contains(&*partition.topic) => {
                    self.states.insert(partition, Committed::first(0));
                    continue;
                }
                (None, Some(start)) => Verdict::Refused(format!(
                    "group {} has no committed offset for {partition}, and it is not guessed. If the group is new: \
                     millrace topics apply. To run everything in the log (and pay for it): {}",
                    self.group,
                    self.reset(&partition, start)
                )),
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
    use super::*;
    use crate::engine::core::{Answer, Found, Step};

    const ME: &str = "group.me";

    fn partition(number: i32) -> TopicPartition {
        TopicPartition::new("requests", number)
    }

    /// What becomes of partition 0, found in this state, with a log that starts there.
    fn verdict(committed: Option<(i64, String)>, log_start: i64, topic_has_commits: bool) -> Verdict {
        let mut takeover = Takeover::new(ME, "group", vec![partition(0)]);
        takeover.start();
        let mut step = takeover.next(Answer::Read(Found::from([(partition(0), committed)])));
        loop {
            let answer = match step {
                Step::Inspect { .. } => Answer::Inspected {
                    log_starts: BTreeMap::from([(partition(0), log_start)]),
                    committed_topics: topic_has_commits.then(|| "requests".to_owned()).into_iter().collect(),
                },
                Step::Claim { .. } => Answer::Claimed {
                    failed: BTreeMap::new(),
                },
                Step::Done(verdicts) => return verdicts[&partition(0)].clone(),
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
        let Verdict::Claimed(claimed) = verdict(None, 0, true) else {
            panic!()
        };
        assert_eq!(
            (claimed.progress.watermark(), claimed.seq, claimed.writer.as_deref()),
            (0, 1, Some(ME))
        );
        assert!(refusal(verdict(None, 0, false)).contains("millrace topics apply"));
        assert!(refusal(verdict(None, 7, true)).contains("--reset-offsets --to-offset 7"));
    }

    #[test]
    fn records_that_were_deleted_before_they_ran_are_told_of() {
        let state = Committed::first(5).encode();
        assert!(refusal(verdict(Some((5, state.clone())), 6, true)).contains("records were deleted"));
        assert!(matches!(verdict(Some((5, state)), 5, true), Verdict::Claimed(_)));
    }

    #[test]
    fn an_operators_reset_is_taken_and_other_peoples_metadata_is_not() {
        let Verdict::Claimed(claimed) = verdict(Some((9, String::new())), 0, true) else {
            panic!()
        };
        assert_eq!((claimed.progress.watermark(), claimed.seq), (9, 1));
        assert!(refusal(verdict(Some((9, "theirs".to_owned())), 0, true)).contains("another program"));
        assert!(refusal(verdict(Some((9, "mr9.AAAA".to_owned())), 0, true)).contains("newer"));
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

use super::{finds, history::SECOND};
use crate::chaos::check::Check;

#[test]
fn only_a_crash_leaves_an_attempt_unsettled() {
    finds(&[(Check::Attempt, 1)], |evidence| evidence.faults.clear());
    finds(&[(Check::Attempt, 1)], |evidence| {
        evidence.faults[0].target = "two".to_owned();
    });
    // The process went on writing: another of its lives was ended.
    finds(&[(Check::Attempt, 1)], |evidence| {
        for (process, at) in &mut evidence.workers.last_words {
            if process.worker == "one" {
                *at = 50 * SECOND;
            }
        }
    });
    finds(&[], |evidence| {
        evidence.workers.calls.clear();
        evidence.faults[0].at = 11 * SECOND;
    });
    finds(&[(Check::Attempt, 1), (Check::Postgres, 1)], |evidence| {
        evidence.logs.attempts.remove(0);
    });
}

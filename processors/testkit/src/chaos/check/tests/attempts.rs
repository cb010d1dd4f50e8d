use super::{
    finds,
    history::{SECOND, call},
};
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
    finds(&[(Check::Attempt, 2), (Check::Postgres, 1)], |evidence| {
        evidence.logs.attempts.remove(0);
    });
}

/// Nobody else knows of a call by a process that died right after it.
#[test]
fn the_model_gets_no_call_that_was_not_announced_before() {
    finds(&[(Check::Attempt, 1)], |evidence| evidence.calls.push(call(0, 29)));
    finds(&[(Check::Attempt, 1)], |evidence| evidence.calls.push(call(77, 29)));
    finds(&[(Check::Attempt, 1)], |evidence| evidence.calls[0].at = 9 * SECOND);
    // Of two, the second.
    finds(&[(Check::Attempt, 1)], |evidence| {
        for attempt in &mut evidence.logs.attempts {
            if attempt.attempt_id == "a-102" {
                attempt.at = 26 * SECOND;
            }
        }
    });
    // Announced, and never made.
    finds(&[], |evidence| {
        evidence.calls.pop();
    });
}

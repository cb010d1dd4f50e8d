use super::{
    history::{SECOND, broker_death, claim, commit, state},
    verdict,
};
use crate::chaos::check::{Check, Evidence};

/// The first worker was told that request 4 is done, too, and its result is there; its successor knows nothing of that, and
/// does it again.
fn twice(evidence: &mut Evidence) {
    evidence.workers.commits.insert(2, commit(28, 2, &[4, 5], 3, "w-1"));
    let mut first = evidence.logs.results[4].clone();
    (first.at_ms, first.offset) = (27_999, 50);
    evidence.logs.results.push(first);
}

#[test]
fn what_a_broker_tears_when_it_dies_in_the_middle_of_a_commit_is_counted_apart() {
    let torn = verdict(|evidence| {
        twice(evidence);
        evidence.faults.push(broker_death(28));
    });
    assert!(torn.holds(), "{:#?}", torn.violations);
    assert_eq!((torn.torn_requests, torn.duplicates, torn.results), (1, 0, 7));
}

#[test]
fn it_excuses_nothing_else() {
    let duplicates = |breaks: &dyn Fn(&mut Evidence)| {
        let verdict = verdict(|evidence| {
            twice(evidence);
            breaks(evidence);
        });
        assert_eq!(verdict.torn_requests, 0);
        verdict.duplicates
    };
    // No broker died, or not then.
    assert_eq!(duplicates(&|_| {}), 1);
    assert_eq!(duplicates(&|evidence| evidence.faults.push(broker_death(25))), 1);
    // The worker never got an answer.
    assert_eq!(
        duplicates(&|evidence| {
            evidence.workers.commits.remove(2);
            evidence.faults.push(broker_death(28));
        }),
        1
    );
    // Both results are from after the death.
    assert_eq!(
        duplicates(&|evidence| {
            evidence.faults.push(broker_death(28));
            evidence.logs.results[6].at_ms = 39 * SECOND / 1_000;
        }),
        1
    );
    let another = verdict(|evidence| {
        twice(evidence);
        evidence.faults.push(broker_death(28));
        let again = evidence.logs.results[0].clone();
        evidence.logs.results.push(again);
    });
    let found: Vec<Check> = another.violations.iter().map(|violation| violation.check).collect();
    assert!(found.contains(&Check::Duplicate), "{found:?}");
}

/// The first offset that went back is torn; the other one is not.
#[test]
fn a_torn_request_does_not_hide_another_one_that_went_back() {
    let verdict = verdict(|evidence| {
        twice(evidence);
        // The commit has a number of its own, but its offsets are gone.
        let commits = &mut evidence.workers.commits;
        commits[2] = commit(28, 6, &[], 3, "w-1");
        commits[3] = claim(36, 2, &[5], 4, "w-2");
        commits[4] = commit(41, 6, &[], 5, "w-2");
        commits[5] = commit(59, 6, &[], 6, "");
        evidence.committed[0].metadata = state(6, &[], 6, "");
        evidence.faults.push(broker_death(28));
        for id in [2, 3] {
            let mut first = evidence.logs.results[id].clone();
            (first.at_ms, first.offset) = (27_999, 60 + first.offset);
            evidence.logs.results.push(first);
        }
        // The third has only the result that came much later.
        evidence.logs.results.pop();
    });
    let commits = verdict.violations.iter().filter(|found| found.check == Check::Commit);
    let whats: Vec<&str> = commits.map(|found| found.what.as_str()).collect();
    assert_eq!(verdict.torn_requests, 2);
    assert_eq!(
        whats,
        [
            "a state vouches for a result that was not there",
            "offset 3 was done and is not any more"
        ],
        "{:#?}",
        verdict.violations
    );
}

#[test]
fn a_torn_request_does_not_excuse_another_ones_order() {
    let inversions = |offset: i64| {
        let verdict = verdict(|evidence| {
            twice(evidence);
            evidence.faults.push(broker_death(28));
            // Of the key of request 4, before or after its first result.
            let mut second = evidence.logs.results[2].clone();
            (second.offset, second.at_ms) = (offset, 27_000);
            evidence.logs.results[2] = second;
            evidence.logs.results[4].offset = 70;
        });
        assert_eq!(verdict.torn_requests, 1);
        verdict.order_inversions
    };
    assert_eq!(inversions(40), 0);
    assert_eq!(inversions(55), 1);
}

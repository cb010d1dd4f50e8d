use super::{
    history::{SECOND, broker_death, commit},
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

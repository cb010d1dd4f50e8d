use super::{
    finds,
    history::{SECOND, broker_death, claim, commit, state},
    verdict,
};
use crate::chaos::check::{Check, Evidence, evidence::ProcessName};

#[test]
fn at_the_end_all_is_done_and_nobody_writes() {
    let end = |offset, metadata: String| {
        move |evidence: &mut Evidence| {
            evidence.committed[0].offset = Some(offset);
            evidence.committed[0].metadata = metadata;
        }
    };
    finds(&[(Check::Commit, 1)], end(5, state(5, &[], 5, "")));
    finds(&[(Check::Commit, 1)], end(6, state(6, &[], 5, "w-2")));
    finds(&[(Check::Commit, 2)], end(3, state(3, &[5], 5, "")));
    finds(&[(Check::Commit, 1)], end(6, state(6, &[], 4, "")));
    finds(&[(Check::Commit, 1)], end(6, "somebody else's".to_owned()));
    finds(&[(Check::Commit, 1)], |evidence| evidence.committed[0].offset = None);
}

#[test]
fn no_state_forgets_what_was_done() {
    // The map is stripped at the takeover: it is gone, and what comes next has a result already.
    finds(&[(Check::Commit, 2)], |evidence| {
        evidence.workers.commits[2] = claim(36, 2, &[], 3, "w-2");
    });
    // A claim that knows more than anybody committed.
    finds(&[(Check::Commit, 1)], |evidence| {
        evidence.workers.commits[2] = claim(36, 3, &[5], 3, "w-2");
    });
    finds(&[(Check::Commit, 1)], |evidence| {
        let fork = commit(41, 6, &[], 4, "w-1");
        evidence.workers.commits.push(fork);
    });
}

/// Nobody told of the third state; what follows is counted on.
fn one_untold(evidence: &mut Evidence) {
    let commits = &mut evidence.workers.commits;
    commits[2] = claim(36, 2, &[5], 4, "w-2");
    commits[3] = commit(41, 6, &[], 5, "w-2");
    commits[4] = commit(59, 6, &[], 6, "");
    evidence.committed[0].metadata = state(6, &[], 6, "");
}

/// And not of the one between the two that the second worker told of.
fn untold_in_a_tenure(evidence: &mut Evidence) {
    let commits = &mut evidence.workers.commits;
    commits[4] = commit(59, 6, &[], 6, "");
    evidence.committed[0].metadata = state(6, &[], 6, "");
}

#[test]
fn a_state_may_be_missing_only_if_its_own_writer_could_not_tell() {
    // The first worker was killed at 30.
    let untold = verdict(one_untold);
    assert!(untold.holds(), "{:#?}", untold.violations);
    assert_eq!(untold.commits_untold, 1);
    // One death silences one state.
    finds(&[(Check::Commit, 1)], |evidence| {
        one_untold(evidence);
        let commits = &mut evidence.workers.commits;
        commits.remove(1);
        commits[0].at = 25 * SECOND;
    });
    // It is not its writer that died, nor anybody between the two.
    finds(&[(Check::Commit, 1), (Check::Attempt, 1)], |evidence| {
        one_untold(evidence);
        evidence.faults[0].target = "two".to_owned();
        evidence.faults[0].at = 45 * SECOND;
    });
    // Somebody had claimed it, and died of that.
    finds(&[(Check::Attempt, 1)], |evidence| {
        one_untold(evidence);
        evidence.faults[0].target = "three".to_owned();
        evidence.faults[0].at = 33 * SECOND;
        evidence.workers.last_words.insert(
            ProcessName {
                worker: "three".to_owned(),
                pid: 13,
            },
            32 * SECOND,
        );
    });
}

#[test]
fn within_a_tenure_only_the_writer_itself_excuses_a_missing_state() {
    finds(&[(Check::Commit, 1)], untold_in_a_tenure);
    // Neither what happens to brokers, nor to others, nor what is over: the writer lives, and tells.
    finds(&[(Check::Commit, 1)], |evidence| {
        untold_in_a_tenure(evidence);
        evidence.faults.push(broker_death(50));
        let mut death = evidence.faults[0].clone();
        (death.at, death.target) = (50 * SECOND, "three".to_owned());
        evidence.faults.push(death);
        evidence.workers.aborted.push((50 * SECOND, "w-1".to_owned()));
        evidence.workers.aborted.push((40 * SECOND, "w-2".to_owned()));
    });
    finds(&[], |evidence| {
        untold_in_a_tenure(evidence);
        evidence.workers.aborted.push((50 * SECOND, "w-2".to_owned()));
    });
}

#[test]
fn a_commit_may_be_undone_only_by_a_broker_that_dies_at_that_moment() {
    let forgotten = |evidence: &mut Evidence| {
        // The first worker was told that request 4 is done, too; its successor knows nothing of it.
        evidence.workers.commits.insert(2, commit(28, 2, &[4, 5], 3, "w-1"));
    };
    finds(&[(Check::Commit, 3)], forgotten);
    finds(&[(Check::Commit, 3)], |evidence| {
        forgotten(evidence);
        evidence.faults.push(broker_death(35));
    });
    let undone = verdict(|evidence| {
        forgotten(evidence);
        evidence.faults.push(broker_death(28));
    });
    assert!(undone.holds(), "{:#?}", undone.violations);
    assert_eq!(undone.commits_undone, 1);
}

#[test]
fn a_state_vouches_for_the_results_that_are_there() {
    // Done was committed first, and its results came later: one for each.
    finds(&[(Check::Commit, 3)], |evidence| {
        for id in [0, 1, 5] {
            evidence.logs.results[id].at_ms = 22_000;
        }
    });
    // The result was there, and the claim in front of it did not say so.
    finds(&[(Check::Commit, 1)], |evidence| {
        evidence.logs.results[4].at_ms = 20_000;
    });
}

#[test]
fn nothing_hangs() {
    finds(&[(Check::Hanging, 1)], |evidence| {
        evidence.logs.ends[1].stable_end = Some(5);
    });
    finds(&[(Check::Hanging, 1)], |evidence| {
        evidence.logs.ends[1].stable_end = None;
    });
    finds(&[(Check::Hanging, 1)], |evidence| evidence.logs.ends[1].is_stuck = true);
    finds(&[(Check::Hanging, 1)], |evidence| {
        evidence.committed[0].is_pending = true;
    });
}

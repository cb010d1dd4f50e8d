use super::{
    history::{claim, commit},
    verdict,
};
use crate::chaos::check::{Check, Evidence};

fn kills_with_map(breaks: impl FnOnce(&mut Evidence)) -> u64 {
    verdict(breaks).kills_with_map
}

/// It died at 30, and its last word was a map with offset 5 above watermark 2.
#[test]
fn a_death_left_a_map_only_if_the_dead_held_it_until_then() {
    assert_eq!(kills_with_map(|_| {}), 1);
    assert_eq!(
        kills_with_map(|evidence| evidence.workers.commits[1] = commit(21, 2, &[], 2, "w-1")),
        0
    );
    assert_eq!(
        kills_with_map(|evidence| evidence.workers.commits[1].is_release = true),
        0
    );
    assert_eq!(
        kills_with_map(|evidence| evidence.workers.commits[2] = claim(29, 2, &[5], 3, "w-2")),
        0
    );
    assert_eq!(
        kills_with_map(|evidence| evidence.faults[0].target = "two".to_owned()),
        0
    );
}

#[test]
fn a_call_is_not_cut_off_by_the_death_of_a_recorder() {
    let verdict = verdict(|evidence| {
        evidence.faults[0].target = "recorder-2".to_owned();
        let crash = evidence.faults[0].crash.as_mut().expect("it is a death");
        crash.point = Some("recorder_begun".to_owned());
    });
    let found: Vec<Check> = verdict.violations.iter().map(|violation| violation.check).collect();
    assert!(found.contains(&Check::Attempt), "{found:?}");
}

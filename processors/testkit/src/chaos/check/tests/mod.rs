//! The checker is checked: a made-up history that holds, and for each check one that breaks exactly it.

mod attempts;
mod audit;
mod commits;
mod dead_letters;
mod deaths;
mod decisions;
mod emitted;
mod feed;
mod history;
mod http;
mod order;
mod postgres;
mod reader;
mod results;
mod torn;

use std::collections::BTreeMap;

use history::history;

use super::{Check, Evidence, Verdict, judge};

#[test]
fn a_history_that_holds_is_found_to_hold() {
    let verdict = verdict(|_| {});
    assert!(verdict.holds(), "{:#?}", verdict.violations);
    assert_eq!((verdict.requests, verdict.results, verdict.dead_letters), (6, 6, 1));
    assert_eq!(
        (verdict.kills, verdict.kills_with_map, verdict.in_flight_at_kills),
        (1, 1, 2)
    );
    assert_eq!((verdict.attempts_cut_off, verdict.commits_untold), (1, 0));
}

fn verdict(breaks: impl FnOnce(&mut Evidence)) -> Verdict {
    let mut evidence = history();
    breaks(&mut evidence);
    judge(&evidence)
}

/// What was violated, and how often each.
#[track_caller]
fn finds(expected: &[(Check, usize)], breaks: impl FnOnce(&mut Evidence)) {
    let verdict = verdict(breaks);
    let mut found: BTreeMap<Check, usize> = BTreeMap::new();
    for violation in &verdict.violations {
        assert!(!violation.evidence.is_empty(), "{violation:?} shows nothing");
        *found.entry(violation.check).or_default() += 1;
    }
    let expected: BTreeMap<Check, usize> = expected.iter().copied().collect();
    assert_eq!(found, expected, "{:#?}", verdict.violations);
}

//! Who died, and what it left behind by its own words.

use std::collections::BTreeMap;

use super::{
    Evidence,
    evidence::{Commit, Workers},
    intervals::Done,
};
use crate::chaos::Fault;

/// Of a process of Millrace that may have had work.
#[must_use]
pub fn is_death(fault: &Fault) -> bool {
    fault.crash.is_some() || matches!(fault.kind.as_str(), "kill_worker" | "crash_point")
}

/// A recorder makes no calls and holds no partitions of requests.
#[must_use]
pub fn is_recorder(fault: &Fault) -> bool {
    let point = fault.crash.as_ref().and_then(|crash| crash.point.as_deref());
    point.is_some_and(|point| point.starts_with("recorder"))
}

/// Whether the worker that died held a partition in which something was done above the watermark: what its heir must not
/// do again.
#[must_use]
pub fn left_a_map(evidence: &Evidence, death: &Fault) -> bool {
    let workers = &evidence.workers;
    let mut held: BTreeMap<(&str, i32), &Commit> = BTreeMap::new();
    let own = workers.commits.iter();
    for commit in own.filter(|commit| commit.at <= death.at && is_of(workers, commit, &death.target)) {
        let last = held.entry((&commit.topic, commit.partition)).or_insert(commit);
        if commit.seq >= last.seq {
            *last = commit;
        }
    }
    let mut left = held.into_values().filter(|commit| {
        let done = Done::decode(commit.watermark, &commit.map);
        !commit.is_release && done.is_some_and(|done| !done.is_prefix())
    });
    left.any(|commit| !was_taken(workers, commit, death.at))
}

fn is_of(workers: &Workers, commit: &Commit, worker: &str) -> bool {
    let process = workers.writers.get(&commit.writer);
    process.is_some_and(|process| process.worker == worker)
}

/// Somebody else claimed the partition after this commit and before that time.
fn was_taken(workers: &Workers, commit: &Commit, before: i64) -> bool {
    workers.commits.iter().any(|other| {
        other.is_claim
            && other.seq > commit.seq
            && other.at <= before
            && other.partition == commit.partition
            && other.topic == commit.topic
    })
}

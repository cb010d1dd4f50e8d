//! Who may have committed a state that nobody told of. A worker tells of each claim and each commit as soon as it has the
//! answer, so the silence must be somebody's whose transaction that was: one that died, or that says itself that it got no
//! answer. Each acquits one state of a partition: a process has one claim or transaction under way.

use super::{
    Evidence,
    commits::{ROUNDING, is_of_brokers},
    deaths::{is_death, is_recorder},
    evidence::Commit,
};
use crate::chaos::Fault;

/// The clocks of driver and workers, and the time between a signal and its line.
const SLACK: i64 = 1_000_000;
/// How long a writer may wait for the answer to a commit that its heir has long found: the timeout of a transaction, and some.
const LATE: i64 = 15_000_000;

/// How many of the states between these two, in the order of their numbers.
pub fn acquitted(evidence: &Evidence, last: &Commit, next: &Commit) -> u64 {
    let until = if next.is_claim { next.at + LATE } else { next.at };
    let aborted = evidence.workers.aborted.iter();
    let aborted = aborted.filter(|(at, writer)| *writer == last.writer && (last.at..=until).contains(at));
    let mut count = aborted.count();
    if next.is_claim {
        count += deaths(evidence, last, next) + lost_claims(evidence, last, next);
    }
    // Who commits without a claim in front of it has held the partition since the last state: it lives.
    count as u64
}

/// The last writer's own death, or that of one who had just claimed the partition.
fn deaths(evidence: &Evidence, last: &Commit, next: &Commit) -> usize {
    let writer = evidence.workers.writers.get(&last.writer);
    let is_writers = |fault: &Fault| writer.is_some_and(|process| process.worker == fault.target);
    let deaths = evidence.faults.iter();
    let deaths = deaths.filter(|fault| is_death(fault) && !is_recorder(fault) && fault.at >= last.at - SLACK);
    let in_time = |fault: &&Fault| fault.at <= next.at + if is_writers(fault) { LATE } else { SLACK };
    deaths.filter(in_time).count()
}

/// A claim is a plain commit of offsets: when its answer is lost with a broker or a connection, it is made again, and nobody
/// writes that down.
fn lost_claims(evidence: &Evidence, last: &Commit, next: &Commit) -> usize {
    let time = last.at - LATE..=next.at + ROUNDING;
    let faults = evidence.faults.iter();
    faults
        .filter(|fault| is_of_brokers(fault) && time.contains(&fault.at))
        .count()
}

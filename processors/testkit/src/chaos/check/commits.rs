//! Check 4: the committed states. At the end everything is done and nobody writes; on the way each state holds all that
//! the one before it held, is its successor by number, and vouches only for results that are there.

use std::collections::{BTreeMap, HashMap};

use topics::engine::core::Committed;

use super::{
    Check, Evidence, Findings,
    evidence::{Commit, CommittedState, LogEnd},
    intervals::Done,
    missing,
};
use crate::chaos::Fault;

/// Kafka's timestamps are whole milliseconds, in microseconds.
pub const ROUNDING: i64 = 2_000;
/// How soon before or after a commit's answer the death of a broker explains that its markers were never written.
const MARKERS: i64 = 1_000_000;

/// What is no violation, but worth telling.
#[derive(Debug, Default)]
pub struct Told {
    /// States that were committed and nobody lived to tell of.
    pub untold: u64,
    /// Commits that a broker acknowledged, and forgot when it died before it had written the markers
    /// ([KAFKA-20734](https://issues.apache.org/jira/browse/KAFKA-20734)): no reader has seen anything of them.
    pub undone: u64,
}

pub fn check(evidence: &Evidence, findings: &mut Findings) -> Told {
    hanging(evidence, findings);
    finally(evidence, findings);
    let times = result_times(evidence);
    let mut told = Told::default();
    for commits in by_partition(evidence).into_values() {
        let kept = without_undone(evidence, &commits);
        told.undone += (commits.len() - kept.len()) as u64;
        told.untold += history(evidence, kept, &times, findings);
    }
    told
}

/// In the order of their numbers.
pub fn by_partition(evidence: &Evidence) -> BTreeMap<(&str, i32), Vec<&Commit>> {
    let mut partitions: BTreeMap<(&str, i32), Vec<&Commit>> = BTreeMap::new();
    for commit in &evidence.workers.commits {
        partitions
            .entry((&commit.topic, commit.partition))
            .or_default()
            .push(commit);
    }
    for commits in partitions.values_mut() {
        commits.sort_by_key(|commit| (commit.seq, commit.at));
    }
    partitions
}

/// In microseconds since 1970.
pub fn brokers_deaths(evidence: &Evidence) -> Vec<i64> {
    let is_death = |fault: &&Fault| {
        matches!(
            fault.kind.as_str(),
            "kill_broker" | "kill_coordinator" | "restart_broker"
        )
    };
    evidence.faults.iter().filter(is_death).map(|fault| fault.at).collect()
}

/// Without those whose number was given again after a broker had died at that very moment. What they carried is judged all
/// the same: if it had become visible, its results would be there twice.
fn without_undone<'e>(evidence: &Evidence, commits: &[&'e Commit]) -> Vec<&'e Commit> {
    let deaths = brokers_deaths(evidence);
    let is_undone = |commit: &Commit, next: Option<&&Commit>| {
        next.is_some_and(|next| next.seq == commit.seq)
            && !commit.is_claim
            && deaths.iter().any(|death| (death - commit.at).abs() <= MARKERS)
    };
    let nexts = commits.iter().skip(1).map(Some).chain([None]);
    let pairs = commits.iter().zip(nexts);
    pairs
        .filter(|(commit, next)| !is_undone(commit, *next))
        .map(|(commit, _)| *commit)
        .collect()
}

/// Where readers, and whoever would take over, wait for ever.
fn hanging(evidence: &Evidence, findings: &mut Findings) {
    for end in &evidence.logs.ends {
        if end.stable_end.is_none_or(|stable_end| stable_end < end.end) {
            let what = "a transaction is still open: readers cannot pass it";
            findings.found(Check::Hanging, what, [shown(end)]);
        } else if end.is_stuck {
            let what = "a partition cannot be read to its end";
            findings.found(Check::Hanging, what, [shown(end)]);
        }
    }
    for state in evidence.committed.iter().filter(|state| state.is_pending) {
        let what = "offsets of a transaction are pending that nobody ends: nobody can take over";
        findings.found(Check::Hanging, what, [shown_state(state)]);
    }
}

fn finally(evidence: &Evidence, findings: &mut Findings) {
    let ends: HashMap<(&str, i32), &LogEnd> = evidence
        .logs
        .ends
        .iter()
        .map(|end| ((end.topic.as_str(), end.partition), end))
        .collect();
    let mut told: HashMap<(&str, i32), u64> = HashMap::new();
    for commit in &evidence.workers.commits {
        let seq = told.entry((&commit.topic, commit.partition)).or_default();
        *seq = commit.seq.max(*seq);
    }
    for state in &evidence.committed {
        let place = (state.topic.as_str(), state.partition);
        let Some(end) = ends.get(&place) else { continue };
        let shown = [shown_state(state), shown(end)];
        let Some(offset) = state.offset else {
            findings.found(Check::Commit, "a partition of the group has no commit", shown);
            continue;
        };
        let committed = match Committed::decode(offset, &state.metadata) {
            Ok(committed) => committed,
            Err(error) => {
                findings.found(Check::Commit, format!("a committed state is no state: {error}"), shown);
                continue;
            }
        };
        if offset < end.next || offset > end.end {
            let what = "the watermark is not at the end of the log";
            findings.found(Check::Commit, what, shown.clone());
        }
        if !committed.progress.is_empty() {
            let what = "the map is not empty at the end";
            findings.found(Check::Commit, what, shown.clone());
        }
        if let Some(writer) = &committed.writer {
            let what = format!("a partition was not released: {writer} still writes");
            findings.found(Check::Commit, what, shown.clone());
        }
        if told.get(&place).is_some_and(|seq| *seq > committed.seq) {
            findings.found(
                Check::Commit,
                "a later state was committed than the one that is there",
                shown,
            );
        }
    }
}

/// When the result of each request was written, by request partition and offset.
fn result_times(evidence: &Evidence) -> HashMap<(&str, i64), i64> {
    let results = evidence.logs.results.iter();
    results
        .filter_map(|result| {
            let (partition, offset) = result.header.src.rsplit_once('/')?;
            Some(((partition, offset.parse().ok()?), result.at_ms * 1_000))
        })
        .collect()
}

fn history(
    evidence: &Evidence,
    commits: Vec<&Commit>,
    times: &HashMap<(&str, i64), i64>,
    findings: &mut Findings,
) -> u64 {
    let mut untold = 0;
    let mut before: Option<(&Commit, Done)> = None;
    for commit in commits {
        let Some(done) = Done::decode(commit.watermark, &commit.map) else {
            findings.found(Check::Commit, "a worker committed what is no state", [commit.shown()]);
            continue;
        };
        let Some((last, last_done)) = &before else {
            before = Some((commit, done));
            continue;
        };
        let shown = || [last.shown(), commit.shown()];
        if commit.seq == last.seq {
            let what = "two states were committed under one number";
            findings.found(Check::Commit, what, shown());
        } else if commit.seq > last.seq + 1 {
            let missing = commit.seq - last.seq - 1;
            untold += missing;
            let acquitted = missing::acquitted(evidence, last, commit);
            if missing > acquitted {
                let what = format!("{missing} states are missing between two, and {acquitted} had reason to be");
                findings.found(Check::Commit, what, shown());
            }
        }
        let request = |offset: i64| format!("{}/{}/{offset}", commit.topic, commit.partition);
        let forgotten = last_done.beyond(&done);
        let forgotten: Vec<i64> = forgotten
            .filter(|offset| !findings.is_torn(&request(*offset)))
            .collect();
        if let Some(offset) = forgotten.first() {
            let what = match forgotten.len() {
                1 => format!("offset {offset} was done and is not any more"),
                many => format!("{many} offsets from {offset} on were done and are not any more"),
            };
            let request = format!("request {}", request(*offset));
            findings.found(Check::Commit, what, shown().into_iter().chain([request]));
        }
        vouched(last, last_done, commit, &done, times, findings);
        before = Some((commit, done));
    }
    untold
}

/// Of brokers, or of the network to them.
pub fn is_of_brokers(fault: &Fault) -> bool {
    let kind = fault.kind.as_str();
    matches!(kind, "kill_broker" | "kill_coordinator" | "restart_broker") || kind.starts_with("proxy_")
}

/// What became done between two states was written between them: not after the state that vouches for it, and not before
/// one by the same writer that did not know of it.
fn vouched(
    last: &Commit,
    last_done: &Done,
    next: &Commit,
    done: &Done,
    times: &HashMap<(&str, i64), i64>,
    findings: &mut Findings,
) {
    let partition = format!("{}/{}", next.topic, next.partition);
    for offset in done.beyond(last_done) {
        // An offset without a result holds no request: check 1 knows better.
        let Some(at) = times.get(&(partition.as_str(), offset)) else {
            continue;
        };
        let shown = || {
            let result = format!("the result of {partition}/{offset} was written at {at}");
            [last.shown(), next.shown(), result]
        };
        if next.is_claim && next.seq == last.seq + 1 {
            findings.found(
                Check::Commit,
                format!("a claim made offset {offset} done that was not"),
                shown(),
            );
        } else if *at > next.at + ROUNDING {
            let what = "a state vouches for a result that was not there";
            findings.found(Check::Commit, what, shown());
        } else if last.writer == next.writer && *at < last.at - ROUNDING && next.seq == last.seq + 1 {
            let what = "a result was there before, and the state did not know of it";
            findings.found(Check::Commit, what, shown());
        }
    }
}

fn shown_state(state: &CommittedState) -> String {
    format!(
        "committed {}/{}: offset {:?}, metadata {:?}",
        state.topic, state.partition, state.offset, state.metadata
    )
}

fn shown(end: &LogEnd) -> String {
    format!(
        "log {}/{}: last record before {}, end {}, stable end {:?}",
        end.topic, end.partition, end.next, end.end, end.stable_end
    )
}

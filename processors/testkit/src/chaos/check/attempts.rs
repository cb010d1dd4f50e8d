//! Check 2, the write-ahead: a paid call was announced before it left, also by the word of the model that got it, and only a
//! crash leaves it unsettled.

use std::collections::{HashMap, HashSet};

use schemas::phase;

use super::{
    Check, Evidence, Findings,
    deaths::{is_death, is_recorder},
    evidence::{AttemptRecord, ModelCall, ProcessName},
};
use crate::chaos::Fault;

/// A process that was killed may still write for this long by the driver's clock, in microseconds.
const SLACK: i64 = 1_000_000;

/// Returns how many announced calls a crash cut off.
pub fn check(evidence: &Evidence, findings: &mut Findings) -> u64 {
    let logs = &evidence.logs;
    let ended: HashSet<&str> = logs
        .attempts
        .iter()
        .filter(|attempt| attempt.phase != phase::STARTED)
        .map(|attempt| attempt.attempt_id.as_str())
        .chain(logs.audit.iter().filter_map(|row| row.attempt_id.as_deref()))
        .collect();
    let mut started: HashMap<&str, &AttemptRecord> = HashMap::new();
    for attempt in logs.attempts.iter().filter(|attempt| attempt.phase == phase::STARTED) {
        started.entry(&attempt.attempt_id).or_insert(attempt);
    }
    let deaths = evidence.faults.iter();
    let deaths: Vec<&Fault> = deaths.filter(|fault| is_death(fault) && !is_recorder(fault)).collect();
    let mut cut_off = 0;
    for (id, attempt) in &started {
        if ended.contains(id) {
            continue;
        }
        if died(evidence, attempt, &deaths) {
            cut_off += 1;
        } else {
            let called = evidence.workers.calls.get(*id);
            let caller =
                called.map(|(process, at)| format!("called by {} (pid {}) at {at}", process.worker, process.pid));
            findings.found(
                Check::Attempt,
                "an attempt was never settled, and its worker did not die",
                std::iter::once(attempt.shown()).chain(caller),
            );
        }
    }
    for row in logs.audit.iter().filter(|row| !row.is_run && row.cost > 0) {
        if row.attempt_id.as_deref().is_some_and(|id| !started.contains_key(id)) {
            findings.found(
                Check::Attempt,
                "a paid call was not announced before it left",
                [row.shown()],
            );
        }
    }
    announced(evidence, findings);
    cut_off
}

/// Who is paid knows what came: at any moment no more calls of a request than were announced by then. A call that left
/// unannounced, by a process that then died, shows in nobody's books but these.
fn announced(evidence: &Evidence, findings: &mut Findings) {
    let mut announced: HashMap<&str, Vec<i64>> = HashMap::new();
    let attempts = evidence.logs.attempts.iter();
    for attempt in attempts.filter(|attempt| attempt.phase == phase::STARTED) {
        announced.entry(&attempt.request_id).or_default().push(attempt.at);
    }
    announced.values_mut().for_each(|times| times.sort_unstable());
    let mut calls: Vec<&ModelCall> = evidence.calls.iter().collect();
    calls.sort_by_key(|call| call.at);
    let mut came: HashMap<&str, usize> = HashMap::new();
    for call in calls {
        let times = announced.get(call.request_id.as_str()).map_or(&[][..], Vec::as_slice);
        let number = came.entry(&call.request_id).or_default();
        match times.get(*number) {
            Some(at) if *at <= call.at => {}
            Some(at) => findings.found(
                Check::Attempt,
                "a call came to the model before it was announced",
                [call.shown(), format!("announced at {at}")],
            ),
            None => findings.found(
                Check::Attempt,
                "the model got more calls for a request than were announced",
                [call.shown(), format!("{} announced", times.len())],
            ),
        }
        *number += 1;
    }
}

/// Whether the process that made the call was killed afterwards. It may have been killed before it could say that it
/// called: then any death soon after the announcement will do.
fn died(evidence: &Evidence, attempt: &AttemptRecord, deaths: &[&Fault]) -> bool {
    let workers = &evidence.workers;
    let Some((process, _)) = workers.calls.get(&attempt.attempt_id) else {
        return deaths
            .iter()
            .any(|death| (attempt.at - SLACK..attempt.at + 30 * SLACK).contains(&death.at));
    };
    let last_words = workers.last_words.get(process).copied().unwrap_or(attempt.at);
    let hit = |target: &str| target == process.worker || !knows(evidence, target);
    deaths
        .iter()
        .any(|death| hit(&death.target) && death.at >= attempt.at - SLACK && death.at + SLACK >= last_words)
}

fn knows(evidence: &Evidence, target: &str) -> bool {
    let mut names = evidence.workers.last_words.keys();
    names.any(|ProcessName { worker, .. }| worker == target)
}

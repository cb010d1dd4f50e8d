//! Transactions that a broker tore: it died after it had acknowledged a commit and written some of its markers, and left out
//! the others when it came back ([KAFKA-20734](https://issues.apache.org/jira/browse/KAFKA-20734)). Some of what was committed is
//! visible then and some is not, neither its offsets, so its requests run again. No client can mend that; it is counted apart,
//! and it acquits nothing else.

use std::collections::{BTreeMap, HashSet};

use super::{
    Evidence,
    commits::{ROUNDING, brokers_deaths, by_partition},
    evidence::Commit,
    intervals::Done,
};

/// Between the answer to a commit and the last of its markers, in microseconds; generous, for a busy machine.
const MARKERS: i64 = 200_000;

/// `topic/partition/offset` of the requests that have one result from such a transaction and another from after it: of a
/// commit whose worker got its answer in the moment in which the broker died. Who repeats what it has no answer for, or
/// forgets anything older, is not meant.
#[must_use]
pub fn requests(evidence: &Evidence) -> HashSet<String> {
    let deaths = brokers_deaths(evidence);
    let mut suspects: BTreeMap<String, i64> = BTreeMap::new();
    for ((topic, partition), commits) in by_partition(evidence) {
        for pair in commits.windows(2) {
            let [last, commit] = pair else { continue };
            let death = deaths.iter().find(|death| (*death - commit.at).abs() <= MARKERS);
            let (Some(death), false) = (death, commit.is_claim) else {
                continue;
            };
            let done = |commit: &Commit| Done::decode(commit.watermark, &commit.map);
            let (Some(before), Some(after)) = (done(last), done(commit)) else {
                continue;
            };
            let offsets = after.beyond(&before);
            suspects.extend(offsets.map(|offset| (format!("{topic}/{partition}/{offset}"), *death)));
        }
    }
    let mut times: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for result in &evidence.logs.results {
        if suspects.contains_key(&result.header.src) {
            times.entry(&result.header.src).or_default().push(result.at_ms * 1_000);
        }
    }
    let is_torn = |(src, times): &(&str, Vec<i64>)| {
        let death = suspects[*src];
        let [earlier, later] = [times.iter().min(), times.iter().max()];
        times.len() == 2 && earlier.is_some_and(|at| *at <= death + ROUNDING) && later.is_some_and(|at| *at > death)
    };
    let torn = times.into_iter().filter(is_torn);
    torn.map(|(src, _)| src.to_owned()).collect()
}

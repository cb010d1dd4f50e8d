//! Check 5: a reader that was there all the time saw the committed results, all of them, in order, each once.

use std::collections::{BTreeMap, HashMap};

use super::{Check, Evidence, Findings};
use crate::chaos::Seen;

pub fn check(evidence: &Evidence, findings: &mut Findings) {
    let committed: HashMap<(i32, i64), _> = evidence
        .logs
        .results
        .iter()
        .map(|result| ((result.partition, result.offset), result))
        .collect();
    let mut places: BTreeMap<(i32, i64), &Seen> = BTreeMap::new();
    let mut sources: HashMap<&str, &Seen> = HashMap::new();
    let mut last: HashMap<i32, &Seen> = HashMap::new();
    for seen in &evidence.seen {
        if let Some(before) = last.insert(seen.partition, seen)
            && before.offset >= seen.offset
        {
            findings.found(
                Check::Reader,
                "the reader went backwards in a partition",
                [shown(before), shown(seen)],
            );
        }
        if let Some(first) = sources.insert(&seen.src, seen) {
            findings.found(
                Check::Reader,
                "the reader saw two results of one request",
                [shown(first), shown(seen)],
            );
        }
        places.insert((seen.partition, seen.offset), seen);
        match committed.get(&(seen.partition, seen.offset)) {
            None => findings.found(
                Check::Reader,
                "the reader saw a result that was never committed",
                [shown(seen)],
            ),
            Some(result) if (&result.header.src, &result.header.request_id) != (&seen.src, &seen.request_id) => {
                findings.found(
                    Check::Reader,
                    "the reader saw another result than was committed at its place",
                    [shown(seen), result.shown()],
                );
            }
            Some(_) => {}
        }
    }
    for result in &evidence.logs.results {
        if !places.contains_key(&(result.partition, result.offset)) {
            let is_last = last
                .get(&result.partition)
                .is_none_or(|seen| seen.offset < result.offset);
            let what = if is_last {
                "the reader ended before it saw a committed result"
            } else {
                "the reader passed over a committed result"
            };
            findings.found(Check::Reader, what, [result.shown()]);
        }
    }
}

fn shown(seen: &Seen) -> String {
    format!(
        "seen {}/{} at {}: src {}, request {}",
        seen.partition, seen.offset, seen.at, seen.src, seen.request_id
    )
}

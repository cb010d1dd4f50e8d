//! Check 5, over HTTP: who reads the feed and comes back with the id of the last event gets each result of its tenant once, in
//! the order of each partition, and none is missing before the last one that it got.

use std::collections::BTreeMap;

use schemas::identity::DEFAULT_TENANT;

use super::{Check, Evidence, Findings, evidence::ResultRecord};

pub fn check(evidence: &Evidence, findings: &mut Findings) {
    if evidence.fed.is_empty() {
        return;
    }
    let mut results: BTreeMap<(i32, i64), &ResultRecord> = BTreeMap::new();
    for result in &evidence.logs.results {
        if result.body.tenant == DEFAULT_TENANT {
            results.insert((result.partition, result.offset), result);
        }
    }
    let mut last: BTreeMap<i32, i64> = BTreeMap::new();
    for fed in &evidence.fed {
        let place = format!("fed {}/{} at {}", fed.partition, fed.offset, fed.at);
        if let Some(gap) = &fed.gap {
            findings.found(
                Check::Feed,
                "the feed could not go on where it was left",
                [format!("{place}: {gap}")],
            );
            continue;
        }
        let before = last.get(&fed.partition).copied().unwrap_or(-1);
        if fed.offset <= before {
            let shown = format!("{place}, after {before}");
            findings.found(Check::Feed, "the feed went backwards in a partition", [shown]);
            continue;
        }
        for (_, missing) in results.range((fed.partition, before + 1)..(fed.partition, fed.offset)) {
            let what = "the feed passed over a committed result";
            findings.found(Check::Feed, what, [place.clone(), missing.shown()]);
        }
        if !results.contains_key(&(fed.partition, fed.offset)) {
            let what = "the feed has a result that was never committed for its tenant";
            findings.found(Check::Feed, what, [place]);
        }
        last.insert(fed.partition, fed.offset);
    }
}

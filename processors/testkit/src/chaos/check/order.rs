//! Check 3: results of one key, within one request partition, follow the order of their requests. A request whose first
//! result came from a torn transaction runs again whenever it does: its first result counts.

use std::collections::{HashMap, HashSet};

use super::{Check, Evidence, Findings, evidence::ResultRecord};

pub fn check(evidence: &Evidence, findings: &mut Findings) {
    let mut results: Vec<&ResultRecord> = evidence.logs.results.iter().collect();
    results.sort_by_key(|result| (result.partition, result.offset));
    let mut homes: HashMap<u64, &ResultRecord> = HashMap::new();
    let mut last: HashMap<(u64, &str), (i64, &ResultRecord)> = HashMap::new();
    let mut torn: HashSet<&str> = HashSet::new();
    for result in results {
        let Some(key) = result.key else { continue };
        let home = homes.entry(key).or_insert(result);
        if home.partition != result.partition {
            findings.found(
                Check::Order,
                "results of one key lie in two partitions",
                [home.shown(), result.shown()],
            );
        }
        if findings.is_torn(&result.header.src) && !torn.insert(&result.header.src) {
            continue;
        }
        let Some((partition, offset)) = result.header.src.rsplit_once('/') else {
            continue;
        };
        let Ok(offset) = offset.parse::<i64>() else { continue };
        match last.get_mut(&(key, partition)) {
            // The same request again is a duplicate, and said to be one.
            Some((before, earlier)) if offset < *before => findings.found(
                Check::Order,
                "the result of a later request of the same key came first",
                [earlier.shown(), result.shown()],
            ),
            Some(known) => *known = (offset, result),
            None => {
                last.insert((key, partition), (offset, result));
            }
        }
    }
}

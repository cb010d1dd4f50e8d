//! Check 2: one `run` row for each result, one `attempt` row for each attempt that it says it took.

use std::collections::{HashMap, HashSet};

use super::{Check, Evidence, Findings, evidence::AuditRecord};

pub fn check(evidence: &Evidence, findings: &mut Findings) {
    let logs = &evidence.logs;
    let mut runs: HashMap<&str, Vec<&AuditRecord>> = HashMap::with_capacity(logs.results.len());
    let mut attempts: HashMap<&str, Vec<&AuditRecord>> = HashMap::new();
    let mut ids = HashMap::new();
    for row in &logs.audit {
        let of_kind = if row.is_run { &mut runs } else { &mut attempts };
        of_kind.entry(&row.src).or_default().push(row);
        if row.is_run {
            continue;
        }
        match row.attempt_id.as_deref() {
            None => findings.found(Check::Audit, "an attempt's audit row names no attempt", [row.shown()]),
            Some(id) => {
                if let Some(first) = ids.insert(id, row) {
                    findings.found(
                        Check::Duplicate,
                        "an attempt has two audit rows",
                        [first.shown(), row.shown()],
                    );
                }
            }
        }
    }
    // The failure that takes the place of a refused result keeps the rows of the attempts, and says no cost itself.
    let replaced: HashSet<&str> = logs.dead_letters.iter().map(|letter| letter.src.as_str()).collect();
    for result in &logs.results {
        let src = result.header.src.as_str();
        match runs.remove(src).as_deref() {
            None => findings.found(Check::AuditMissing, "a result has no audit row", [result.shown()]),
            Some([row]) if (&row.request_id, row.turn) != (&result.body.request_id, result.turn) => findings.found(
                Check::Audit,
                "a result and its audit row name different runs",
                [result.shown(), row.shown()],
            ),
            Some([row]) if row.cost != result.cost => findings.found(
                Check::Audit,
                format!("a result costs {} and its audit row {}", result.cost, row.cost),
                [result.shown(), row.shown()],
            ),
            Some([_]) => {}
            Some(many) => findings.found(
                Check::Duplicate,
                "a result has more than one audit row",
                std::iter::once(result.shown()).chain(many.iter().map(|row| row.shown())),
            ),
        }
        let paid = attempts.remove(src).unwrap_or_default();
        let shown = || std::iter::once(result.shown()).chain(paid.iter().map(|row| row.shown()));
        let (said, rows) = (usize::try_from(result.attempts).unwrap_or_default(), paid.len());
        if rows < said {
            let what = format!("a result took {said} attempts and has audit rows for {rows}");
            findings.found(Check::AuditMissing, what, shown());
        } else if replaced.contains(src) {
            continue;
        } else if rows > said {
            let what = format!("a result took {said} attempts and has audit rows for {rows}");
            findings.found(Check::Audit, what, shown());
        } else if paid.iter().map(|row| row.cost).sum::<i64>() != result.cost {
            let what = format!("a result costs {}, which is not what its attempts cost", result.cost);
            findings.found(Check::Audit, what, shown());
        }
    }
    for strays in runs.into_values().chain(attempts.into_values()) {
        findings.found(
            Check::Audit,
            "audit rows without a result",
            strays.iter().map(|row| row.shown()),
        );
    }
}

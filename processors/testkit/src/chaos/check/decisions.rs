//! Check 8, approvals: whoever decides first decides, and that takes effect once, whatever is broken meanwhile.

use std::collections::HashMap;

use schemas::status;

use super::{
    Check, Evidence, Findings,
    evidence::{ResultRecord, json_fingerprint},
};
use crate::chaos::Decision;

/// Returns how many runs went on.
pub fn check(evidence: &Evidence, findings: &mut Findings) -> u64 {
    let mut decisions: HashMap<&str, Vec<&Decision>> = HashMap::new();
    for decision in &evidence.decisions {
        decisions.entry(&decision.request_id).or_default().push(decision);
    }
    let mut results: HashMap<&str, Vec<&ResultRecord>> = HashMap::new();
    for result in evidence.logs.results.iter().filter(|result| result.turn > 0) {
        results.entry(&result.body.request_id).or_default().push(result);
    }
    let mut decided = 0;
    for (id, decisions) in decisions {
        let results = results.remove(id).unwrap_or_default();
        decided += u64::from(!results.is_empty());
        one(&decisions, &results, findings);
    }
    for strays in results.into_values() {
        findings.found(
            Check::Decision,
            "a run went on, and nobody had decided",
            strays.iter().map(|result| result.shown()),
        );
    }
    decided
}

fn one(decisions: &[&Decision], results: &[&ResultRecord], findings: &mut Findings) {
    let shown = || {
        let decisions = decisions.iter().map(|decision| shown(decision));
        decisions.chain(results.iter().map(|result| result.shown()))
    };
    let accepted: Vec<&&Decision> = decisions
        .iter()
        .filter(|said| matches!(said.status, 200 | 202))
        .collect();
    if accepted.windows(2).any(|pair| pair[0].output != pair[1].output) {
        findings.found(Check::Decision, "two decisions about one run were accepted", shown());
    }
    if decisions.iter().any(|said| !matches!(said.status, 0 | 200 | 202 | 409)) {
        findings.found(Check::Decision, "a run that waits could not be decided about", shown());
    }
    match results {
        [] if decisions.iter().any(|said| matches!(said.status, 200 | 202 | 409)) => {
            findings.found(Check::Decision, "a decision had no effect", shown());
        }
        [] => {}
        [result] => {
            let is_of = |decision: &Decision| result.output == Some(json_fingerprint(&decision.output));
            let is_right = match accepted.as_slice() {
                // whose answer was lost is not known
                [] => decisions.iter().copied().any(is_of),
                accepted => accepted.iter().copied().any(|decision| is_of(decision)),
            };
            if result.status != status::COMPLETED || !is_right {
                findings.found(Check::Decision, "a run did not go on as was decided", shown());
            }
        }
        _ => findings.found(Check::Decision, "a decision took effect more than once", shown()),
    }
}

fn shown(decision: &Decision) -> String {
    format!(
        "at {} {} was decided to end as {}: HTTP {} {}",
        decision.at, decision.request_id, decision.output, decision.status, decision.problem
    )
}

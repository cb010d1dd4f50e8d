//! Check 6, callers: an answer is the committed result. No answer, or one that says the wait was over, says nothing of a
//! run; so that an api that gives no other does not pass, more than a quarter of all calls must have their result. In two runs
//! of 90 s, with all their faults, 62 and 72 % had.

use std::collections::{BTreeMap, HashMap};

use schemas::status;
use serde_json::Value;

use super::{
    Check, Evidence, Findings,
    evidence::{HttpAnswer, ResultRecord, json_fingerprint},
};

/// Nobody has answered, too early, or somebody between us could not wait: the run goes on. A 504 is also the answer to a
/// run that was cancelled at its deadline.
const SAYS_NOTHING: [u16; 7] = [0, 202, 408, 429, 500, 503, 504];

pub fn check(evidence: &Evidence, findings: &mut Findings) {
    let mut results: HashMap<&str, Vec<&ResultRecord>> = HashMap::new();
    for result in &evidence.logs.results {
        results.entry(&result.body.request_id).or_default().push(result);
    }
    enough(&evidence.http, findings);
    for answer in &evidence.http {
        if SAYS_NOTHING.contains(&answer.status) {
            continue;
        }
        let of_id = results.get(answer.request_id.as_str()).map_or(&[][..], Vec::as_slice);
        let is_true = if answer.status == 200 {
            let output = output(answer).as_ref().map(json_fingerprint);
            of_id
                .iter()
                .any(|result| result.status == status::COMPLETED && result.output == output)
        } else {
            // Refused at the door, or the run failed.
            of_id.is_empty() || of_id.iter().any(|result| result.status != status::COMPLETED)
        };
        if !is_true {
            let said = format!(
                "HTTP {} for {} at {}: {:.200}",
                answer.status,
                answer.request_id,
                answer.at,
                answer.body.to_string()
            );
            findings.found(
                Check::Http,
                "an answer is not the committed result",
                std::iter::once(said).chain(of_id.iter().map(|result| result.shown())),
            );
        }
    }
}

/// Whatever is broken meanwhile: a fault of some seconds does not outlast the wait of a caller.
fn enough(answers: &[HttpAnswer], findings: &mut Findings) {
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    for answer in answers {
        *statuses.entry(answer.status).or_default() += 1;
    }
    let answered = statuses.get(&200).copied().unwrap_or_default();
    if answered * 4 <= answers.len() && !answers.is_empty() {
        let shown = statuses.iter().map(|(status, count)| format!("{count} times {status}"));
        let what = format!(
            "of {} calls only {answered} were answered with their results",
            answers.len()
        );
        findings.found(Check::Http, what, shown);
    }
}

fn output(answer: &HttpAnswer) -> Option<Value> {
    let parsed;
    let body = match &answer.body {
        Value::String(text) => {
            parsed = serde_json::from_str::<Value>(text).ok()?;
            &parsed
        }
        body => body,
    };
    body.get("output").cloned()
}

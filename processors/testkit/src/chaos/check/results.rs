//! Check 1: every record of the request topics leads to exactly one result, and no result to anything else.

use std::collections::{HashMap, HashSet};

use super::{
    Check, Evidence, Findings,
    evidence::{Acknowledged, ResultRecord},
};

pub fn check(evidence: &Evidence, findings: &mut Findings) {
    let logs = &evidence.logs;
    let mut results: HashMap<&str, Vec<&ResultRecord>> = HashMap::with_capacity(logs.results.len());
    for result in &logs.results {
        results.entry(&result.header.src).or_default().push(result);
        if result.header != result.body {
            let said = format!("headers {:?}, record {:?}", result.header, result.body);
            findings.found(
                Check::Stray,
                "a result's headers and its record disagree about whose it is",
                [result.shown(), said],
            );
        }
    }
    let mut known = HashMap::with_capacity(logs.requests.len());
    for request in &logs.requests {
        let src = request.src();
        let shown = format!("request {src}: {}, {:?}", request.request_id, request.form);
        match results.remove(src.as_str()).as_deref() {
            None => findings.found(Check::Lost, "a request has no result", [shown]),
            Some([result]) => {
                if (&result.body.request_id, &result.body.tenant) != (&request.request_id, &request.tenant) {
                    findings.found(
                        Check::Stray,
                        "a result has another identity than its request",
                        [shown.clone(), result.shown()],
                    );
                }
                if result.key != request.key {
                    findings.found(
                        Check::Stray,
                        "a result has another key than its request",
                        [shown, result.shown()],
                    );
                }
            }
            Some(many) => findings.found(
                Check::Duplicate,
                "a request has more than one result",
                std::iter::once(shown).chain(many.iter().map(|result| result.shown())),
            ),
        }
        known.insert(src, request.request_id.as_str());
    }
    for strays in results.into_values() {
        findings.found(
            Check::Stray,
            "a result of a request that is not in the log",
            strays.iter().map(|result| result.shown()),
        );
    }
    acknowledged(evidence, &known, findings);
    for (place, why) in &logs.unreadable {
        findings.found(
            Check::Stray,
            "a record that Millrace wrote cannot be read",
            [format!("{place}: {why}")],
        );
    }
}

/// What a broker acknowledged is in its log, where it said.
fn acknowledged(evidence: &Evidence, known: &HashMap<String, &str>, findings: &mut Findings) {
    let mut places = HashSet::with_capacity(evidence.acknowledged.len());
    for said in &evidence.acknowledged {
        let src = format!("{}/{}/{}", said.topic, said.partition, said.offset);
        let shown = format!("acknowledged {}: {src}", said.request_id);
        if said.offset < 0 {
            if !is_in_partition(evidence, said) {
                findings.found(Check::Lost, "an acknowledged request is not in the log", [shown]);
            }
            continue;
        }
        match known.get(&src) {
            None => findings.found(Check::Lost, "an acknowledged request is not in the log", [shown]),
            Some(request_id) if !said.request_id.is_empty() && **request_id != *said.request_id => findings.found(
                Check::Lost,
                "another request lies where this one was acknowledged",
                [shown, format!("{src} holds {request_id}")],
            ),
            Some(_) => {}
        }
        if !places.insert(src) {
            findings.found(
                Check::Lost,
                "two requests were acknowledged at the same place",
                [format!("{}/{}/{}", said.topic, said.partition, said.offset)],
            );
        }
    }
}

/// Sent again after its acknowledgement was lost: the broker knows that it has it, and does not say where.
fn is_in_partition(evidence: &Evidence, said: &Acknowledged) -> bool {
    let mut requests = evidence.logs.requests.iter();
    requests.any(|request| {
        (&request.topic, request.partition, &request.request_id) == (&said.topic, said.partition, &said.request_id)
    })
}

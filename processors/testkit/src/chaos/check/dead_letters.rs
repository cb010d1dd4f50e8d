//! Check 1, poison: one failed result and one dead letter with the bytes as they were. Which record a chain refuses is the
//! chain's to know; that nobody can take this one can be seen from its bytes.

use std::collections::HashMap;

use schemas::status;

use super::{
    Check, Evidence, Findings,
    evidence::{DeadLetterRecord, Form},
};

pub fn check(evidence: &Evidence, findings: &mut Findings) {
    let logs = &evidence.logs;
    let mut letters: HashMap<&str, Vec<&DeadLetterRecord>> = HashMap::new();
    for letter in &logs.dead_letters {
        letters.entry(&letter.src).or_default().push(letter);
    }
    let results: HashMap<&str, _> = logs
        .results
        .iter()
        .map(|result| (result.header.src.as_str(), result))
        .collect();
    for request in &logs.requests {
        let src = request.src();
        let result = results.get(src.as_str());
        let of_request = letters.remove(src.as_str()).unwrap_or_default();
        let shown = || {
            let request = format!("request {src}: {}, {:?}", request.request_id, request.form);
            let rest = of_request.iter().map(|letter| shown(letter));
            [request]
                .into_iter()
                .chain(result.map(|result| result.shown()))
                .chain(rest)
                .collect::<Vec<_>>()
        };
        let never_ran = result.is_some_and(|result| result.status == status::FAILED && !result.has_chain);
        let is_poison = matches!(request.form, Form::Undecodable | Form::Invalid) || never_ran;
        match of_request.as_slice() {
            [] if is_poison => findings.found(Check::DeadLetter, "poison has no dead letter", shown()),
            [] => {}
            [letter] if letter.bytes != request.bytes => {
                findings.found(
                    Check::DeadLetter,
                    "a dead letter has other bytes than its request",
                    shown(),
                );
            }
            [_] => {}
            _ => findings.found(Check::Duplicate, "a request has more than one dead letter", shown()),
        }
        let has_failed = result.is_none_or(|result| result.status == status::FAILED);
        if !has_failed && (is_poison || !of_request.is_empty()) {
            findings.found(Check::DeadLetter, "a dead letter comes with a failed result", shown());
        }
    }
    for strays in letters.into_values() {
        findings.found(
            Check::Stray,
            "a dead letter of a request that is not in the log",
            strays.iter().map(|letter| shown(letter)),
        );
    }
}

fn shown(letter: &DeadLetterRecord) -> String {
    format!("dead letter {}/{}: {}", letter.partition, letter.offset, letter.src)
}

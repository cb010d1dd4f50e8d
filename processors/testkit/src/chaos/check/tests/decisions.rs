use schemas::status;
use serde_json::json;

use super::{
    finds,
    history::{self, SECOND},
    verdict,
};
use crate::chaos::{
    Decision,
    check::{Check, Evidence, judge},
};

/// Request 2 goes on with what request 1 has interrupted: two people decided, the second as the run ended.
fn decided(evidence: &mut Evidence) {
    let logs = &mut evidence.logs;
    logs.results[1].status = status::INTERRUPTED.to_owned();
    for request in &mut logs.requests[2..3] {
        request.request_id = "r-1".to_owned();
    }
    let result = &mut logs.results[2];
    result.turn = 1;
    (result.header.request_id, result.body.request_id) = ("r-1".to_owned(), "r-1".to_owned());
    for row in logs.audit.iter_mut().filter(|row| row.request_id == "r-2") {
        (row.request_id, row.turn) = ("r-1".to_owned(), 1);
    }
    evidence.acknowledged[2].request_id = "r-1".to_owned();
    evidence.seen[2].request_id = "r-1".to_owned();
    evidence
        .http
        .retain(|answer| !["r-1", "r-2"].contains(&answer.request_id.as_str()));
    let row = &mut evidence.tables.runs[2];
    (row.request_id, row.turn) = ("r-1".to_owned(), 1);
    evidence.decisions = [(2, 202), (7, 409)]
        .map(|(id, status)| Decision {
            at: 25 * SECOND,
            request_id: "r-1".to_owned(),
            output: json!({"a": 1, "b": [id]}),
            status,
            problem: String::new(),
        })
        .to_vec();
}

fn finds_one(breaks: impl FnOnce(&mut Evidence)) {
    finds(&[(Check::Decision, 1)], |evidence| {
        decided(evidence);
        breaks(evidence);
    });
}

#[test]
fn who_decides_first_decides() {
    let mut evidence = history::history();
    decided(&mut evidence);
    let verdict = judge(&evidence);
    assert!(verdict.holds(), "{:#?}", verdict.violations);
    assert_eq!(verdict.decided, 1);

    finds_one(|evidence| evidence.decisions[1].status = 202);
    finds_one(|evidence| evidence.decisions.clear());
    // The other one counted.
    finds_one(|evidence| {
        (evidence.decisions[0].status, evidence.decisions[1].status) = (409, 202);
    });
    finds_one(|evidence| evidence.decisions[0].output = json!("another"));
    finds_one(|evidence| evidence.decisions[1].status = 404);
    finds_one(|evidence| evidence.logs.results[2].status = status::FAILED.to_owned());
    finds_one(|evidence| {
        let mut nothing = evidence.decisions[0].clone();
        nothing.request_id = "r-4".to_owned();
        evidence.decisions.push(nothing);
    });
}

/// Nobody shows the request of a decision but its result: that it is there twice is for other checks, too.
#[test]
fn a_decision_takes_effect_once() {
    let verdict = verdict(|evidence| {
        decided(evidence);
        let mut again = evidence.logs.results[2].clone();
        again.header.src = "t.requests/0/77".to_owned();
        evidence.logs.results.push(again);
    });
    let mut found = verdict.violations.iter().filter(|found| found.check == Check::Decision);
    assert_eq!(found.next().unwrap().what, "a decision took effect more than once");
}

#[test]
fn whose_answer_was_lost_may_have_decided() {
    finds(&[], |evidence| {
        decided(evidence);
        evidence.decisions[0].status = 0;
        evidence.decisions[1].status = 409;
    });
}

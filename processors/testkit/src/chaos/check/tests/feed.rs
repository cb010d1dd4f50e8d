use super::{finds, history::SECOND};
use crate::chaos::{
    Fed,
    check::{Check, Evidence},
};

/// All of it.
fn fed(evidence: &mut Evidence) {
    for result in &mut evidence.logs.results {
        for identity in [&mut result.header, &mut result.body] {
            "default".clone_into(&mut identity.tenant);
        }
    }
    for request in &mut evidence.logs.requests {
        "default".clone_into(&mut request.tenant);
    }
    for record in &mut evidence.logs.emitted {
        "default".clone_into(&mut record.identity.tenant);
    }
    for run in &mut evidence.tables.runs {
        "default".clone_into(&mut run.tenant);
    }
    evidence.fed = (0..6)
        .map(|offset| Fed {
            at: 50 * SECOND,
            partition: 0,
            offset,
            gap: None,
        })
        .collect();
}

fn finds_one(breaks: impl FnOnce(&mut Vec<Fed>)) {
    finds(&[(Check::Feed, 1)], |evidence| {
        fed(evidence);
        breaks(&mut evidence.fed);
    });
}

#[test]
fn who_comes_back_to_the_feed_misses_nothing_and_gets_nothing_twice() {
    finds(&[], fed);
    // what it has not got yet is not missing
    finds(&[], |evidence| {
        fed(evidence);
        evidence.fed.truncate(3);
    });
    finds_one(|fed| drop(fed.remove(2)));
    finds_one(|fed| fed.insert(3, fed[2].clone()));
    finds_one(|fed| {
        let mut aborted = fed[5].clone();
        aborted.offset = 6;
        fed.push(aborted);
    });
    finds_one(|fed| {
        let mut gap = fed[5].clone();
        gap.gap = Some("slow".to_owned());
        fed.push(gap);
    });
}

#[test]
fn the_feed_shows_no_results_of_another_tenant() {
    finds(&[(Check::Feed, 1)], |evidence| {
        fed(evidence);
        let result = &mut evidence.logs.results[4];
        for identity in [&mut result.header, &mut result.body] {
            "acme".clone_into(&mut identity.tenant);
        }
        "acme".clone_into(&mut evidence.logs.requests[4].tenant);
        "acme".clone_into(&mut evidence.tables.runs[4].tenant);
    });
}

use super::finds;
use crate::chaos::check::Check;

/// The same request twice is two requests, of which the second result is kept beside the first.
#[test]
fn a_request_that_its_client_sent_twice_is_no_duplicate() {
    finds(&[], |evidence| {
        evidence.logs.requests[4].request_id = "r-2".to_owned();
        evidence.logs.results[4].header.request_id = "r-2".to_owned();
        evidence.logs.results[4].body.request_id = "r-2".to_owned();
        for row in evidence.logs.audit.iter_mut().filter(|row| row.request_id == "r-4") {
            row.request_id = "r-2".to_owned();
        }
        evidence.acknowledged[4].request_id = "r-2".to_owned();
        evidence.seen[4].request_id = "r-2".to_owned();
        evidence.http.retain(|answer| answer.request_id != "r-4");
        let mut second = evidence.tables.runs.remove(4);
        (second.request_id, second.request_src) = ("r-2".to_owned(), None);
        evidence.tables.duplicate_results.push(second);
    });
}

#[test]
fn a_request_without_a_result_is_lost() {
    let lost = [
        (Check::Lost, 1),
        (Check::Audit, 2),
        (Check::Reader, 1),
        (Check::Postgres, 1),
        (Check::Http, 1),
    ];
    finds(&lost, |evidence| {
        evidence.logs.results.remove(4);
    });
    finds(&[(Check::Lost, 1)], |evidence| evidence.acknowledged[0].offset = 77);
    finds(&[(Check::Lost, 1)], |evidence| {
        evidence.acknowledged[0].request_id = "x".to_owned();
    });
    finds(&[(Check::Lost, 1)], |evidence| {
        let again = evidence.acknowledged[0].clone();
        evidence.acknowledged.push(again);
    });
}

#[test]
fn a_second_result_is_a_duplicate() {
    let twice = [
        (Check::Duplicate, 1),
        (Check::Reader, 1),
        (Check::AuditMissing, 2),
        (Check::Postgres, 1),
    ];
    finds(&twice, |evidence| {
        let mut again = evidence.logs.results[4].clone();
        again.offset = 6;
        evidence.logs.results.push(again);
    });
}

#[test]
fn a_result_belongs_to_its_request() {
    finds(&[(Check::Stray, 1)], |evidence| {
        evidence.logs.results[1].header.tenant = "another".to_owned();
    });
    finds(&[(Check::Stray, 1)], |evidence| evidence.logs.results[5].key = Some(9));
    finds(&[(Check::Stray, 1)], |evidence| {
        evidence
            .logs
            .unreadable
            .push(("t.results/0/9".to_owned(), "corrupt".to_owned()));
    });
    let orphan = [(Check::Stray, 1), (Check::Postgres, 1)];
    finds(&orphan, |evidence| {
        evidence.logs.requests.pop();
        evidence.acknowledged.pop();
    });
}

#[test]
fn an_acknowledgement_without_a_place_is_believed_if_the_request_is_there() {
    finds(&[], |evidence| evidence.acknowledged[0].offset = -1_001);
    finds(&[(Check::Lost, 1)], |evidence| {
        evidence.acknowledged[0].offset = -1_001;
        evidence.acknowledged[0].request_id = "x".to_owned();
    });
}

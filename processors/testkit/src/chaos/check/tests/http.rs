use serde_json::json;

use super::{finds, verdict};
use crate::chaos::check::Check;

#[test]
fn an_answer_is_the_committed_result() {
    finds(&[(Check::Http, 1)], |evidence| {
        evidence.http[0].body = json!({"output": "another"});
    });
    finds(&[], |evidence| {
        evidence.http[0].body = json!(evidence.http[0].body.to_string());
        evidence.http[1].status = 504;
        evidence.http[2].status = 0;
    });
    finds(&[(Check::Http, 1)], |evidence| evidence.http[0].status = 502);
}

#[test]
fn an_api_that_has_no_answer_for_most_does_not_pass() {
    for status in [0, 503, 504] {
        finds(&[(Check::Http, 1)], |evidence| {
            for answer in evidence.http.iter_mut().skip(1) {
                answer.status = status;
                answer.request_id.clear();
            }
        });
    }
    let verdict = verdict(|evidence| evidence.http[0].status = 504);
    assert_eq!((verdict.http_calls, verdict.http_answered), (5, 4));
}

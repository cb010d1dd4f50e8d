use serde_json::json;

use super::finds;
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

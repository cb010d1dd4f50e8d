use super::finds;
use crate::chaos::check::Check;

#[test]
fn results_of_a_key_follow_its_requests() {
    finds(&[(Check::Order, 1)], |evidence| {
        let results = &mut evidence.logs.results;
        (results[0].offset, results[2].offset) = (results[2].offset, results[0].offset);
        let seen = &mut evidence.seen;
        (seen[0].offset, seen[2].offset) = (seen[2].offset, seen[0].offset);
        seen.sort_by_key(|seen| seen.offset);
    });
    finds(&[(Check::Order, 1)], |evidence| {
        evidence.logs.results[4].partition = 1;
        evidence.seen[4].partition = 1;
    });
}

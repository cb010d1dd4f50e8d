use super::finds;
use crate::chaos::check::Check;

#[test]
fn a_reader_sees_what_was_committed_and_nothing_else() {
    finds(&[(Check::Reader, 1)], |evidence| {
        evidence.seen.remove(2);
    });
    finds(&[(Check::Reader, 1)], |evidence| {
        evidence.seen.pop();
    });
    finds(&[(Check::Reader, 1)], |evidence| evidence.seen.swap(2, 3));
    // From an aborted transaction: it is committed at another place later, or never.
    finds(&[(Check::Reader, 2)], |evidence| {
        let mut aborted = evidence.seen[2].clone();
        aborted.offset = 10;
        evidence.seen.push(aborted);
    });
    finds(&[(Check::Reader, 1)], |evidence| {
        evidence.seen[2].request_id = "x".to_owned();
    });
}

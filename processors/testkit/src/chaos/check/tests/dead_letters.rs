use schemas::status;

use super::{finds, history::POISON};
use crate::chaos::check::Check;

#[test]
fn poison_has_its_dead_letter_with_its_bytes() {
    finds(&[(Check::DeadLetter, 1)], |evidence| {
        evidence.logs.dead_letters[0].bytes = 99;
    });
    finds(&[(Check::DeadLetter, 1), (Check::Postgres, 1)], |evidence| {
        evidence.logs.dead_letters.clear();
    });
    finds(&[(Check::Duplicate, 1), (Check::Postgres, 1)], |evidence| {
        let again = evidence.logs.dead_letters[0].clone();
        evidence.logs.dead_letters.push(again);
    });
    finds(&[(Check::DeadLetter, 1)], |evidence| {
        evidence.logs.results[POISON].status = status::COMPLETED.to_owned();
    });
    // It says that it never ran; then there must be a dead letter.
    finds(&[(Check::DeadLetter, 1), (Check::Http, 1)], |evidence| {
        evidence.logs.results[1].status = status::FAILED.to_owned();
        evidence.logs.results[1].has_chain = false;
    });
}

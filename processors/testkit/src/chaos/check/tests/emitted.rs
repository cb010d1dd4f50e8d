use super::{
    finds,
    history::{EMITS, OWNERS, SECOND},
};
use crate::chaos::{
    Fault,
    check::{Check, Evidence, MADE_AGAIN},
};

#[test]
fn what_a_chain_emits_is_there_once_and_is_the_result() {
    finds(&[(Check::Emitted, 1)], |evidence| evidence.logs.emitted.clear());
    finds(&[(Check::Duplicate, 1)], |evidence| {
        let again = evidence.logs.emitted[0].clone();
        evidence.logs.emitted.push(again);
    });
    finds(&[(Check::Emitted, 1)], |evidence| evidence.logs.emitted[0].output = 1);
    finds(&[(Check::Emitted, 1)], |evidence| {
        evidence.logs.emitted[0].identity.tenant = "another".to_owned();
    });
    // Of a run that emits nothing, or of one that was aborted.
    finds(&[(Check::Emitted, 1)], |evidence| {
        evidence.logs.results[EMITS].emits_to = None;
    });
    finds(&[(Check::Emitted, 1)], |evidence| {
        let mut stray = evidence.logs.emitted[0].clone();
        stray.identity.src = "t.requests/0/77".to_owned();
        evidence.logs.emitted.push(stray);
    });
}

#[test]
fn an_owner_loses_what_was_committed_before_the_topic_was_made_again_and_nothing_else() {
    let made_again = |at: i64, topic: &str| {
        let (at, target) = (at * SECOND, topic.to_owned());
        move |evidence: &mut Evidence| {
            evidence.logs.emitted.clear();
            evidence.faults.push(Fault {
                at,
                kind: MADE_AGAIN.to_owned(),
                target,
                detail: String::new(),
                crash: None,
            });
        }
    };
    finds(&[], made_again(25, OWNERS));
    finds(&[(Check::Emitted, 1)], made_again(-5, OWNERS));
    finds(&[(Check::Emitted, 1)], made_again(25, "owner.letters"));
}

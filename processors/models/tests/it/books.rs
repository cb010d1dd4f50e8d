use crate::{LONG, Rig, aliases, model_one, question, start, within};
use futures::future::BoxFuture;
use models::{Books, BooksError, ErrorClass};
use schemas::{Attempt, Money, phase};
use std::sync::Arc;
use std::time::Duration;
use testkit::scripted::Script;
use testkit::until;

/// Books whose broker is away: they neither say yes nor no.
struct Silent;

impl Books for Silent {
    fn record(&self, _attempt: Attempt) -> BoxFuture<'_, Result<(), BooksError>> {
        Box::pin(std::future::pending())
    }
}

struct Broken;

impl Books for Broken {
    fn record(&self, _attempt: Attempt) -> BoxFuture<'_, Result<(), BooksError>> {
        Box::pin(std::future::ready(Err(BooksError("the disk is full".into()))))
    }
}

#[tokio::test]
async fn without_the_books_no_paid_call_leaves() {
    let (server, caller) = start(Script::default(), "", Arc::new(Silent)).await;
    let context = within(Duration::from_secs(1));
    let called = caller.chat(&aliases(&["first", "second"]), &question(), &context).await;
    assert_eq!(called.result.unwrap_err().class, ErrorClass::WriteAheadUnavailable);
    assert_eq!(called.attempts.len(), 1);
    assert_eq!(called.cost, Money(0));
    assert_eq!(server.summary().calls, 0);

    let called = caller.chat(&aliases(&["free"]), &question(), &within(LONG)).await;
    assert!(called.result.is_ok(), "a free call has no bill to account for");
}

#[tokio::test]
async fn books_that_fail_say_why() {
    let (server, caller) = start(Script::default(), "", Arc::new(Broken)).await;
    let called = caller.chat(&aliases(&["first"]), &question(), &within(LONG)).await;
    let error = called.result.unwrap_err();
    assert_eq!(error.class, ErrorClass::WriteAheadUnavailable);
    assert_eq!(
        error.message,
        "the attempt could not be written ahead: the disk is full"
    );
    assert_eq!(server.summary().calls, 0);
}

#[tokio::test]
async fn a_cancelled_call_is_settled_in_the_books() {
    let rig = Rig::new(model_one("hang")).await;
    let mut context = within(LONG);
    context.timeout = Some(LONG);
    let cancelled = context.cancelled.clone();
    let names = aliases(&["first", "second"]);
    let asked = question();
    let call = rig.caller.chat(&names, &asked, &context);
    let cancel = async {
        until(LONG, async || (rig.server.summary().in_flight == 1).then_some(()))
            .await
            .unwrap();
        cancelled.cancel();
    };
    let (called, ()) = tokio::join!(call, cancel);
    assert_eq!(called.result.unwrap_err().class, ErrorClass::Cancelled);
    rig.caller.drain().await;
    let [started, settled] = rig.books.entries().try_into().unwrap();
    assert_eq!(settled.phase, phase::SETTLED, "it had left, so it may be on the bill");
    assert_eq!(started.attempt_id, settled.attempt_id);
    assert!(settled.cost > Money(0) && settled.cost < started.cost);
    until(LONG, async || (rig.server.summary().in_flight == 0).then_some(()))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_dropped_call_is_settled_in_the_books() {
    let rig = Rig::new(model_one("hang")).await;
    let context = within(LONG);
    {
        let names = aliases(&["first"]);
        let asked = question();
        let call = rig.caller.chat(&names, &asked, &context);
        let on_its_way = until(LONG, async || (rig.server.summary().in_flight == 1).then_some(()));
        tokio::select! {
            _ = call => panic!("it hangs"),
            seen = on_its_way => seen.unwrap(),
        }
    }
    rig.caller.drain().await;
    assert_eq!(rig.books.phases(), [phase::STARTED, phase::SETTLED]);
}

#[tokio::test]
async fn an_outcome_that_is_thrown_away_is_settled() {
    let rig = Rig::new(model_one("500")).await;
    let called = rig
        .caller
        .chat(&aliases(&["first", "second"]), &question(), &within(LONG))
        .await;
    rig.caller.settle(&called.attempts).await;
    let entries = rig.books.entries();
    let settled: Vec<(&str, Money)> = entries[4..]
        .iter()
        .map(|entry| (entry.phase.as_str(), entry.cost))
        .collect();
    let unpaid = (phase::ABANDONED, Money(0));
    assert_eq!(settled, [unpaid, unpaid, unpaid, (phase::SETTLED, Money(9_000))]);
}

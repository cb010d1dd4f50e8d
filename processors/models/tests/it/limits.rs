use crate::{LONG, Rig, aliases, at_first, model_one, question, within};
use models::{CallContext, ErrorClass, LimitWait};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use testkit::scripted::{Latency, Script};
use testkit::until;

#[tokio::test]
async fn a_provider_never_sees_more_calls_at_once_than_its_limit() {
    let rig = Rig::new(Script::after(Latency::Fixed { ms: 20 })).await;
    let context = within(LONG);
    let calls = (0..10).map(|_| async { rig.caller.chat(&aliases(&["few"]), &question(), &context).await });
    let called = futures::future::join_all(calls).await;
    assert!(called.iter().all(|called| called.result.is_ok()));
    assert_eq!(rig.server.summary().most_in_flight, 2);
    let longest = called.iter().map(|called| called.attempts[0].queue_us).max().unwrap();
    assert!(
        longest >= 80_000,
        "the last waited for four rounds of 20 ms, not {longest} µs"
    );
}

#[tokio::test]
async fn a_slot_that_does_not_come_free_is_a_rate_limit() {
    let rig = Rig::new(model_one("hang")).await;
    let context = within(LONG);
    let few = aliases(&["few"]);
    let asked = question();
    let hang = futures::future::join(
        rig.caller.chat(&few, &asked, &context),
        rig.caller.chat(&few, &asked, &context),
    );
    let third = async {
        until(LONG, async || (rig.server.summary().in_flight == 2).then_some(()))
            .await
            .unwrap();
        rig.caller.chat(&few, &asked, &within(Duration::from_secs(1))).await
    };
    tokio::select! {
        _ = hang => panic!("they hang"),
        called = third => assert_eq!(called.result.unwrap_err().class, ErrorClass::RateLimited),
    }
    assert_eq!(rig.server.summary().calls, 2);
    assert_eq!(rig.books.phases().len(), 2, "what does not leave is not written ahead");
}

/// A context, and something of which another handle is there for as long as a call in it waits for a limit.
fn watched() -> (CallContext, Arc<()>) {
    let waits = Arc::new(());
    let handle = Arc::clone(&waits);
    let context = CallContext {
        limit_wait: LimitWait::new(move || Arc::clone(&handle)),
        ..within(LONG)
    };
    (context, waits)
}

/// The context holds one handle to begin waits with, the test the other.
fn waiting(waits: &Arc<()>) -> usize {
    Arc::strong_count(waits) - 2
}

#[tokio::test]
async fn only_calls_that_have_no_slot_tell_that_they_wait() {
    let rig = Rig::new(Script::after(Latency::Fixed { ms: 300 })).await;
    let (context, waits) = watched();
    let few = aliases(&["few"]);
    let asked = question();
    let calls = futures::future::join_all((0..5).map(|_| rig.caller.chat(&few, &asked, &context)));
    let seen = until(LONG, async || {
        (rig.server.summary().in_flight == 2).then(|| waiting(&waits))
    });
    let (called, seen) = futures::future::join(calls, seen).await;
    assert_eq!(seen.unwrap(), 3, "two of five have a slot");
    assert!(called.iter().all(|called| called.result.is_ok()));
    assert_eq!(waiting(&waits), 0);
}

#[tokio::test]
async fn a_pause_that_the_provider_asked_for_is_a_wait() {
    let rig = Rig::new(at_first(1, "429:1")).await;
    let (context, waits) = watched();
    let first = aliases(&["first"]);
    let asked = question();
    let call = rig.caller.chat(&first, &asked, &context);
    let seen = until(LONG, async || (waiting(&waits) == 1).then_some(()));
    let (called, seen) = futures::future::join(call, seen).await;
    seen.unwrap();
    assert!(called.result.is_ok());
    assert_eq!((called.attempts.len(), waiting(&waits)), (2, 0));
}

#[tokio::test]
async fn the_pause_before_a_retry_is_a_wait_whatever_failed() {
    for failure in ["500", "malformed"] {
        let rig = Rig::new(at_first(1, failure)).await;
        let waits = Arc::new(AtomicUsize::new(0));
        let begun = Arc::clone(&waits);
        let context = CallContext {
            limit_wait: LimitWait::new(move || begun.fetch_add(1, Ordering::Relaxed)),
            ..within(LONG)
        };
        let called = rig.caller.chat(&aliases(&["first"]), &question(), &context).await;
        assert!(called.result.is_ok(), "{failure}");
        assert_eq!(
            (called.attempts.len(), waits.load(Ordering::Relaxed)),
            (2, 1),
            "{failure}"
        );
    }
}

use crate::{LONG, Rig, aliases, model_one, question, within};
use models::ErrorClass;
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
        rig.caller.chat(&few, &asked, &within(Duration::from_millis(100))).await
    };
    tokio::select! {
        _ = hang => panic!("they hang"),
        called = third => assert_eq!(called.result.unwrap_err().class, ErrorClass::RateLimited),
    }
    assert_eq!(rig.server.summary().calls, 2);
    assert_eq!(rig.books.phases().len(), 2, "what does not leave is not written ahead");
}

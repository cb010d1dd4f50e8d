//! What a process may not do to a topic, on a broker that asks.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use testkit::{Broker, OwnParts, PartsConfig, python};
use tokio::process::Command;
use topics::engine::Prepared;

use super::story::{Copy, Story};
use crate::space::topic;

async fn broker(name: &str) -> OwnParts {
    let properties = [
        (
            "authorizer.class.name",
            "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        ),
        ("allow.everyone.if.no.acl.found", "true"),
    ];
    let config = PartsConfig {
        name: name.to_owned(),
        broker: Broker {
            properties: properties
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
            ..Broker::default()
        },
        ..PartsConfig::default()
    };
    OwnParts::start(config).await.unwrap()
}

async fn set(own: &OwnParts, what: &str, operation: &str, topic: &str) {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let requirements = tests.join("../processors/millrace/tests/it/stranger/requirements.txt");
    let python = python::environment(&requirements).unwrap();
    let status = Command::new(python)
        .arg(tests.join("tests/it/engine/rights.py"))
        .args([&own.parts.bootstrap, what, operation, topic])
        .status();
    assert!(status.await.unwrap().success());
}

/// The client says in its log alone which topic it was: nothing was produced yet.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_may_not_be_written_to_fails_its_results_and_spares_their_other_outputs() {
    let own = broker("rights-write").await;
    let story = Story::begin_on(&own, 1).await;
    let theirs = topic(&story.space, "theirs", 1, &[]).await;
    set(&own, "deny", "WRITE", &theirs).await;
    story.produce(3, |_| None).await;
    let mut results = story.results();
    let mut copy = Copy::at_once();
    copy.also = Some(theirs);
    let spared = Arc::clone(&copy.spared);

    let engine = story.start(copy);

    let seen = results.take(3).await;
    assert!(
        seen.iter().all(|seen| seen.value == "output_not_authorized"),
        "{seen:?}"
    );
    assert_eq!(
        spared.load(Ordering::Acquire),
        3,
        "the results themselves were for another topic"
    );
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_topic_that_may_not_be_read_for_a_while_costs_no_result() {
    let own = broker("rights-read").await;
    let story = Story::begin_on(&own, 1).await;
    story.produce(1, |_| None).await;
    let mut results = story.results();
    let may_run = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&may_run);
    let mut copy = Copy::at_once();
    copy.prepare = Box::new(move |_| {
        let reason = "it is not time yet".to_owned();
        (!asked.load(Ordering::Acquire)).then_some(Prepared::Wait { reason })
    });
    let mut engine = story.start(copy);
    engine.why_not("not time yet").await;

    set(&own, "deny", "READ", &story.requests).await;
    may_run.store(true, Ordering::Release);
    engine.why_not("authorization").await;
    set(&own, "allow", "READ", &story.requests).await;

    let seen = results.take(1).await;
    assert_eq!(
        seen[0].value, "0",
        "it was paid for, and is not blamed for a right that was missing"
    );
    engine.is_ready().await;
    engine.stop().await;
}

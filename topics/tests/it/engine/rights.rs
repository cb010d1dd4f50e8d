//! What a process may not do to a topic, on a broker that asks.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use testkit::{Broker, OwnParts, PartsConfig, python, until};
use tokio::process::Command;
use topics::engine::{EngineError, Input, Prepared};

use super::story::{Copy, Story};
use crate::space::{SOON, topic};

async fn broker(name: &str) -> OwnParts {
    let authorizer = "org.apache.kafka.metadata.authorizer.StandardAuthorizer";
    let asks = [
        ("authorizer.class.name", authorizer),
        ("allow.everyone.if.no.acl.found", "true"),
    ];
    broker_with(name, &asks).await
}

async fn broker_with(name: &str, properties: &[(&str, &str)]) -> OwnParts {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let config = PartsConfig {
        name: name.to_owned(),
        broker: Broker {
            properties: properties.iter().map(owned).collect(),
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

/// To describe a topic is enough to be assigned its partitions.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_may_not_be_read_costs_the_other_topics_of_its_group_nothing() {
    let own = broker("rights-claim").await;
    let mut story = Story::begin_on(&own, 2).await;
    let open = story.requests.clone();
    story.produce(10, |_| None).await;
    story.add_requests("forbidden").await;
    story.produce(10, |_| None).await;
    set(&own, "deny", "READ", &story.requests).await;
    let mut settings = story.settings();
    settings.inputs = vec![Input::new(open.clone()), Input::new(story.requests.clone())];
    let mut results = story.results();

    let mut engine = story.start_with(Copy::at_once(), settings);

    let seen = results.take(10).await;
    assert!(seen.iter().all(|seen| seen.input_topic == open), "{seen:?}");
    engine.why_not(&story.requests).await;
    set(&own, "allow", "READ", &story.requests).await;
    let seen = results.take(10).await;
    assert!(seen.iter().all(|seen| seen.input_topic == story.requests), "{seen:?}");
    engine.is_ready().await;
    engine.stop().await;
}

/// Whether a broker lost what it acknowledged cannot be seen then; commits do not stop for it.
#[tokio::test(flavor = "multi_thread")]
async fn results_that_may_not_be_read_stop_no_commits_after_trouble() {
    let own = broker("rights-results").await;
    let story = Story::begin_on(&own, 1).await;
    story.produce(10, |_| None).await;
    let mut results = story.results();
    let engine = story.start(Copy::at_once());
    results.take(10).await;
    drop(results);
    set(&own, "deny", "READ", &story.results).await;
    let writer = story.committed().await[0].writer.clone().unwrap();
    story.fence(&writer).await;

    story.produce(10, |_| None).await;

    let is_done = until(SOON, async || {
        let committed = story.committed().await;
        (committed[0].progress.watermark() == 20).then_some(())
    });
    is_done.await.expect("both rounds are committed");
    engine.stop().await;
}

/// With a state as short as the first ones are such a broker was found out in the middle of the work.
#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_take_only_short_metadata_are_refused() {
    let own = broker_with("short-metadata", &[("offset.metadata.max.bytes", "2000")]).await;
    let story = Story::begin_on(&own, 1).await;

    let error = story.start(Copy::at_once()).ended().await.unwrap_err();

    assert!(matches!(error, EngineError::MetadataTooLong { .. }), "{error}");
    assert!(error.to_string().contains("offset.metadata.max.bytes=4096"), "{error}");
}

//! A member that stops and still has a run to end.

use std::time::Duration;

use testkit::{Signal, until};
use topics::Record;

use super::{
    story::{Copy, Story, each_once},
    worker::Worker,
};
use crate::space::SOON;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_member_leaves_to_one_that_stops_does_not_wait_for_its_runs() {
    let story = Story::begin("engine-stopping", 2).await;
    let mut settings = story.settings();
    settings.tuning.grace_ms = 600_000;
    let hanging = Copy::taking(|record: &Record| {
        let hangs = record.key.as_deref().is_some_and(|key| key.starts_with(b"hangs"));
        Duration::from_secs(if hangs { 600 } else { 0 })
    });
    let (mut stopping, log) = story.start_logged("stopping", hanging, settings);
    stopping.is_ready().await;
    let worker = Worker::start(&story, Duration::from_millis(5));
    until(SOON, async || log.contains("released").then_some(()))
        .await
        .expect("the other member takes one of the two partitions");
    let mut results = story.results();
    // In each partition one: whichever it has, one of them runs here.
    story.produce(2, |number| Some(format!("hangs-{number}"))).await;
    story.produce(20, |number| Some(format!("key-{number}"))).await;
    let mut seen = results.take(21).await;

    stopping.shutdown.cancel();
    worker.signal(Signal::KILL);

    stopping.ended().await.unwrap();
    let heir = story.start(Copy::at_once());
    seen.extend(results.take(1).await);
    results.is_over().await;
    each_once(&seen, 22);
    heir.stop().await;
}

//! Partitions that hold as much as they may.

use std::time::Duration;

use bytes::Bytes;
use testkit::until;
use tokio_util::sync::CancellationToken;
use topics::{
    Headers, Output, Record,
    engine::{self, core::WINDOW},
};

use super::{
    noise,
    story::{Copy, Story, each_once},
};
use crate::space::{SOON, producer};

const NEVER: Duration = Duration::from_secs(600);

/// Four keys whose first record never ends, and 64 KB behind each in dozens: as much as four partitions may hold is all that
/// the process may.
#[tokio::test(flavor = "multi_thread")]
async fn hot_keys_of_four_partitions_with_large_records_do_not_stop_a_fifth() {
    let story = Story::begin("engine-hot-four", 5).await;
    let value = noise(64 << 10);
    let hot = |number: i32| Output {
        topic: story.requests.clone(),
        partition: Some(number % 4),
        key: Some(Bytes::from_static(b"hot")),
        value: Some(value.clone()),
        headers: Headers::new(),
    };
    let producer = producer(&story.space);
    futures::future::try_join_all((0..4 * 30).map(|number| producer.send(hot(number))))
        .await
        .unwrap();
    let mut settings = story.settings();
    settings.tuning.partition_bytes_in_flight = 1 << 20;
    settings.tuning.bytes_in_flight = 4 << 20;
    settings.tuning.grace_ms = 100;
    let takes = |record: &Record| if record.partition < 4 { NEVER } else { Duration::ZERO };
    let mut results = story.results();
    let engine = story.start_with(Copy::taking(takes), settings);
    let full = || {
        engine::hindrances()
            .iter()
            .filter(|told| told.contains(&story.requests))
            .count()
    };
    until(SOON, async || (full() == 4).then_some(()))
        .await
        .expect("the four are full");

    let fifth = (0..50).map(|number| {
        producer.send(Output {
            partition: Some(4),
            key: Some(Bytes::from(format!("key-{number}"))),
            ..hot(0)
        })
    });
    futures::future::try_join_all(fifth).await.unwrap();

    let seen = results.take(50).await;
    assert!(seen.iter().all(|seen| seen.input_partition == 4));
    each_once(&seen, 50);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hot_key_holds_up_nobody_until_the_window_is_full_and_all_of_it_is_made_up_for() {
    let story = Story::begin("engine-window", 1).await;
    let is_over = CancellationToken::new();
    let producer = producer(&story.space);
    let requests = (0..WINDOW + 500).map(|number| {
        producer.send(Output {
            topic: story.requests.clone(),
            partition: Some(0),
            value: Some(Bytes::from(number.to_string())),
            ..Output::default()
        })
    });
    let mut copy = Copy::at_once();
    copy.until = Some((0, is_over.clone()));
    let mut results = story.results();
    futures::future::try_join_all(requests).await.unwrap();
    let engine = story.start(copy);

    let within = WINDOW as usize - 1;
    let mut seen = results.take(within).await;
    assert!(seen.iter().all(|seen| seen.input > 0 && seen.input < WINDOW));
    let full = format!("the window of {}/0 is full: the record at offset 0,", story.requests);
    let told = || engine::hindrances().iter().any(|told| told.starts_with(&full));
    until(SOON, async || told().then_some(())).await.expect("it is told");
    assert_eq!(story.committed().await[0].progress.len(), within);
    is_over.cancel();

    seen.extend(results.take(501).await);
    results.is_over().await;
    each_once(&seen, WINDOW as usize + 500);
    engine.stop().await;
    assert_eq!(story.committed().await[0].progress.watermark(), WINDOW + 500);
}

//! The exactly-once engine, through its door, on a real broker.

mod story;

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use testkit::{Space, until};
use tokio_util::sync::CancellationToken;
use topics::{Output, engine::Order};

use self::story::{Copy, Story};
use crate::space::SOON;

/// Five milliseconds for most records and a third of a second for a few: what overtakes what is decided by this alone.
fn bimodal(record: &topics::Record) -> Duration {
    Duration::from_millis(if record.offset % 20 == 3 { 300 } else { 5 })
}

#[tokio::test(flavor = "multi_thread")]
async fn results_appear_as_they_finish_and_in_order_per_key() {
    let story = Story::begin("engine-order", 4).await;
    story
        .produce(2_000, |number| Some(format!("key-{}", number % 200)))
        .await;
    let mut results = story.results();
    let engine = story.start(Copy::taking(bimodal));

    let seen = results.take(2_000).await;

    let inversions = seen
        .windows(2)
        .filter(|pair| pair[0].partition == pair[1].partition && pair[0].input > pair[1].input);
    assert!(inversions.count() > 0, "a slow record must not hold those behind it");
    let mut by_key: BTreeMap<&Option<Bytes>, Vec<(i32, i64)>> = BTreeMap::new();
    for result in &seen {
        by_key
            .entry(&result.key)
            .or_default()
            .push((result.input_partition, result.input));
    }
    for (key, inputs) in by_key {
        assert!(inputs.is_sorted(), "{key:?}: {inputs:?}");
    }
    story::each_once(&seen, 2_000);
    engine.stop().await;
    assert_eq!(
        story
            .committed()
            .await
            .iter()
            .map(|state| state.progress.watermark())
            .sum::<i64>(),
        2_000
    );
    assert!(
        story.committed().await.iter().all(|state| state.writer.is_none()),
        "released"
    );
}

//! The exactly-once engine, through its door, on a real broker.

mod absent;
mod alone;
mod bad_topic;
mod claim;
mod crash;
mod full;
mod gaps;
mod hang;
mod hostile;
mod outages;
mod rights;
mod stopping;
mod story;
mod torn;
mod worker;

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use bytes::Bytes;
use rdkafka::mocking::MockCluster;
use testkit::{OwnParts, PartsConfig, Signal, until};
use topics::{
    Record,
    engine::{self, EngineError, Input, Prepared},
};

use self::{
    story::{Copy, Seen, Story, each_once},
    worker::Worker,
};
use crate::space::SOON;

/// Five milliseconds for most records and a third of a second for a few: what overtakes what is decided by this alone.
fn bimodal(record: &Record) -> Duration {
    Duration::from_millis(if record.offset % 20 == 3 { 300 } else { 5 })
}

/// More than the result topic takes, however it is compressed.
fn too_large() -> Bytes {
    noise(200_000)
}

fn noise(bytes: usize) -> Bytes {
    let next = |state: u32| Some(state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    let states = std::iter::successors(Some(1), |state| next(*state));
    states.map(|state| (state >> 24) as u8).take(bytes).collect()
}

fn in_order_per_key(seen: &[Seen]) {
    let mut by_key: BTreeMap<&Option<Bytes>, Vec<(i32, i64)>> = BTreeMap::new();
    for result in seen.iter().filter(|result| result.key.is_some()) {
        by_key
            .entry(&result.key)
            .or_default()
            .push((result.input_partition, result.input));
    }
    for (key, inputs) in by_key {
        assert!(inputs.is_sorted(), "{key:?}: {inputs:?}");
    }
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

    let overtaken = seen
        .windows(2)
        .any(|pair| pair[0].partition == pair[1].partition && pair[0].input > pair[1].input);
    assert!(overtaken, "a slow record must not hold those behind it");
    in_order_per_key(&seen);
    each_once(&seen, 2_000);
    engine.stop().await;
    let committed = story.committed().await;
    assert_eq!(
        committed.iter().map(|state| state.progress.watermark()).sum::<i64>(),
        2_000
    );
    assert!(committed.iter().all(|state| state.writer.is_none()), "released");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_leaves_each_request_with_one_result() {
    let story = Story::begin("engine-kill", 4).await;
    story
        .produce(2_000, |number| Some(format!("key-{}", number % 500)))
        .await;
    let mut results = story.results();
    let worker = Worker::start(&story, Duration::from_millis(2_500));
    let mut seen = results.take(300).await;

    // asked before: what it leaves open when it dies would keep the answer back until somebody ends it
    let maps: usize = story.committed().await.iter().map(|state| state.progress.len()).sum();
    worker.signal(Signal::KILL);
    assert!(maps > 0, "results were visible above the watermark when it died");
    let engine = story.start(Copy::taking(|_| Duration::from_millis(5)));

    seen.extend(results.take(1_700).await);
    results.is_over().await;
    in_order_per_key(&seen);
    each_once(&seen, 2_000);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_slept_past_its_session_commits_nothing_when_it_wakes() {
    let story = Story::begin("engine-zombie", 4).await;
    story
        .produce(2_000, |number| Some(format!("key-{}", number % 500)))
        .await;
    let mut results = story.results();
    let worker = Worker::start(&story, Duration::from_millis(100));
    let mut seen = results.take(200).await;

    worker.signal(Signal::STOP);
    let engine = story.start(Copy::taking(|_| Duration::from_millis(20)));
    seen.extend(results.take(600).await);
    worker.signal(Signal::CONT);

    seen.extend(results.take(1_200).await);
    results.is_over().await;
    in_order_per_key(&seen);
    each_once(&seen, 2_000);
    engine.stop().await;
}

/// A writer dies in the middle of a transaction that would stay open for a minute. Before its offsets are sent only the
/// results' readers stall; after it the committed state cannot be read either.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_writer_left_open_is_ended_by_its_successor() {
    for offsets_sent in [false, true] {
        let story = Story::begin("engine-orphan", 1).await;
        story.produce(10, |_| None).await;
        story.die_in_transaction(offsets_sent).await;
        let mut results = story.results();
        let began = Instant::now();
        let engine = story.start(Copy::at_once());

        let seen = results.take(10).await;

        assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
        each_once(&seen, 10);
        engine.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_dies_and_comes_back_costs_neither_a_result_nor_a_second_one() {
    let mut own = OwnParts::start(PartsConfig {
        name: "engine".to_owned(),
        ..PartsConfig::default()
    })
    .await
    .unwrap();
    let story = Story::begin_on(&own, 4).await;
    story
        .produce(3_000, |number| Some(format!("key-{}", number % 500)))
        .await;
    let mut results = story.results();
    let mut settings = story.settings();
    settings.tuning.in_flight = 30;
    let engine = story.start_with(Copy::taking(|_| Duration::from_millis(20)), settings);
    let mut seen = results.take(500).await;

    own.kafka.kill().unwrap();
    seen.extend(results.rest().await);
    assert!(seen.len() < 3_000, "it died in the middle of the work");
    own.kafka.restart().await.unwrap();

    seen.extend(results.take_within(3_000 - seen.len(), Duration::from_secs(60)).await);
    seen.extend(results.rest().await);
    each_once(&seen, 3_000);
    in_order_per_key(&seen);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_are_away_at_the_start_are_waited_for_and_named() {
    let story = Story::begin("engine-away", 1).await;
    let mut settings = story.settings();
    settings.kafka.bootstrap_servers = "127.0.0.1:1".to_owned();
    let mut engine = story.start_with(Copy::at_once(), settings);

    engine.why_not("waiting for Kafka at 127.0.0.1:1").await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_fenced_by_mistake_goes_on_from_its_ledger() {
    let story = Story::begin("engine-fenced", 2).await;
    story.produce(1_000, |_| None).await;
    let mut results = story.results();
    let engine = story.start(Copy::taking(bimodal));
    let mut seen = results.take(100).await;

    let writer = story.committed().await[0].writer.clone().unwrap();
    story.fence(&writer).await;

    seen.extend(results.take(900).await);
    results.is_over().await;
    each_once(&seen, 1_000);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_move_between_members_without_a_fence() {
    let story = Story::begin("engine-move", 4).await;
    let mut results = story.results();
    let (mut first, first_log) =
        story.start_logged("first", Copy::taking(|_| Duration::from_millis(30)), story.settings());
    first.is_ready().await;
    story.produce(500, |number| Some(format!("key-{number}"))).await;
    let mut seen = results.take(100).await;

    let (second, second_log) =
        story.start_logged("second", Copy::taking(|_| Duration::from_millis(30)), story.settings());
    let joined = until(SOON, async || second_log.contains("claimed").then_some(())).await;
    joined.expect("the second member has partitions");
    story.produce(500, |number| Some(format!("key-{number}"))).await;
    seen.extend(results.take(600).await);
    first.stop().await;
    story.produce(500, |number| Some(format!("key-{number}"))).await;

    seen.extend(results.take(800).await);
    results.is_over().await;
    each_once(&seen, 1_500);
    in_order_per_key(&seen);
    second.stop().await;
    assert!(
        !first_log.contains("aborted") && !second_log.contains("aborted"),
        "nobody was fenced"
    );
    assert!(
        story.committed().await.iter().all(|state| state.writer.is_none()),
        "released"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_ends_within_the_grace_is_not_cut_when_its_partition_moves() {
    let story = Story::begin("engine-move-grace", 4).await;
    let mut results = story.results();
    let mut settings = story.settings();
    settings.tuning.revoke_grace_ms = 20_000;
    let copying = || Copy::taking(|_| Duration::from_millis(500));
    let first = copying();
    let discarded = Arc::clone(&first.discarded);
    let mut first = story.start_with(first, settings.clone());
    first.is_ready().await;
    let (second, log) = story.start_logged("second", copying(), settings);

    // Something runs at every moment, also when the partitions move.
    let (mut seen, mut asked) = (Vec::new(), 0);
    let until = Instant::now() + SOON;
    while !log.contains("claimed") {
        assert!(Instant::now() < until, "the second member never had a partition");
        story.produce(40, |_| None).await;
        asked += 40;
        seen.extend(results.take(20).await);
    }
    seen.extend(results.take(asked - seen.len()).await);

    results.is_over().await;
    each_once(&seen, asked);
    assert_eq!(discarded.load(Ordering::Acquire), 0, "no run was made in vain");
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_is_too_large_does_not_stop_the_others() {
    let story = Story::begin("engine-large", 1).await;
    story.produce(100, |_| None).await;
    let mut results = story.results();
    let mut copy = Copy::at_once();
    copy.value = |record| (record.offset == 42).then(too_large);
    let mut engine = story.start(copy);

    let seen = results.take(100).await;

    each_once(&seen, 100);
    let rejected: Vec<i64> = seen
        .iter()
        .filter(|seen| seen.value == "output_too_large")
        .map(|seen| seen.input)
        .collect();
    assert_eq!(rejected, [42]);
    engine.is_ready().await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_stops_with_a_message_when_nothing_can_stand_in_for_a_result() {
    let story = Story::begin("engine-stuck", 1).await;
    story.produce(10, |_| None).await;
    let mut copy = Copy::at_once();
    copy.value = |record| (record.offset == 7).then(too_large);
    copy.rejection = too_large();
    let mut engine = story.start(copy);

    let why = engine.why_not("cannot be written").await;

    assert!(why.contains(&format!("{}/0/7", story.requests)), "{why}");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hot_key_that_fills_its_partition_is_told_and_is_no_reason_not_to_be_ready() {
    let story = Story::begin("engine-full", 1).await;
    story.produce(400, |_| Some("hot".to_owned())).await;
    let (mut results, mut settings) = (story.results(), story.settings());
    settings.tuning.partition_bytes_in_flight = 1_000;
    let slow = |record: &Record| Duration::from_secs(if record.offset == 0 { 8 } else { 0 });
    let mut engine = story.start_with(Copy::taking(slow), settings);
    let full = format!(
        "the byte limit of {}/0 is full: the record at offset 0,",
        story.requests
    );
    let told = || engine::hindrances().iter().any(|told| told.starts_with(&full));

    until(SOON, async || told().then_some(())).await.expect("it is told");

    engine.is_ready().await;
    each_once(&results.take(400).await, 400);
    until(SOON, async || (!told()).then_some(())).await.expect("it is over");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_over_a_refused_result_stops_its_partition_and_nothing_else() {
    let story = Story::begin("engine-panic", 2).await;
    story.produce(40, |_| None).await;
    let mut results = story.results();
    let mut copy = Copy::at_once();
    // The fifth record of partition 1, and it is the only one.
    copy.value = |record| (record.partition == 1 && record.offset == 5).then(too_large);
    copy.rejection_panics = true;
    let mut engine = story.start(copy);

    let why = engine.why_not("panicked").await;

    assert!(why.contains(&format!("{}/1/5", story.requests)), "{why}");
    story.produce(40, |_| None).await;
    let mut others = 0;
    while others < 40 {
        others += usize::from(results.next().await.partition == 0);
    }
    engine.stop().await;
    let committed = story.committed().await;
    assert_eq!(committed[0].progress.watermark(), 40);
    assert!(
        !committed[1].progress.contains(5),
        "it is left to whoever comes after the mend"
    );
    assert!(committed.iter().all(|state| state.writer.is_none()), "released");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_record_needs_is_waited_for() {
    let story = Story::begin("engine-wait", 1).await;
    story.produce(500, |_| None).await;
    let mut copy = Copy::at_once();
    let registry = story.space.prefix.clone();
    let is_down = worker::switch(&registry);
    copy.prepare = Box::new(move |_| {
        is_down.exists().then(|| Prepared::Wait {
            reason: "the registry is down".to_owned(),
        })
    });
    std::fs::write(worker::switch(&registry), "").unwrap();
    let mut results = story.results();
    let mut engine = story.start(copy);

    engine.why_not("the registry is down").await;
    std::fs::remove_file(worker::switch(&registry)).unwrap();

    each_once(&results.take(500).await, 500);
    engine.is_ready().await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_gets_slots_by_its_weight_while_others_have_work() {
    let mut story = Story::begin("engine-weight", 1).await;
    story.produce(400, |_| None).await;
    let batch = story.requests.clone();
    story.add_requests("requests.interactive").await;
    story.produce(400, |_| None).await;
    let mut settings = story.settings();
    settings.inputs = vec![
        Input::new(batch),
        Input {
            weight: 3,
            ..Input::new(story.requests.clone())
        },
    ];
    settings.tuning.in_flight = 4;
    let mut results = story.results();
    let engine = story.start_with(Copy::taking(|_| Duration::from_millis(10)), settings);

    let seen = results.take(800).await;

    // The first 64 records of whichever topic is read first are ahead of the other's.
    let middle = &seen[150..450];
    let interactive = middle.iter().filter(|seen| seen.input_topic == story.requests).count();
    assert!((195..=255).contains(&interactive), "{interactive} of 300");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_drop_metadata_are_refused() {
    let story = Story::begin("engine-canary", 1).await;
    let mock = MockCluster::new(1).unwrap();
    mock.create_topic(&story.requests, 1, 1).unwrap();
    let mut settings = story.settings();
    settings.kafka.bootstrap_servers = mock.bootstrap_servers();
    let engine = story.start_with(Copy::at_once(), settings);

    let error = engine.ended().await.unwrap_err();

    assert!(matches!(error, EngineError::MetadataDropped { .. }), "{error}");
    assert!(error.to_string().contains("drop the metadata"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_finish_within_the_grace_period_is_left_to_others() {
    let story = Story::begin("engine-grace", 2).await;
    story.produce(40, |_| None).await;
    let mut results = story.results();
    let mut settings = story.settings();
    settings.tuning.grace_ms = 500;
    // Every tenth hangs for longer than anybody waits.
    let hanging = Copy::taking(|record| Duration::from_millis(if record.offset % 10 == 5 { 600_000 } else { 10 }));
    let discarded = Arc::clone(&hanging.discarded);
    let engine = story.start_with(hanging, settings);
    let mut seen = results.take(36).await;

    engine.stop().await;
    let discarded = discarded.load(Ordering::Acquire);
    assert_eq!(discarded, 4, "the node is told of each, before the engine ends");
    assert!(
        story
            .committed()
            .await
            .iter()
            .all(|state| state.writer.is_none() && !state.progress.is_empty())
    );
    let engine = story.start(Copy::at_once());

    seen.extend(results.take(4).await);
    results.is_over().await;
    each_once(&seen, 40);
    engine.stop().await;
}

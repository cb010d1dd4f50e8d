//! A broker dies under load, in the middle of transactions, and comes back: after a moment, after the sessions are over,
//! after the transactions are. What counts is what lies in the log, read anew from its start.

use std::{
    collections::BTreeMap,
    env,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    message::Headers as _,
};
use testkit::{OwnParts, PartsConfig};
use tokio::time::sleep;

use super::story::{Copy, Story};

const PARTITIONS: i32 = 4;
/// Requests for each outage, half a second of work.
const ROUND: i64 = 400;
/// A broker that was killed is fenced by its own controller until its old session is over.
const BACK: Duration = Duration::from_secs(120);

/// A result in the log.
struct Written {
    partition: i32,
    offset: i64,
    src: String,
    key: Option<Vec<u8>>,
}

/// `OUTAGES=100` hunts.
fn outages() -> u64 {
    env::var("OUTAGES").map_or(3, |count| count.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_dies_in_the_middle_of_transactions_leaves_each_request_with_one_result() {
    let mut own = OwnParts::start(PartsConfig {
        name: "outages".to_owned(),
        ..PartsConfig::default()
    })
    .await
    .unwrap();
    own.registry.kill().unwrap();
    own.postgres.kill().unwrap();
    let story = Story::begin_on(&own, PARTITIONS).await;
    let mut settings = story.settings();
    settings.tuning.in_flight = 30;
    // Runs end one after another: there is always a transaction under way.
    let copy = Copy::taking(|record| Duration::from_millis(20 + (record.offset * 7_919 % 40) as u64));
    let (engine, log) = story.start_logged("outages", copy, settings);
    let mut results = story.results();
    let (mut requests, mut seen, mut random) = (0, 0, seed());
    for outage in 0..outages() {
        story
            .produce(ROUND, |number| Some(format!("key-{}", number % 100)))
            .await;
        requests += ROUND as usize;
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let some = 20 + (random >> 33) as usize % 300;
        seen += results.take_within(some, BACK).await.len();
        sleep(Duration::from_micros(random >> 50)).await;
        own.kafka.kill().unwrap();
        let away = [0, 0, 7, 12][outage as usize % 4];
        sleep(Duration::from_secs(away)).await;
        own.kafka.start().await.unwrap();
        seen += results.take_within(requests - seen, BACK).await.len();
        let failed = log.count("aborted");
        println!("outage {outage} of {away} s after {some} results: {failed} transactions failed so far");
    }
    engine.stop().await;
    seen += results.rest().await.len();

    let all = written(&story, "read_committed");
    let tries = written(&story, "read_uncommitted").len();
    println!(
        "{requests} requests, {} results, {tries} tries, {seen} seen by the tail",
        all.len()
    );
    each_once_in_the_log(&all, requests);
    assert_eq!(seen, requests, "the tail");
    let committed = story.committed().await;
    let done: i64 = committed.iter().map(|state| state.progress.watermark()).sum();
    assert_eq!(done, requests as i64);
}

fn seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    env::var("SEED").map_or_else(|_| now.unwrap().as_micros() as u64, |seed| seed.parse().unwrap())
}

fn each_once_in_the_log(all: &[Written], requests: usize) {
    let mut places = BTreeMap::<&str, Vec<(i32, i64)>>::new();
    let mut last = BTreeMap::new();
    for Written {
        partition,
        offset,
        src,
        key,
    } in all
    {
        places.entry(src).or_default().push((*partition, *offset));
        let input: i64 = src.rsplit('/').next().unwrap().parse().unwrap();
        if let Some(before) = last.insert((partition, key), input) {
            assert!(before <= input, "{src} came after {before} of its key");
        }
    }
    let twice: Vec<_> = places.iter().filter(|(_, places)| places.len() > 1).collect();
    assert!(
        twice.is_empty(),
        "{} requests with more than one result: {twice:?}",
        twice.len()
    );
    assert_eq!(places.len(), requests);
}

/// Everything in the log of results, by a reader of its own.
fn written(story: &Story, isolation: &str) -> Vec<Written> {
    let reader: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &story.space.parts.bootstrap)
        .set("group.id", format!("{}scan", story.space.prefix))
        .set("enable.auto.commit", "false")
        .set("isolation.level", isolation)
        .set("enable.partition.eof", "true")
        .create()
        .unwrap();
    let mut all = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        all.add_partition_offset(&story.results, partition, Offset::Beginning)
            .unwrap();
    }
    reader.assign(&all).unwrap();
    let (mut found, mut ended) = (Vec::new(), 0);
    let until = Instant::now() + BACK;
    while ended < PARTITIONS {
        assert!(Instant::now() < until, "the log cannot be read to its end");
        match reader.poll(Duration::from_millis(200)) {
            Some(Ok(message)) => {
                let header = message.headers().unwrap().get(0);
                if header.key == "millrace-sweep" {
                    continue;
                }
                found.push(Written {
                    partition: message.partition(),
                    offset: message.offset(),
                    src: String::from_utf8(header.value.unwrap().to_vec()).unwrap(),
                    key: message.key().map(<[u8]>::to_vec),
                });
            }
            Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => ended += 1,
            Some(Err(error)) => println!("{error}"),
            None => {}
        }
    }
    found
}

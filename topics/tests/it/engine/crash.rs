//! A member dies at each place where the engine can die, in the middle of load; another one is there already.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use testkit::until;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    in_order_per_key,
    story::{Copy, Story, each_once},
    worker::{Worker, patient},
};
use crate::space::{SOON, producer};

const PARTITIONS: i32 = 4;
/// Far below the minute after which a broker would end the dead one's transaction by itself: only a takeover can be that
/// quick. Alone a death costs 6 to 8 s, most of it the session timeout; here many die at once on a small machine.
const STALL: Duration = Duration::from_secs(45);
/// After a death the load goes on for so long.
const LOAD: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn wherever_a_member_dies_its_partitions_go_on_elsewhere() {
    // The canary at the start of an engine ends a transaction as well.
    let points = [
        "claimed:1",
        "begun:3",
        "produced:3",
        "offsets_sent:3",
        "end_sent:4",
        "end_answered:3",
        "ledger_cleared:3",
    ];
    let stalls = futures::future::join_all(points.map(|point| dies_at(point, false))).await;
    for (point, stall) in points.iter().zip(stalls) {
        println!("{point}: {stall:?}");
        assert!(stall < STALL, "{point}: {stall:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_dies_right_after_a_release_holds_nobody_up() {
    let stall = dies_at("released:1", true).await;
    println!("released:1: {stall:?}");
    assert!(stall < STALL, "{stall:?}");
}

/// The longest time that any partition had no new result, from the death on. Load goes on until after the takeover.
pub async fn dies_at(point: &str, worker_first: bool) -> Duration {
    let name = point.split(':').next().unwrap().replace('_', "-");
    let story = Story::begin(&format!("engine-{name}"), PARTITIONS).await;
    let mut results = story.results();
    let slow = |record: &topics::Record| Duration::from_millis(if record.offset % 20 == 3 { 300 } else { 5 });
    let heir = || story.start_logged("heir", Copy::taking(slow), patient(&story));
    let worker = || Worker::start_to_die(&story, Duration::from_millis(300), point);

    let ((mut heir, log), mut worker) = if worker_first {
        let worker = worker();
        let claimed = until(SOON, async || {
            let committed = story.committed().await;
            committed.iter().all(|state| state.writer.is_some()).then_some(())
        });
        claimed.await.expect("the worker has all partitions");
        (heir(), worker)
    } else {
        let (mut heir, log) = heir();
        heir.is_ready().await;
        ((heir, log), worker())
    };
    let mut arrivals: BTreeMap<i32, Vec<Instant>> = BTreeMap::new();
    let mut seen = Vec::new();
    let recovered = CancellationToken::new();
    let load = async {
        let producer = producer(&story.space);
        let mut produced = 0;
        while !recovered.is_cancelled() {
            // Four keys, each in a partition of its own.
            let key = |number: i64| Some(((b'a' + number as u8) as char).to_string());
            story.produce_by(&producer, i64::from(PARTITIONS), key).await;
            produced += PARTITIONS as usize;
            sleep(Duration::from_millis(100)).await;
        }
        produced
    };
    let death = async {
        worker.dies().await;
        let died = Instant::now();
        sleep(LOAD).await;
        recovered.cancel();
        died
    };
    let reading = async {
        while let Some(result) = recovered.run_until_cancelled(results.next()).await {
            arrivals.entry(result.partition).or_default().push(Instant::now());
            seen.push(result);
        }
    };
    let (produced, died, ()) = tokio::join!(load, death, reading);
    while seen.len() < produced {
        let result = timeout(SOON, results.next()).await.expect("a result of each request");
        arrivals.entry(result.partition).or_default().push(Instant::now());
        seen.push(result);
    }
    results.is_over().await;
    each_once(&seen, produced);
    in_order_per_key(&seen);
    heir.is_ready().await;
    assert!(log.contains("claimed"));
    heir.stop().await;

    let longest = |times: &Vec<Instant>| {
        let after = times.iter().copied().filter(|time| *time > died);
        let from = std::iter::once(died).chain(after.clone());
        from.zip(after).map(|(from, to)| to - from).max()
    };
    assert_eq!(arrivals.len(), PARTITIONS as usize);
    arrivals
        .values()
        .map(|times| longest(times).unwrap_or(SOON))
        .max()
        .unwrap()
}

//! A call into librdkafka never returns, at each place of a transaction. There is nobody else: the member itself goes on.

use std::time::Duration;

use super::{
    in_order_per_key,
    story::{Story, each_once},
    worker::Worker,
};

const REQUESTS: usize = 600;
/// The watchdog waits twice as long.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(3);
/// The watchdog, a new producer, and a machine that does much else.
const GOES_ON: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread")]
async fn wherever_a_call_hangs_the_member_gives_it_up_and_goes_on() {
    let points = ["begun:1", "produced:5", "offsets_sent:1", "end_answered:1"];
    futures::future::join_all(points.map(hangs_at)).await;
}

async fn hangs_at(point: &str) {
    let name = point.split(':').next().unwrap().replace('_', "-");
    let story = Story::begin(&format!("engine-hang-{name}"), 2).await;
    story
        .produce(REQUESTS as i64, |number| Some(format!("key-{}", number % 100)))
        .await;
    let mut results = story.results();
    let mut worker = Worker::start_to_hang(&story, TRANSACTION_TIMEOUT, point);
    worker.hangs().await;

    let mut seen = results.take_within(REQUESTS, GOES_ON).await;

    seen.extend(results.rest().await);
    each_once(&seen, REQUESTS);
    in_order_per_key(&seen);
}

use std::time::{SystemTime, UNIX_EPOCH};

use schemas::{Timestamp, status};

use super::world::World;

/// The topic of an owner keeps the times of its writers, so a replay has those of the days that are over.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_yesterday_runs_and_belongs_to_yesterday() {
    let mut world = World::new("orchestrator-replay").await;
    let mut running = world.start();
    running.ready().await;

    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let yesterday = i64::try_from(now).unwrap() - 24 * 3_600_000;
    let topic = world.kafka.topic("events");
    testkit::kafka::produce_at(&world.kafka.bootstrap_servers, &topic, yesterday, b"{\"n\": 1}").unwrap();
    let committed = world.committed(&format!("{topic}/0/0")).await;

    let result = committed.result;
    assert_eq!(
        (result.status.as_str(), result.output.as_deref()),
        (status::COMPLETED, Some(r#"{"n":1}"#)),
        "{:?}",
        result.error
    );
    assert_eq!(result.accepted_at, Timestamp::from_millis(yesterday));
    assert!(result.timings.queued_us < 3_600_000_000, "{:?}", result.timings);
    running.stop().await;
}

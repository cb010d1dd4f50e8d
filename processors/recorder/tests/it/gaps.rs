//! What retention takes: nothing that was recorded, or what nobody had recorded yet.

use recorder::RecorderSettings;
use testkit::kafka::{delete_before, log};

use crate::{
    stories::world,
    world::{World, result},
};

const TOPIC: &str = "results";

/// Behind the last record lie markers and what was aborted, and a quiet week later retention has taken all of it.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_recorded_may_be_deleted_with_the_markers_behind_it() {
    let world = world("recorder-quiet").await;
    let recorder = world.recorder(RecorderSettings::default());
    world.send_record(TOPIC, 0, &result(1)).await;
    world.abort(&[TOPIC, "audit"]).await;
    world.until_count("runs WHERE status = 'completed'", 1).await;
    world.until_at_the_end(&[TOPIC, "audit"]).await;
    recorder.stop().await;
    forget(&world, TOPIC).await;
    forget(&world, "audit").await;

    let mut again = world.recorder(RecorderSettings::default());
    again.until_ready().await;
    world.send_record(TOPIC, 0, &result(2)).await;
    world.until_count("runs WHERE status = 'completed'", 2).await;
    assert_eq!(world.count("gaps").await, 0);
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_unread_costs_its_partition_a_gap_that_stays_visible_until_somebody_knows() {
    let world = world("recorder-gap").await;
    let recorder = world.recorder(RecorderSettings::default());
    world.send_record(TOPIC, 0, &result(0)).await;
    world.until_count("runs", 1).await;
    world.until_at_the_end(&[TOPIC]).await;
    recorder.stop().await;
    world.send_record(TOPIC, 0, &result(2)).await;
    world.send_record(TOPIC, 1, &result(1)).await;
    forget_partition(&world, TOPIC, 0).await;
    world.send_record(TOPIC, 0, &result(4)).await;

    let mut again = world.recorder(RecorderSettings::default());
    world
        .until_count(
            "runs WHERE request_id IN ('run-1', 'run-4') AND status = 'completed'",
            2,
        )
        .await;
    again.until_waiting_for("millrace audit gaps").await;
    world.send_record(TOPIC, 0, &result(6)).await;
    world.until_count("runs WHERE request_id = 'run-6'", 1).await;
    let found = recorder::gaps(&world.postgres_url).await.unwrap();
    let [gap] = &found[..] else { panic!("{found:?}") };
    assert_eq!((&gap.topic, gap.partition), (&world.kafka.topic(TOPIC), 0));
    assert_eq!((gap.from_offset, gap.to_offset), (2, 4), "a record and its marker");
    assert_eq!(gap.accepted_at, None);

    assert_eq!(recorder::accept_gaps(&world.postgres_url).await.unwrap(), 1);
    again.until_ready().await;
    assert_eq!(recorder::accept_gaps(&world.postgres_url).await.unwrap(), 0);
    again.stop().await;
}

/// Somebody deleted the topic and made it again: what it holds now is recorded, from its start.
#[tokio::test(flavor = "multi_thread")]
async fn a_position_behind_the_end_of_the_log_is_a_gap_too() {
    let world = world("recorder-anew").await;
    let recorder = world.recorder(RecorderSettings::default());
    world.send_record(TOPIC, 0, &result(0)).await;
    world.until_count("runs", 1).await;
    world.until_at_the_end(&[TOPIC]).await;
    recorder.stop().await;
    world.execute("UPDATE consumer_positions SET next_offset = 1000").await;
    world.send_record(TOPIC, 0, &result(2)).await;

    let again = world.recorder(RecorderSettings::default());
    world.until_count("runs WHERE status = 'completed'", 2).await;
    world
        .until_count("gaps WHERE from_offset = 1000 AND to_offset = 0 AND log_end = 4", 1)
        .await;
    again.stop().await;
}

async fn forget(world: &World, topic: &str) {
    forget_partition(world, topic, 0).await;
    forget_partition(world, topic, 1).await;
}

async fn forget_partition(world: &World, topic: &str, partition: i32) {
    let (bootstrap, topic) = (&world.kafka.bootstrap_servers, world.kafka.topic(topic));
    let (_, end) = log(bootstrap, &topic, partition).unwrap();
    if end > 0 {
        delete_before(bootstrap, &topic, partition, end).await.unwrap();
    }
}

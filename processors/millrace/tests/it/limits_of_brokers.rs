//! A broker that drops what travels with an offset commit cannot carry exactly-once: better no start than a wrong promise.

use testkit::{Space, kafka::MockBroker};

use crate::world::{SOON, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_drops_offset_metadata_is_refused() {
    let space = Space::new("mock").await;
    // librdkafka's mock cluster accepts transactional offset commits and forgets them
    let broker = MockBroker::start().unwrap();
    let mut parts = space.parts.clone();
    parts.bootstrap = broker.bootstrap();
    let world = World::unprepared(parts, space.prefix, space.postgres_url);
    for topic in [
        "requests",
        "requests.interactive",
        "results",
        "audit",
        "attempts",
        "dead-letters",
        "chains",
    ] {
        broker.create_topic(&world.topic(topic), 1).unwrap();
    }
    world.succeed(&["schemas", "register"]);

    let mut worker = world.start_unready("worker", "orchestrator");
    let exit = worker.process.ended(SOON).await.unwrap();
    let log = worker.log();
    assert_eq!(exit.code(), Some(1), "{log}");
    assert!(
        log.contains("offset metadata") || log.contains("metadata of offset commits"),
        "{log}"
    );
}

//! Offsets that hold no record: the markers of transactions in a topic of requests, and what they aborted.

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use testkit::until;

use super::story::{Copy, Story};
use crate::space::SOON;

#[tokio::test(flavor = "multi_thread")]
async fn markers_at_the_end_of_a_log_are_read_and_their_deletion_deletes_nothing() {
    let story = Story::begin("engine-gaps", 1).await;
    let mut results = story.results();
    produce_in_transactions(&story).await;
    let member = story.start(Copy::at_once());
    results.take(1).await;
    let reached = async || (story.committed().await[0].progress.watermark() == 4).then_some(());
    until(SOON, reached)
        .await
        .expect("record, marker, aborted record and its marker are committed as read, though nothing follows");
    member.stop().await;

    delete_before(&story, 4).await;
    story.produce(1, |_| None).await;
    let mut member = story.start(Copy::at_once());

    assert_eq!(results.take(1).await[0].input, 4);
    member.is_ready().await;
    member.stop().await;
}

/// One record that is committed, at offset 0, and one that is not.
#[expect(clippy::disallowed_methods, reason = "a test may wait 100 ms")]
async fn produce_in_transactions(story: &Story) {
    let (bootstrap, requests) = (story.space.parts.bootstrap.clone(), story.requests.clone());
    let writer = story.space.group("their-writer");
    let produce = move || {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", &bootstrap)
            .set("transactional.id", &writer)
            .create()
            .unwrap();
        producer.init_transactions(SOON).unwrap();
        for is_committed in [true, false] {
            producer.begin_transaction().unwrap();
            let record: BaseRecord<'_, [u8], str> = BaseRecord::to(&requests).partition(0).payload("theirs");
            producer.send(record).map_err(|(error, _)| error).unwrap();
            producer.flush(SOON).unwrap();
            if is_committed {
                producer.commit_transaction(SOON).unwrap();
            } else {
                producer.abort_transaction(SOON).unwrap();
            }
        }
    };
    tokio::task::spawn_blocking(produce).await.unwrap();
}

/// What retention does.
async fn delete_before(story: &Story, offset: i64) {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", &story.space.parts.bootstrap)
        .create()
        .unwrap();
    let mut before = TopicPartitionList::new();
    before
        .add_partition_offset(&story.requests, 0, Offset::Offset(offset))
        .unwrap();
    let deleted = admin.delete_records(&before, &AdminOptions::new()).await.unwrap();
    assert!(deleted.elements().iter().all(|element| element.error().is_ok()));
}

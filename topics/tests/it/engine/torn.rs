//! After trouble the last results are looked for where they were written, and their place may be gone by then.

use rdkafka::{
    Offset, TopicPartitionList,
    admin::{AdminOptions, NewTopic, TopicReplication},
    consumer::Consumer as _,
};
use testkit::until;

use super::story::{Copy, Story, each_once};
use crate::space::{SOON, admin};

#[tokio::test(flavor = "multi_thread")]
async fn results_that_retention_deletes_stop_no_commits_after_trouble() {
    let story = Story::begin("engine-torn-deleted", 1).await;
    story.produce(10, |_| None).await;
    let mut results = story.results();
    let engine = story.start(Copy::at_once());
    results.take(10).await;

    let (reader, topic) = (story.reader(), story.results.clone());
    let end = move || reader.fetch_watermarks(&topic, 0, SOON).unwrap().1;
    let end = tokio::task::spawn_blocking(end).await.unwrap();
    let mut before = TopicPartitionList::new();
    before
        .add_partition_offset(&story.results, 0, Offset::Offset(end))
        .unwrap();
    let deleted = admin(&story.space).delete_records(&before, &AdminOptions::new()).await;
    assert!(
        deleted
            .unwrap()
            .elements()
            .iter()
            .all(|element| element.error().is_ok())
    );
    trouble(&story).await;

    story.produce(10, |_| None).await;
    each_once(&results.take(10).await, 10);
    results.is_over().await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_topic_that_is_made_again_stops_no_commits_after_trouble() {
    let story = Story::begin("engine-torn-again", 1).await;
    story.produce(100, |_| None).await;
    let mut results = story.results();
    let engine = story.start(Copy::at_once());
    results.take(100).await;
    drop(results);

    let admin = admin(&story.space);
    let deleted = admin
        .delete_topics(&[&story.results], &AdminOptions::new())
        .await
        .unwrap();
    assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
    until(SOON, async || {
        let again = NewTopic::new(&story.results, 1, TopicReplication::Fixed(1));
        let made = admin.create_topics([&again], &AdminOptions::new()).await.unwrap();
        made.iter().all(Result::is_ok).then_some(())
    })
    .await
    .expect("it is made again");
    trouble(&story).await;

    story.produce(10, |_| None).await;
    each_once(&story.results().take(10).await, 10);
    engine.stop().await;
}

/// The writer is fenced, which it notices with its next commit.
async fn trouble(story: &Story) {
    let writer = story.committed().await[0].writer.clone().unwrap();
    story.fence(&writer).await;
}

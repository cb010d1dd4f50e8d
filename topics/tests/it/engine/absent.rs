//! Partitions without a committed offset: one that was added to its topic begins at 0, all others need a decision.

use rdkafka::{
    Offset, TopicPartitionList,
    admin::AdminOptions,
    consumer::{CommitMode, Consumer},
};
use testkit::until;

use super::story::{Copy, Story, each_once};
use crate::space::{SOON, admin, grow};

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_committed_offset_is_not_guessed() {
    let story = Story::begin_without_offsets("engine-absent", 1).await;
    story.produce(1, |_| None).await;
    let mut engine = story.start(Copy::at_once());

    let why = engine.why_not("no committed offset").await;

    assert!(
        why.contains("millrace topics apply") && why.contains("--reset-offsets"),
        "{why}"
    );
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_added_partition_is_read_from_its_start() {
    let story = Story::begin("engine-added", 1).await;
    grow(&story.space, &story.requests, 3).await;
    grow(&story.space, &story.results, 3).await;
    let story = Story { partitions: 3, ..story };
    story.produce(10, |_| None).await;
    let mut results = story.results();
    let engine = story.start(Copy::at_once());

    each_once(&results.take(10).await, 10);
    engine.stop().await;
}

/// The commits of the group expired, and an operator who was told so about both made the first one anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_partition_whose_commit_expired_is_not_taken_for_an_added_one() {
    let story = Story::begin("engine-expired", 2).await;
    story.produce(10, |_| None).await;
    let mut results = story.results();
    let engine = story.start(Copy::at_once());
    results.take(10).await;
    engine.stop().await;

    let (admin, group) = (admin(&story.space), story.group.clone());
    until(SOON, async || {
        let deleted = admin.delete_groups(&[&group], &AdminOptions::new()).await.unwrap();
        deleted.iter().all(Result::is_ok).then_some(())
    })
    .await
    .expect("the group is empty");
    let (reader, requests) = (story.reader(), story.requests.clone());
    let by_hand = move || {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&requests, 0, Offset::Offset(5)).unwrap();
        reader.commit(&list, CommitMode::Sync).unwrap();
    };
    tokio::task::spawn_blocking(by_hand).await.unwrap();

    for _ in 0..2 {
        let mut engine = story.start(Copy::at_once());
        let why = engine.why_not("no committed offset").await;
        assert!(why.contains(&format!("{}/1", story.requests)), "{why}");
        engine.stop().await;
    }
    results.is_over().await;
}

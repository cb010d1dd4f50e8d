//! Partitions that are assigned and cannot be claimed at once, or were lost: they are claimed between rebalance events, and
//! the runs of the others go on.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::Headers,
};
use testkit::until;
use topics::{Record, engine::core::Committed};

use super::story::{Copy, Story};
use crate::space::{SOON, topic};

/// Longer than the grace of a revocation: joining anew would cut it.
const LONG: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_was_lost_is_claimed_again_and_the_runs_of_the_others_are_not_cut() {
    let story = Story::begin("engine-claim-again", 2).await;
    let starts = Arc::new(AtomicUsize::new(0));
    let started = Arc::clone(&starts);
    let copy = Copy::taking(move |record: &Record| match record.partition {
        0 => Duration::ZERO,
        _ => {
            started.fetch_add(1, Ordering::AcqRel);
            LONG
        }
    });
    let mut results = story.results();
    story.produce(2, |_| None).await;
    let (mut member, log) = story.start_logged("claim-again", copy, story.settings());
    assert_eq!(results.next().await.input_partition, 0);
    until(SOON, async || (starts.load(Ordering::Acquire) == 1).then_some(()))
        .await
        .expect("the long run has begun");

    let state = story.committed().await.swap_remove(0);
    let writer = state.writer.clone().expect("it is claimed");
    let somebody = Committed {
        seq: state.seq + 5,
        writer: Some(format!("{}.somebody", story.group)),
        ..state
    };
    story.usurp(somebody).await;
    story.fence(&writer).await;
    story.produce(1, |_| None).await;

    let first = results.next().await;
    assert_eq!(
        (first.input_partition, first.input),
        (0, 1),
        "what was lost goes on before the long run ends"
    );
    let long = results.next().await;
    assert_eq!((long.input_partition, long.input), (1, 0));
    assert_eq!(starts.load(Ordering::Acquire), 1, "the long run was not cut");
    assert_eq!(log.count("claimed"), 3, "two partitions, and one of them again");
    member.is_ready().await;
    member.stop().await;
}

/// The mark of a sweep is for readers of read_uncommitted only: it shows that the partition was swept.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_writer_left_open_in_topics_of_others_is_ended_where_they_take_it() {
    let story = Story::begin("engine-of-others", 1).await;
    let theirs = topic(&story.space, "theirs", 3, &[("cleanup.policy", "compact")]).await;
    let gone = format!("{}gone", story.space.prefix);
    story.die_in_transaction(true).await;
    story.produce(1, |_| None).await;
    let mut results = story.results();
    let mut copy = Copy::at_once();
    copy.of_others = vec![gone, theirs.clone()];

    let member = story.start(copy);

    results.take(1).await;
    member.stop().await;
    let bootstrap = story.space.parts.bootstrap.clone();
    let swept = tokio::task::spawn_blocking(move || swept(&bootstrap, &theirs, 3))
        .await
        .unwrap();
    assert_eq!(swept, BTreeSet::from([0, 1, 2]));
}

/// Partitions of the topic in which a sweep left its mark.
fn swept(bootstrap: &str, topic: &str, partitions: i32) -> BTreeSet<i32> {
    let reader: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "scan")
        .set("isolation.level", "read_uncommitted")
        .create()
        .unwrap();
    let mut all = TopicPartitionList::new();
    for partition in 0..partitions {
        all.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    reader.assign(&all).unwrap();
    let mut swept = BTreeSet::new();
    let until = Instant::now() + SOON;
    while swept.len() < partitions as usize && Instant::now() < until {
        if let Some(Ok(message)) = reader.poll(Duration::from_millis(100)) {
            assert_eq!(message.headers().unwrap().get(0).key, "millrace-sweep");
            assert!(message.payload().is_none());
            swept.insert(message.partition());
        }
    }
    swept
}

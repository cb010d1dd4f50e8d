use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::FutureExt;
use testkit::{Space, until};
use tokio::time::timeout;
use topics::{Batch, Follower, FollowerError, FollowerSettings, TopicPartition};

use crate::space::{SOON, producer, record, settings, topic};

/// The caller's store: positions and what was stored under them, changed together or not at all.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<Stored>>);

#[derive(Default)]
struct Stored {
    positions: BTreeMap<TopicPartition, i64>,
    values: Vec<String>,
}

impl Store {
    fn load(&self, partitions: &[TopicPartition]) -> BTreeMap<TopicPartition, i64> {
        let stored = self.0.lock().unwrap();
        let known = partitions
            .iter()
            .filter_map(|partition| Some((partition, stored.positions.get(partition)?)));
        known.map(|(partition, offset)| (partition.clone(), *offset)).collect()
    }

    /// Compare and set: false if somebody else stored records of this partition since `expected`.
    fn store(&self, batch: &Batch, expected: Option<i64>) -> bool {
        let mut stored = self.0.lock().unwrap();
        if stored.positions.get(&batch.partition).copied() != expected {
            return false;
        }
        stored.positions.insert(batch.partition.clone(), batch.next_offset());
        stored.values.extend(batch.records.iter().map(value));
        true
    }

    fn values(&self) -> Vec<String> {
        self.0.lock().unwrap().values.clone()
    }
}

fn value(record: &topics::Record) -> String {
    String::from_utf8(record.value.clone().unwrap().to_vec()).unwrap()
}

fn join(space: &Space, topic: &str, member: &str, store: &Store) -> Follower {
    let follower = FollowerSettings {
        client_id: member.to_owned(),
        group: space.group("recorder"),
        topics: vec![topic.to_owned()],
        buffer_bytes: 1 << 20,
    };
    let store = store.clone();
    let positions = Box::new(move |partitions: Vec<TopicPartition>| {
        let store = store.clone();
        async move { store.load(&partitions) }.boxed()
    });
    Follower::join(&settings(space), follower, positions).unwrap()
}

/// Stores what it reads until it is told to stop; then leaves the group.
async fn follow(mut follower: Follower, store: Store, stop: tokio_util::sync::CancellationToken) {
    let mut expected: BTreeMap<(TopicPartition, u64), Option<i64>> = BTreeMap::new();
    while let Some(batches) = stop
        .run_until_cancelled(follower.next_batch(7, Duration::from_millis(5)))
        .await
    {
        for batch in batches.unwrap() {
            let at = expected
                .entry((batch.partition.clone(), batch.epoch))
                .or_insert_with(|| {
                    store
                        .load(std::slice::from_ref(&batch.partition))
                        .get(&batch.partition)
                        .copied()
                });
            if batch.records[0].offset == at.unwrap_or(0) && store.store(&batch, *at) {
                *at = Some(batch.next_offset());
            } else {
                follower.reload(vec![batch.partition]);
            }
        }
    }
    follower.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_members_hand_over_and_nothing_is_lost_or_stored_twice() {
    let space = Space::new("handover").await;
    let topic = topic(&space, "results", 4, &[]).await;
    let store = Store::default();
    let producer = producer(&space);
    let write = async |range: std::ops::Range<i32>| {
        let sends = range.map(|n| producer.send(record(&topic, n % 4, n.to_string())));
        futures::future::try_join_all(sends).await.unwrap();
    };
    let stored = async |count: usize| {
        until(SOON, async || (store.values().len() >= count).then_some(()))
            .await
            .unwrap();
    };
    let member = |name: &str| {
        let stop = tokio_util::sync::CancellationToken::new();
        let task = tokio::spawn(follow(join(&space, &topic, name, &store), store.clone(), stop.clone()));
        (stop, task)
    };

    let (stop_first, first) = member("first");
    write(0..100).await;
    stored(100).await;
    let (stop_second, second) = member("second");
    write(100..300).await;
    stored(200).await;
    stop_first.cancel();
    first.await.unwrap();
    write(300..400).await;
    stored(400).await;
    stop_second.cancel();
    second.await.unwrap();

    let values = store.values();
    assert_eq!(values.len(), 400);
    let distinct: BTreeSet<i32> = values.iter().map(|value| value.parse().unwrap()).collect();
    assert_eq!(distinct, (0..400).collect::<BTreeSet<i32>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_lost_compare_and_set_it_reads_from_the_position_in_the_store() {
    let space = Space::new("reload").await;
    let topic = topic(&space, "results", 1, &[]).await;
    let producer = producer(&space);
    for n in 0..10 {
        producer.send(record(&topic, 0, n.to_string())).await.unwrap();
    }
    let store = Store::default();
    let mut follower = join(&space, &topic, "member", &store);
    let batch = timeout(SOON, follower.next_batch(3, Duration::from_secs(1)))
        .await
        .unwrap()
        .unwrap()
        .remove(0);
    assert_eq!(batch.records.iter().map(value).collect::<Vec<_>>(), ["0", "1", "2"]);
    assert!(follower.owns(&batch));

    store.0.lock().unwrap().positions.insert(batch.partition.clone(), 8);
    follower.reload(vec![batch.partition.clone()]);

    assert!(!follower.owns(&batch));
    let batch = timeout(SOON, follower.next_batch(3, Duration::from_millis(50)))
        .await
        .unwrap()
        .unwrap()
        .remove(0);
    assert_eq!(batch.records.iter().map(value).collect::<Vec<_>>(), ["8", "9"]);
    assert_eq!(batch.next_offset(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_for_longer_than_the_group_allows_is_waited_for() {
    let space = Space::new("store-away").await;
    let topic = topic(&space, "results", 2, &[]).await;
    producer(&space).send(record(&topic, 1, "waiting")).await.unwrap();
    let mut impatient = settings(&space);
    impatient
        .client
        .insert("max.poll.interval.ms".to_owned(), "6000".to_owned());
    let follower = FollowerSettings {
        client_id: "member".to_owned(),
        group: space.group("recorder"),
        topics: vec![topic],
        buffer_bytes: 1 << 20,
    };
    let away = Arc::new(AtomicBool::new(true));
    let positions = Box::new(move |_| {
        let outage = if away.swap(false, Ordering::AcqRel) { 9 } else { 0 };
        tokio::time::sleep(Duration::from_secs(outage))
            .map(|()| BTreeMap::new())
            .boxed()
    });

    let mut follower = Follower::join(&impatient, follower, positions).unwrap();

    let owned = until(Duration::from_secs(60), async || {
        let batch = follower.next_batch(1, Duration::ZERO).await.unwrap().remove(0);
        follower.owns(&batch).then_some(batch)
    });
    assert_eq!(value(&owned.await.unwrap().records[0]), "waiting");
    follower.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_that_the_log_does_not_have_is_told_and_costs_its_partition_only() {
    let space = Space::new("gone").await;
    let topic = topic(&space, "results", 2, &[]).await;
    let producer = producer(&space);
    producer.send(record(&topic, 0, "first")).await.unwrap();
    let store = Store::default();
    store
        .0
        .lock()
        .unwrap()
        .positions
        .insert(TopicPartition::new(topic.as_str(), 0), 1000);

    let mut follower = join(&space, &topic, "member", &store);

    let error = timeout(SOON, follower.next_batch(1, Duration::ZERO))
        .await
        .unwrap()
        .unwrap_err();
    assert!(
        matches!(
            &error,
            FollowerError::OutOfRange {
                offset: 1000,
                start: 0,
                end: 1,
                ..
            }
        ),
        "{error:?}"
    );
    producer.send(record(&topic, 1, "of the other")).await.unwrap();
    let mut next = async || {
        let batch = timeout(SOON, follower.next_batch(1, Duration::ZERO)).await;
        value(&batch.unwrap().unwrap()[0].records[0])
    };
    assert_eq!(next().await, "of the other");

    let partition = TopicPartition::new(topic.as_str(), 0);
    store.0.lock().unwrap().positions.insert(partition.clone(), 0);
    follower.reload(vec![partition]);
    let mut next = async || {
        let batch = timeout(SOON, follower.next_batch(1, Duration::ZERO)).await;
        value(&batch.unwrap().unwrap()[0].records[0])
    };
    assert_eq!(next().await, "first");
}

use std::time::Duration;

use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use testkit::Space;
use tokio::time::timeout;
use topics::{Start, Tail, TailError, TailEvent, TailSettings, TopicPartition};

use crate::space::{SOON, grow, producer, record, settings, topic};

fn open(space: &Space, topic: &str, start: Start) -> Tail {
    let tail = TailSettings {
        client_id: "test-tail".to_owned(),
        topics: vec![topic.to_owned()],
        start,
        buffer_bytes: 1 << 20,
    };
    Tail::open(&settings(space), tail).unwrap()
}

async fn next(tail: &mut Tail) -> TailEvent {
    timeout(SOON, tail.recv()).await.expect("an event in time").unwrap()
}

async fn next_value(tail: &mut Tail) -> String {
    loop {
        if let TailEvent::Record(record) = next(tail).await {
            return String::from_utf8(record.value.unwrap().to_vec()).unwrap();
        }
    }
}

async fn catch_up(tail: &mut Tail) -> usize {
    let mut records = 0;
    while let TailEvent::Record(_) = next(tail).await {
        records += 1;
    }
    records
}

fn transactional(space: &Space, id: &str) -> BaseProducer {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &space.parts.bootstrap)
        .set("transactional.id", space.group(id))
        .create()
        .unwrap();
    producer.init_transactions(SOON).unwrap();
    producer
}

fn write(producer: &BaseProducer, topic: &str, partition: i32, value: &str) {
    let record = BaseRecord::<(), str>::to(topic).partition(partition).payload(value);
    producer.send(record).map_err(|(error, _)| error).unwrap();
}

#[expect(clippy::disallowed_methods, reason = "speed is not what is tested here")]
fn commit(producer: &BaseProducer) {
    producer.commit_transaction(SOON).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_committed_is_seen_and_in_order() {
    let space = Space::new("committed").await;
    let topic = topic(&space, "results", 2, &[]).await;
    let mut tail = open(&space, &topic, Start::Beginning);
    let writer = transactional(&space, "writer");

    writer.begin_transaction().unwrap();
    write(&writer, &topic, 0, "aborted");
    writer.flush(SOON).unwrap();
    writer.abort_transaction(SOON).unwrap();
    writer.begin_transaction().unwrap();
    for value in ["one", "two", "three"] {
        write(&writer, &topic, 0, value);
    }
    writer.flush(SOON).unwrap();
    catch_up(&mut tail).await;
    let early = timeout(Duration::from_millis(300), tail.recv()).await;
    assert!(early.is_err(), "an open transaction is not read: {early:?}");
    commit(&writer);

    for value in ["one", "two", "three"] {
        assert_eq!(next_value(&mut tail).await, value);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_from_the_end_sees_what_was_pending_and_what_comes_once_it_is_caught_up() {
    let space = Space::new("end").await;
    let topic = topic(&space, "results", 3, &[]).await;
    let writer = transactional(&space, "writer");
    writer.begin_transaction().unwrap();
    write(&writer, &topic, 0, "history");
    commit(&writer);
    writer.begin_transaction().unwrap();
    write(&writer, &topic, 1, "pending");
    writer.flush(SOON).unwrap();

    let mut tail = open(&space, &topic, Start::End);
    let caught_up = tail.caught_up();
    assert_eq!(catch_up(&mut tail).await, 0);
    timeout(SOON, caught_up).await.unwrap().unwrap();
    commit(&writer);
    assert_eq!(next_value(&mut tail).await, "pending");
    producer(&space).send(record(&topic, 2, "new")).await.unwrap();
    assert_eq!(next_value(&mut tail).await, "new");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_from_the_beginning_is_caught_up_after_the_last_record_although_a_marker_follows_it() {
    let space = Space::new("catch-up").await;
    let topic = topic(&space, "chains", 2, &[]).await;
    let writer = transactional(&space, "writer");
    for n in 0..40 {
        writer.begin_transaction().unwrap();
        write(&writer, &topic, n % 2, "chain");
        commit(&writer);
    }

    let mut tail = open(&space, &topic, Start::Beginning);
    assert_eq!(catch_up(&mut tail).await, 40);
    let read: Vec<i64> = tail.positions().values().copied().collect();
    assert_eq!(read, [40, 40], "20 records and 20 markers each");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_appears_later_is_read_from_its_first_record() {
    let space = Space::new("adopt").await;
    let topic = topic(&space, "results", 1, &[]).await;
    let mut tail = open(&space, &topic, Start::End);
    assert_eq!(catch_up(&mut tail).await, 0);

    grow(&space, &topic, 2).await;
    producer(&space)
        .send(record(&topic, 1, "first of the new partition"))
        .await
        .unwrap();

    assert_eq!(next_value(&mut tail).await, "first of the new partition");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_goes_on_from_given_positions_and_says_when_they_are_gone() {
    let space = Space::new("positions").await;
    let topic = topic(&space, "results", 1, &[]).await;
    let producer = producer(&space);
    for n in 0..5 {
        producer.send(record(&topic, 0, n.to_string())).await.unwrap();
    }
    let partition = TopicPartition::new(topic.as_str(), 0);

    let mut tail = open(&space, &topic, Start::Offsets([(partition.clone(), 3)].into()));
    assert_eq!(next_value(&mut tail).await, "3");
    assert_eq!(tail.positions()[&partition], 4);

    let mut recent = open(&space, &topic, Start::Recent(2));
    assert_eq!(next_value(&mut recent).await, "3");
    assert_eq!(recent.begun()[&partition], 3);
    let mut all = open(&space, &topic, Start::Recent(100));
    assert_eq!(next_value(&mut all).await, "0", "there are no more");

    let mut beyond = open(&space, &topic, Start::Offsets([(partition.clone(), 99)].into()));
    let mut lost = timeout(SOON, beyond.recv()).await.unwrap();
    if let Ok(TailEvent::CaughtUp) = lost {
        lost = timeout(SOON, beyond.recv()).await.unwrap();
    }
    assert!(
        matches!(lost, Err(TailError::OutOfRange { offset: 99, .. })),
        "{lost:?}"
    );
    assert!(matches!(beyond.recv().await, Err(TailError::Ended)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_gets_everything_through_a_small_buffer() {
    let space = Space::new("slow").await;
    let topic = topic(&space, "results", 4, &[]).await;
    let producer = producer(&space);
    let sends = (0..2000).map(|n| producer.send(record(&topic, n % 4, n.to_string())));
    futures::future::try_join_all(sends).await.unwrap();

    let narrow = TailSettings {
        client_id: "narrow".to_owned(),
        topics: vec![topic],
        start: Start::Beginning,
        buffer_bytes: 1024,
    };
    let mut tail = Tail::open(&settings(&space), narrow).unwrap();
    assert_eq!(catch_up(&mut tail).await, 2000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_missing_is_named_in_the_status_and_read_from_0_once_it_is_there() {
    let space = Space::new("missing").await;
    let name = space.topic("results");
    let mut tail = open(&space, &name, Start::End);
    let mut status = tail.status();
    let troubled = timeout(SOON, status.wait_for(|status| status.trouble.is_some()))
        .await
        .unwrap()
        .unwrap()
        .clone();
    assert!(troubled.trouble.unwrap().contains(&name));

    topic(&space, "results", 1, &[]).await;
    producer(&space).send(record(&name, 0, "first")).await.unwrap();
    assert_eq!(next_value(&mut tail).await, "first");
}

//! A story of the engine: a request topic, a result topic, members that copy one to the other, and a reader of what is
//! committed.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer},
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use testkit::{OwnParts, Space};
use tokio::{sync::watch, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;
use topics::{
    Headers, History, Output, Producer, Record, Start, Tail, TailEvent, TailSettings,
    engine::{self, EngineError, EngineSettings, Input, Node, Prepared, Rejection, Run, core::Committed},
};

use crate::space::{SOON, producer, settings, topic};

pub struct Story {
    pub space: Space,
    pub requests: String,
    pub results: String,
    pub group: String,
    pub partitions: i32,
}

impl Story {
    pub async fn begin(name: &str, partitions: i32) -> Self {
        let story = Self::begin_without_offsets(name, partitions).await;
        story.commit_first().await;
        story
    }

    /// On a broker that the story may kill.
    pub async fn begin_on(own: &OwnParts, partitions: i32) -> Self {
        let space = Space {
            parts: Box::leak(Box::new(own.parts.clone())),
            prefix: "own.".to_owned(),
            postgres_url: String::new(),
        };
        let story = Self::begin_in(space, partitions).await;
        story.commit_first().await;
        story
    }

    pub async fn begin_without_offsets(name: &str, partitions: i32) -> Self {
        Self::begin_in(Space::new(name).await, partitions).await
    }

    async fn begin_in(space: Space, partitions: i32) -> Self {
        let requests = topic(&space, "requests", partitions, &[]).await;
        let results = topic(&space, "results", partitions, &[("max.message.bytes", "100000")]).await;
        let group = space.group("copy");
        Self {
            space,
            requests,
            results,
            group,
            partitions,
        }
    }

    /// A story that another process began.
    pub async fn again(prefix: String, requests: String, results: String) -> Self {
        let space = Space {
            prefix,
            ..Space::new("engine-again").await
        };
        let group = space.group("copy");
        Self {
            space,
            requests,
            results,
            group,
            partitions: 0,
        }
    }

    /// From here on requests go to another topic.
    pub async fn add_requests(&mut self, name: &str) {
        self.requests = topic(&self.space, name, self.partitions, &[]).await;
        self.commit_first().await;
    }

    /// The first commit of a new group, as `topics apply` writes it.
    async fn commit_first(&self) {
        let consumer = self.reader();
        let mut list = TopicPartitionList::new();
        for partition in 0..self.partitions {
            let mut element = list.add_partition(&self.requests, partition);
            element.set_offset(Offset::Offset(0)).unwrap();
            let first = Committed {
                partitions: self.partitions as u32,
                ..Committed::first(0)
            };
            element.set_metadata(first.encode());
        }
        tokio::task::spawn_blocking(move || consumer.commit(&list, CommitMode::Sync).unwrap())
            .await
            .unwrap();
    }

    pub fn reader(&self) -> BaseConsumer {
        ClientConfig::new()
            .set("bootstrap.servers", &self.space.parts.bootstrap)
            .set("group.id", &self.group)
            .set("enable.auto.commit", "false")
            .create()
            .unwrap()
    }

    pub async fn committed(&self) -> Vec<Committed> {
        let (consumer, requests, partitions) = (self.reader(), self.requests.clone(), self.partitions);
        let read = move || {
            let mut list = TopicPartitionList::new();
            list.add_partition_range(&requests, 0, partitions - 1);
            let found = consumer.committed_offsets(list, SOON).unwrap();
            let state = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
                let Offset::Offset(offset) = element.offset() else {
                    panic!("no commit")
                };
                Committed::decode(offset, element.metadata()).unwrap()
            };
            found.elements().iter().map(state).collect()
        };
        tokio::task::spawn_blocking(read).await.unwrap()
    }

    /// Records with their number as value, spread over the partitions by number.
    pub async fn produce(&self, count: i64, key: impl Fn(i64) -> Option<String>) {
        self.produce_by(&producer(&self.space), count, key).await;
    }

    pub async fn produce_by(&self, producer: &Producer, count: i64, key: impl Fn(i64) -> Option<String>) {
        let sends = (0..count).map(|number| {
            let key = key(number).map(Bytes::from);
            // A key stays in its partition, as it does with any partitioner.
            let spread = key
                .as_ref()
                .map_or(number, |key| key.iter().map(|byte| i64::from(*byte)).sum());
            producer.send(Output {
                topic: self.requests.clone(),
                partition: Some((spread % i64::from(self.partitions)) as i32),
                key,
                value: Some(Bytes::from(number.to_string())),
                headers: Headers::new(),
            })
        });
        futures::future::try_join_all(sends).await.unwrap();
    }

    pub fn results(&self) -> Results {
        let tail = TailSettings {
            client_id: "results".to_owned(),
            topics: vec![self.results.clone()],
            start: Start::Beginning,
            buffer_bytes: 16 << 20,
        };
        Results(Tail::open(&settings(&self.space), tail).unwrap())
    }

    pub fn settings(&self) -> EngineSettings {
        EngineSettings::new(
            settings(&self.space),
            self.group.clone(),
            vec![Input::new(self.requests.clone())],
            vec![self.results.clone()],
        )
    }

    /// What a process that takes a writer for dead does to it.
    pub async fn fence(&self, writer: &str) {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", &self.space.parts.bootstrap)
            .set("transactional.id", writer)
            .create()
            .unwrap();
        tokio::task::spawn_blocking(move || producer.init_transactions(SOON).unwrap())
            .await
            .unwrap();
    }

    /// Another writer commits this state of partition 0, as a process that took it over would; brokers ask nobody's leave.
    #[expect(clippy::disallowed_methods, reason = "a test may wait 100 ms")]
    pub async fn usurp(&self, state: Committed) {
        let (reader, requests) = (self.reader(), self.requests.clone());
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", &self.space.parts.bootstrap)
            .set("transactional.id", state.writer.as_deref().unwrap())
            .create()
            .unwrap();
        let usurp = move || {
            let mut list = TopicPartitionList::new();
            let mut element = list.add_partition(&requests, 0);
            element.set_offset(Offset::Offset(state.progress.watermark())).unwrap();
            element.set_metadata(state.encode());
            producer.init_transactions(SOON).unwrap();
            producer.begin_transaction().unwrap();
            let nobody = reader.group_metadata().unwrap();
            producer.send_offsets_to_transaction(&list, &nobody, SOON).unwrap();
            producer.commit_transaction(SOON).unwrap();
        };
        tokio::task::spawn_blocking(usurp).await.unwrap();
    }

    /// A writer that owned partition 0 has produced the result of its first record, perhaps sent its offset, and is gone.
    pub async fn die_in_transaction(&self, offsets_sent: bool) {
        let writer = format!("{}.dead", self.group);
        let (reader, requests, results) = (self.reader(), self.requests.clone(), self.results.clone());
        let state = |offset| Committed {
            seq: 1,
            writer: Some(writer.clone()),
            ..Committed::first(offset)
        };
        let offsets = move |offset: i64, state: Committed| {
            let mut list = TopicPartitionList::new();
            let mut element = list.add_partition(&requests, 0);
            element.set_offset(Offset::Offset(offset)).unwrap();
            element.set_metadata(state.encode());
            list
        };
        let (claimed, done) = (offsets(0, state(0)), offsets(1, state(1)));
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", &self.space.parts.bootstrap)
            .set("transactional.id", &writer)
            .create()
            .unwrap();
        let die = move || {
            reader.commit(&claimed, CommitMode::Sync).unwrap();
            producer.init_transactions(SOON).unwrap();
            producer.begin_transaction().unwrap();
            let record: BaseRecord<'_, [u8], str> = BaseRecord::to(&results).partition(0).payload("never seen");
            producer.send(record).map_err(|(error, _)| error).unwrap();
            producer.flush(SOON).unwrap();
            if offsets_sent {
                let nobody = reader.group_metadata().unwrap();
                producer.send_offsets_to_transaction(&done, &nobody, SOON).unwrap();
            }
            std::mem::forget(producer);
        };
        tokio::task::spawn_blocking(die).await.unwrap();
    }

    /// A member that writes down what it does.
    pub fn start_logged(&self, name: &str, copy: Copy, mut settings: EngineSettings) -> (Member, Log) {
        let log = Log(std::env::temp_dir().join(format!("{}{name}.jsonl", self.space.prefix)));
        // Spaces on brokers of their own share a prefix, one run after another.
        let _ = std::fs::remove_file(&log.0);
        settings.history = History::open(Some(&log.0)).unwrap();
        (self.start_with(copy, settings), log)
    }

    pub fn start(&self, copy: Copy) -> Member {
        self.start_with(copy, self.settings())
    }

    pub fn start_with(&self, mut copy: Copy, settings: EngineSettings) -> Member {
        copy.results.clone_from(&self.results);
        let (ready, readiness) = watch::channel(Err("not started".to_owned()));
        let shutdown = CancellationToken::new();
        let run = tokio::spawn(engine::run(settings, Arc::new(copy), ready, shutdown.clone()));
        Member {
            run,
            shutdown,
            readiness,
        }
    }
}

pub struct Log(PathBuf);

impl Log {
    pub fn contains(&self, event: &str) -> bool {
        self.count(event) > 0
    }

    pub fn count(&self, event: &str) -> usize {
        let log = std::fs::read_to_string(&self.0).unwrap();
        log.matches(&format!("\"event\":\"{event}\"")).count()
    }
}

pub struct Member {
    run: JoinHandle<Result<(), EngineError>>,
    pub shutdown: CancellationToken,
    pub readiness: watch::Receiver<Result<(), String>>,
}

impl Member {
    pub async fn is_ready(&mut self) {
        timeout(SOON, self.readiness.wait_for(Result::is_ok))
            .await
            .expect("ready in time")
            .unwrap();
    }

    pub async fn why_not(&mut self, part: &str) -> String {
        let says = |state: &Result<(), String>| state.as_ref().is_err_and(|why| why.contains(part));
        let state = timeout(SOON, self.readiness.wait_for(says)).await;
        state
            .unwrap_or_else(|_| panic!("never said {part:?}"))
            .unwrap()
            .clone()
            .unwrap_err()
    }

    pub async fn stop(self) {
        self.shutdown.cancel();
        self.ended().await.unwrap();
    }

    pub async fn ended_ever(self) -> Result<(), EngineError> {
        self.run.await.unwrap()
    }

    pub async fn ended(self) -> Result<(), EngineError> {
        timeout(SOON, self.run).await.expect("an end in time").unwrap()
    }
}

/// Instead of being ready.
type Prepare = Box<dyn Fn(&Record) -> Option<Prepared<()>> + Send + Sync>;

/// A node that copies a request to the results, after some time.
pub struct Copy {
    takes: Box<dyn Fn(&Record) -> Duration + Send + Sync>,
    /// Instead of the record's own value.
    pub value: fn(&Record) -> Option<Bytes>,
    /// The value of what stands in for a result that is refused; the rejection's class if empty.
    pub rejection: Bytes,
    pub rejection_panics: bool,
    pub prepare: Prepare,
    pub results: String,
    /// Another topic that gets a copy, of these records.
    pub also: Option<String>,
    pub also_of: fn(&Record) -> bool,
    /// The run of this offset does not end before it is so.
    pub until: Option<(i64, CancellationToken)>,
    /// How many outputs for other topics it was shown beside a rejection.
    pub spared: Arc<AtomicUsize>,
    /// Topics of others that it may write to.
    pub of_others: Vec<String>,
    /// How many results the engine said it discarded.
    pub discarded: Arc<AtomicUsize>,
}

impl Copy {
    pub fn taking(takes: impl Fn(&Record) -> Duration + Send + Sync + 'static) -> Self {
        Self {
            takes: Box::new(takes),
            value: |_| None,
            rejection: Bytes::new(),
            rejection_panics: false,
            prepare: Box::new(|_| None),
            results: String::new(),
            also: None,
            also_of: |_| true,
            until: None,
            spared: Arc::default(),
            of_others: Vec::new(),
            discarded: Arc::default(),
        }
    }

    pub fn at_once() -> Self {
        Self::taking(|_| Duration::ZERO)
    }
}

impl Node for Copy {
    type Ready = ();

    async fn prepare(&self, record: &Record) -> Prepared<()> {
        (self.prepare)(record).unwrap_or(Prepared::Ready(()))
    }

    async fn run(&self, (): (), run: Run) -> Vec<Output> {
        let time = (self.takes)(&run.record);
        if !time.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(time) => {}
                () = run.cancelled.cancelled() => {}
            }
        }
        if let Some((_, is_so)) = self.until.as_ref().filter(|(offset, _)| *offset == run.record.offset) {
            is_so.cancelled().await;
        }
        let value = (self.value)(&run.record).or_else(|| run.record.value.clone());
        let also = self.also.iter().filter(|_| (self.also_of)(&run.record));
        let topics = [&self.results].into_iter().chain(also);
        topics.map(|topic| copy(topic, &run.record, value.clone())).collect()
    }

    fn writes_also(&self) -> Vec<String> {
        self.of_others.clone()
    }

    async fn discarded(&self, outputs: Arc<[Output]>) {
        self.discarded.fetch_add(outputs.len(), Ordering::AcqRel);
    }

    fn rejected(&self, record: &Record, rejection: &Rejection, spared: &[Output]) -> Vec<Output> {
        self.spared.fetch_add(spared.len(), Ordering::AcqRel);
        assert!(!self.rejection_panics, "on purpose");
        let class = Bytes::from(rejection.class.clone());
        let value = if self.rejection.is_empty() {
            class
        } else {
            self.rejection.clone()
        };
        vec![copy(&self.results, record, Some(value))]
    }
}

fn copy(results: &str, record: &Record, value: Option<Bytes>) -> Output {
    Output {
        topic: results.to_owned(),
        partition: Some(record.partition),
        key: record.key.clone(),
        value,
        headers: Headers::new().with("src", record.src()),
    }
}

/// A committed result.
#[derive(Debug)]
pub struct Seen {
    pub key: Option<Bytes>,
    pub value: String,
    pub partition: i32,
    pub input_topic: String,
    pub input_partition: i32,
    pub input: i64,
    /// Its own place in its partition of the results: tells a record that was read twice from two records.
    pub output: i64,
}

pub struct Results(Tail);

impl Results {
    pub async fn take(&mut self, count: usize) -> Vec<Seen> {
        self.take_within(count, SOON).await
    }

    /// Each within this time of the last one.
    pub async fn take_within(&mut self, count: usize, time: Duration) -> Vec<Seen> {
        let mut seen = Vec::new();
        while seen.len() < count {
            let event = timeout(time, self.0.recv()).await;
            let event = event
                .unwrap_or_else(|_| panic!("{} of {count} results", seen.len()))
                .unwrap();
            if let TailEvent::Record(record) = event {
                seen.push(Seen::from(record));
            }
        }
        seen
    }

    pub async fn next(&mut self) -> Seen {
        loop {
            if let TailEvent::Record(record) = self.0.recv().await.unwrap() {
                return Seen::from(record);
            }
        }
    }

    /// What still appears until there is nothing for a while.
    pub async fn rest(&mut self) -> Vec<Seen> {
        let mut seen = Vec::new();
        while let Ok(event) = timeout(Duration::from_secs(2), self.0.recv()).await {
            if let TailEvent::Record(record) = event.unwrap() {
                seen.push(Seen::from(record));
            }
        }
        seen
    }

    pub async fn is_over(&mut self) {
        let more = self.rest().await;
        assert!(more.is_empty(), "more than one result each: {more:?}");
    }
}

impl From<Record> for Seen {
    fn from(record: Record) -> Self {
        let src = record.headers.text("src").unwrap().to_owned();
        let mut parts = src.rsplitn(3, '/');
        let input = parts.next().unwrap().parse().unwrap();
        let input_partition = parts.next().unwrap().parse().unwrap();
        let input_topic = parts.next().unwrap().to_owned();
        let value = String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned();
        Self {
            key: record.key,
            value,
            partition: record.partition,
            input_topic,
            input_partition,
            input,
            output: record.offset,
        }
    }
}

/// Each request has exactly one result.
pub fn each_once(seen: &[Seen], count: usize) {
    let mut outputs = BTreeMap::<(i32, i64), Vec<(i32, i64)>>::new();
    for seen in seen {
        let input = (seen.input_partition, seen.input);
        outputs.entry(input).or_default().push((seen.partition, seen.output));
    }
    let twice: Vec<_> = outputs.iter().filter(|(_, outputs)| outputs.len() > 1).collect();
    assert!(twice.is_empty(), "more than one result (input -> outputs): {twice:?}");
    assert_eq!(outputs.len(), count);
}

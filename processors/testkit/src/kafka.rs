//! What tests ask the broker behind Millrace's back, with the raw client: an engine cannot be its own witness.

mod writer;

use std::time::Duration;

use rdkafka::{
    ClientConfig, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    mocking::MockCluster,
    producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer},
};

pub use writer::{TransactionalWriter, delete_before, log};

const PATIENCE: Duration = Duration::from_secs(60);

/// The committed state of one partition, as any admin tool sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedOffset {
    pub partition: i32,
    /// `None`: there is no commit.
    pub offset: Option<i64>,
    pub metadata: String,
}

/// Makes a topic that belongs to nobody in Millrace.
///
/// # Errors
/// What the broker says.
pub async fn create_topic(bootstrap: &str, name: &str, partitions: i32) -> Result<(), KafkaError> {
    let admin: AdminClient<_> = client(bootstrap).create()?;
    let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
    for outcome in admin
        .create_topics([&topic], &AdminOptions::new().operation_timeout(Some(PATIENCE)))
        .await?
    {
        outcome.map_err(|(_, code)| KafkaError::AdminOp(code))?;
    }
    Ok(())
}

/// Writes a record that says itself when it was.
///
/// # Errors
/// What the client says.
pub fn produce_at(bootstrap: &str, topic: &str, timestamp_ms: i64, value: &[u8]) -> Result<(), KafkaError> {
    let producer: BaseProducer = client(bootstrap).create()?;
    let record = BaseRecord::<[u8], [u8]>::to(topic)
        .payload(value)
        .timestamp(timestamp_ms);
    producer.send(record).map_err(|(error, _)| error)?;
    producer.flush(PATIENCE)
}

/// What `group` has committed for each partition of `topic`. Waits while a transaction with offsets of it is pending.
///
/// # Errors
/// What the broker says.
pub fn committed(bootstrap: &str, group: &str, topic: &str) -> Result<Vec<CommittedOffset>, KafkaError> {
    let stable = CommittedOffsets::stable(bootstrap, group)?;
    stable.of(topic, &stable.partitions(topic)?, PATIENCE)
}

/// Asks for what a group has committed.
pub struct CommittedOffsets(BaseConsumer);

impl CommittedOffsets {
    /// Waits while a transaction with offsets is pending.
    ///
    /// # Errors
    /// When there can be no client.
    pub fn stable(bootstrap: &str, group: &str) -> Result<Self, KafkaError> {
        Self::new(bootstrap, group, "read_committed")
    }

    /// Says what was committed last, whatever is pending.
    ///
    /// # Errors
    /// When there can be no client.
    pub fn latest(bootstrap: &str, group: &str) -> Result<Self, KafkaError> {
        Self::new(bootstrap, group, "read_uncommitted")
    }

    fn new(bootstrap: &str, group: &str, isolation: &str) -> Result<Self, KafkaError> {
        let mut config = client(bootstrap);
        config.set("group.id", group).set("isolation.level", isolation);
        config.create().map(Self)
    }

    /// # Errors
    /// What the broker says.
    pub fn partitions(&self, topic: &str) -> Result<Vec<i32>, KafkaError> {
        let metadata = self.0.fetch_metadata(Some(topic), PATIENCE)?;
        let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
        Ok(partitions.map(|partition| partition.id()).collect())
    }

    /// Sorted by partition.
    ///
    /// # Errors
    /// What the broker says, or that it said nothing.
    pub fn of(&self, topic: &str, partitions: &[i32], within: Duration) -> Result<Vec<CommittedOffset>, KafkaError> {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition(topic, *partition);
        }
        let committed = self.0.committed_offsets(list, within)?;
        let mut offsets = Vec::new();
        for element in committed.elements() {
            element.error()?;
            offsets.push(CommittedOffset {
                partition: element.partition(),
                offset: element.offset().to_raw().filter(|offset| *offset >= 0),
                metadata: element.metadata().to_owned(),
            });
        }
        offsets.sort_by_key(|offset| offset.partition);
        Ok(offsets)
    }
}

/// librdkafka's mock cluster: speaks the protocol, and discards the offsets of transactions.
pub struct MockBroker(MockCluster<'static, DefaultProducerContext>);

impl MockBroker {
    /// # Errors
    /// When no port can be bound.
    pub fn start() -> Result<Self, KafkaError> {
        MockCluster::new(1).map(Self)
    }

    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.0.bootstrap_servers()
    }

    /// # Errors
    /// When the topic exists.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<(), KafkaError> {
        self.0.create_topic(name, partitions, 1)
    }
}

fn client(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    config
}

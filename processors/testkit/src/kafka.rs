//! What tests ask the broker behind Millrace's back, with the raw client: an engine cannot be its own witness.

use std::time::Duration;

use rdkafka::{
    ClientConfig, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    mocking::MockCluster,
    producer::DefaultProducerContext,
};

const PATIENCE: Duration = Duration::from_secs(20);

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

/// What `group` has committed for each partition of `topic`. Waits while a transaction with offsets of it is pending.
///
/// # Errors
/// What the broker says.
pub fn committed(bootstrap: &str, group: &str, topic: &str) -> Result<Vec<CommittedOffset>, KafkaError> {
    let consumer: BaseConsumer = client(bootstrap)
        .set("group.id", group)
        .set("isolation.level", "read_committed")
        .create()?;
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let mut list = TopicPartitionList::new();
    for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
        list.add_partition(topic, partition.id());
    }
    let committed = consumer.committed_offsets(list, PATIENCE)?;
    let mut offsets: Vec<CommittedOffset> = committed
        .elements()
        .iter()
        .map(|element| CommittedOffset {
            partition: element.partition(),
            offset: element.offset().to_raw().filter(|offset| *offset >= 0),
            metadata: element.metadata().to_owned(),
        })
        .collect();
    offsets.sort_by_key(|offset| offset.partition);
    Ok(offsets)
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

//! What keeps a tail from reading for a while. It is told in its status and tried again; it never ends the tail.

use rdkafka::error::KafkaError;

use crate::TopicPartition;

#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("cannot reach the brokers at {bootstrap}: {source}")]
    Unreachable { bootstrap: String, source: KafkaError },
    #[error("topic {topic} does not exist; `millrace topics apply` creates Millrace's own")]
    NoTopic { topic: String },
    #[error("no right to read {topic}; `millrace topics list --rights` says who needs which")]
    NotAuthorized { topic: String },
    #[error("{partition} cannot be read at the moment: {source}")]
    Partition {
        partition: TopicPartition,
        source: KafkaError,
    },
}

//! What became of a record that is not acknowledged.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// Why a record is not known to be in its topic. After `TimedOut` and `Unavailable` it may be there all the same.
#[derive(Debug, thiserror::Error)]
pub enum ProduceError {
    #[error("cannot create a producer: check the settings under kafka.client")]
    Create(#[source] KafkaError),
    #[error("the record is larger than {topic} takes (its max.message.bytes)")]
    TooLarge {
        topic: String,
        #[source]
        source: KafkaError,
    },
    #[error(
        "topic {topic} (or the partition asked for) does not exist; `millrace topics apply` creates Millrace's own"
    )]
    UnknownTopic {
        topic: String,
        #[source]
        source: KafkaError,
    },
    #[error("no right to write to {topic}; `millrace topics list --rights` says who needs which")]
    NotAuthorized {
        topic: String,
        #[source]
        source: KafkaError,
    },
    #[error("{topic} refuses the record as it is")]
    Refused {
        topic: String,
        #[source]
        source: KafkaError,
    },
    #[error("{topic} did not acknowledge the record in time")]
    TimedOut {
        topic: String,
        #[source]
        source: KafkaError,
    },
    #[error("the record could not be written to {topic}")]
    Unavailable {
        topic: String,
        #[source]
        source: KafkaError,
    },
    #[error("the producer is closed")]
    Closed,
}

impl ProduceError {
    /// True if the record itself is at fault: the same record will be refused again, others will not.
    #[must_use]
    pub fn is_of_the_record(&self) -> bool {
        match self {
            Self::TooLarge { .. } | Self::UnknownTopic { .. } | Self::NotAuthorized { .. } | Self::Refused { .. } => {
                true
            }
            Self::Create(_) | Self::TimedOut { .. } | Self::Unavailable { .. } | Self::Closed => false,
        }
    }

    pub(crate) fn of(topic: &str, source: KafkaError) -> Self {
        use RDKafkaErrorCode as Code;
        let topic = topic.to_owned();
        match source.rdkafka_error_code() {
            Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize | Code::MessageBatchTooLarge) => {
                Self::TooLarge { topic, source }
            }
            Some(Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition | Code::InvalidTopic) => {
                Self::UnknownTopic { topic, source }
            }
            Some(Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed) => {
                Self::NotAuthorized { topic, source }
            }
            Some(Code::InvalidRecord | Code::PolicyViolation | Code::InvalidTimestamp | Code::InvalidMessage) => {
                Self::Refused { topic, source }
            }
            Some(Code::MessageTimedOut | Code::OperationTimedOut | Code::RequestTimedOut) => {
                Self::TimedOut { topic, source }
            }
            _ => Self::Unavailable { topic, source },
        }
    }
}

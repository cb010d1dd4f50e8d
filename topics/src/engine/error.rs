//! Why an engine ends other than by being told to.

use rdkafka::error::KafkaError;

use super::watchdog::Hung;

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("the engine settings are not usable: {0}")]
    Settings(String),
    #[error("cannot create the Kafka client `{client}`")]
    Client {
        client: &'static str,
        #[source]
        source: KafkaError,
    },
    #[error("cannot subscribe group `{group}`")]
    Subscribe {
        group: String,
        #[source]
        source: KafkaError,
    },
    #[error("the canary of group `{group}` could not be committed and read back")]
    Canary {
        group: String,
        #[source]
        source: KafkaError,
    },
    /// Exactly-once needs the metadata of an offset commit: it holds which offsets above the watermark are done.
    #[error(
        "these brokers drop the metadata of offset commits (written through a transaction to group `{group}`, read back \
         `{read}`), so exactly-once results cannot be kept; use Apache Kafka or a broker that stores offset metadata"
    )]
    MetadataDropped { group: String, read: String },
    #[error(
        "these brokers refuse offset metadata of {characters} characters (group `{group}`), which the longest map of completed \
         offsets takes: commits would fail once runs of very different length mix. Set offset.metadata.max.bytes={max} on \
         each broker (it is Kafka's default) and restart it",
        max = super::core::MAX_METADATA
    )]
    MetadataTooLong { group: String, characters: usize },
    #[error("the transactional producer `{transactional_id}` cannot be initialised")]
    Producer {
        transactional_id: String,
        #[source]
        source: KafkaError,
    },
    #[error(transparent)]
    Hung(#[from] Hung),
    #[error("what earlier transactions left open cannot be ended")]
    Sweep {
        #[source]
        source: KafkaError,
    },
    #[error("cannot see yet whether the results of the last commit are readable in {topic}/{partition}: {reason}")]
    Unseen {
        topic: String,
        partition: i32,
        reason: String,
    },
    #[error("cannot read what came of a commit")]
    Unresolved {
        #[source]
        source: KafkaError,
    },
    #[error("the consumer of group `{group}` failed for good")]
    Consumer {
        group: String,
        #[source]
        source: KafkaError,
    },
    #[error("the engine's `{thread}` thread ended before it was told to")]
    Thread { thread: &'static str },
}

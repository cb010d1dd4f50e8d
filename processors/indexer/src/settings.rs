use std::time::Duration;

use topics::{Catalog, History, KafkaSettings, engine::EngineTuning};

use crate::Splitting;

/// The consumer group, as the catalog names it.
pub const GROUP: &str = "indexer";

/// What the indexer is told.
#[derive(Debug, Clone)]
pub struct Settings {
    pub kafka: KafkaSettings,
    /// Which topics hold documents, and how large records may be.
    pub catalog: Catalog,
    pub engine: EngineTuning,
    /// Where the engine writes down what it does; off by default.
    pub history: History,
    pub splitting: Splitting,
    /// How long a document is tried again while Pinecone or the model provider is away, before it is a dead letter.
    pub patience: Duration,
}

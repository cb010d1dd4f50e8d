use std::path::PathBuf;

use topics::{Catalog, KafkaSettings, engine::EngineTuning};

/// The consumer group, as the catalog names it.
pub const GROUP: &str = "orchestrator";

/// What the orchestrator is told.
#[derive(Debug, Clone)]
pub struct Settings {
    pub kafka: KafkaSettings,
    /// Which topics are read, what their records are, and how large they may be.
    pub catalog: Catalog,
    pub engine: EngineTuning,
    /// Chain files, or folders of them.
    pub chains: Vec<PathBuf>,
}

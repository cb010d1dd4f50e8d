use std::path::PathBuf;

use topics::{Catalog, History, KafkaSettings, engine::EngineTuning};

/// The consumer group, as the catalog names it.
pub const GROUP: &str = "orchestrator";

/// What the orchestrator is told.
#[derive(Debug, Clone)]
pub struct Settings {
    pub kafka: KafkaSettings,
    /// Which topics are read, what their records are, and how large they may be.
    pub catalog: Catalog,
    pub engine: EngineTuning,
    /// Where the engine writes down what it did; `History::default()` is off.
    pub history: History,
    /// Chain files, or folders of them.
    pub chains: Vec<PathBuf>,
    /// A folder for outputs that are too large for `results`, one file each. It should outlive the process, as a mounted
    /// volume does. None: such an output is lost, though it was paid for.
    pub oversized_outputs: Option<PathBuf>,
}

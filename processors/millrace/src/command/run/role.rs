//! What a process can do.

use clap::ValueEnum;

use crate::config::Config;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Role {
    /// requests → results, audit, dead letters
    Orchestrator,
    /// documents → Pinecone
    Indexer,
    /// everything → Postgres
    Recorder,
    /// HTTP
    Api,
}

impl Role {
    pub fn all(config: &Config) -> Vec<Self> {
        let indexer = (!config.indexes.is_empty()).then_some(Self::Indexer);
        [Self::Orchestrator, Self::Recorder, Self::Api]
            .into_iter()
            .chain(indexer)
            .collect()
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Orchestrator => "orchestrator",
            Self::Indexer => "indexer",
            Self::Recorder => "recorder",
            Self::Api => "api",
        }
    }
}

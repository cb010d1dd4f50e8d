use schemas::{EncodeError, RegistryError};
use topics::{ProduceError, TailError, engine::EngineError};

use crate::{chain_files::LoadError, chains::Conflict, oversized::OversizedError};

/// Why the orchestrator ends other than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the chains cannot be loaded")]
    Chains(#[source] LoadError),
    #[error(
        "topics.yaml has no group `{}`: nothing says which topics hold requests",
        crate::settings::GROUP
    )]
    NoGroup,
    /// The catalog refuses it, too: a record that is no request needs a chain to be the input of.
    #[error("topics.yaml binds `{topic}` to no chain: add `chain:` to it")]
    NoChain { topic: String },
    #[error(transparent)]
    Oversized(OversizedError),
    #[error("the schema registry refuses")]
    Registry(#[source] RegistryError),
    #[error("the topic of chains cannot be read")]
    ReadChains(#[source] TailError),
    #[error("two contents of one version")]
    Conflict(#[source] Conflict),
    #[error("the producer for chains cannot be created")]
    Producer(#[source] Box<ProduceError>),
    #[error("chain {chain} cannot be encoded")]
    EncodeChain {
        chain: String,
        #[source]
        source: EncodeError,
    },
    #[error("chain {chain} cannot be published")]
    PublishChain {
        chain: String,
        #[source]
        source: Box<ProduceError>,
    },
    #[error("the engine ended")]
    Engine(#[source] Box<EngineError>),
}

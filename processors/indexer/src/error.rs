use retrieval::{Metric, RetrievalError};
use schemas::RegistryError;
use topics::engine::EngineError;

use crate::settings::GROUP;

/// Why the indexer ends other than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("topics.yaml has no group `{GROUP}`: nothing says which topics hold documents")]
    NoGroup,
    #[error("index `{index}` is embedded by `{alias}`, which the models file does not have")]
    NoModel { index: String, alias: String },
    #[error("index `{index}` is embedded by `{alias}`, which is a chat model: name an embedding model")]
    NotEmbedding { index: String, alias: String },
    #[error(
        "index `{index}` has dimension {expected}, its model `{alias}` makes vectors of {found}: make `dimension` the same \
         in both files"
    )]
    ModelDimension {
        index: String,
        alias: String,
        expected: u32,
        found: u32,
    },
    #[error(
        "index `{index}` at Pinecone has dimension {found} and metric {found_metric:?}, millrace.yaml says {expected} and \
         {expected_metric:?}: change millrace.yaml, or name an index that does not exist yet and it is created"
    )]
    IndexDiffers {
        index: String,
        expected: u32,
        expected_metric: Metric,
        found: u32,
        found_metric: Metric,
    },
    #[error("Pinecone refuses to open or create index `{index}`")]
    Index {
        index: String,
        #[source]
        source: RetrievalError,
    },
    #[error("the schema registry refuses")]
    Registry(#[source] RegistryError),
    #[error("the engine ended")]
    Engine(#[source] Box<EngineError>),
}

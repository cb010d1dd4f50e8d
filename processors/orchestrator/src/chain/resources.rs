//! What chains may name, and what their steps call.

use std::sync::Arc;

use models::{Caller, Models};
use retrieval::{IndexSpec, Match, Pinecone, Query, RetrievalError};

use super::error::StepError;

/// The models file and the indexes: chains are checked against these.
#[derive(Debug, Clone)]
pub struct Resources {
    pub models: Arc<Models>,
    pub indexes: Vec<IndexSpec>,
}

impl Resources {
    pub(crate) fn index(&self, name: &str) -> Option<&IndexSpec> {
        self.indexes.iter().find(|spec| spec.name == name)
    }
}

/// What the steps of a run call.
#[derive(Clone)]
pub struct Services {
    pub caller: Arc<Caller>,
    pub pinecone: Pinecone,
    pub indexes: Vec<IndexSpec>,
}

impl Services {
    pub(crate) fn resources(&self) -> Resources {
        Resources {
            models: Arc::clone(self.caller.models()),
            indexes: self.indexes.clone(),
        }
    }

    pub(crate) fn index(&self, name: &str) -> Result<&IndexSpec, StepError> {
        let spec = self.indexes.iter().find(|spec| spec.name == name);
        spec.ok_or_else(|| StepError::UnknownIndex { index: name.to_owned() })
    }

    pub(crate) async fn query(&self, spec: &IndexSpec, query: &Query) -> Result<Vec<Match>, RetrievalError> {
        self.pinecone.index(&spec.index).await?.query(query).await
    }
}

//! What chains may name, and what their steps call.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use models::{Caller, Models};
use retrieval::{IndexSpec, Match, Pinecone, Query, Ranked, Rerank, RetrievalError, Vector};

use super::{Chain, error::StepError, hash_key::HashKey};

/// The models file, the indexes and the other chains: chains are checked against these.
#[derive(Debug, Clone)]
pub struct Resources {
    pub models: Arc<Models>,
    pub indexes: Vec<IndexSpec>,
    /// Those that others may run.
    pub chains: Others,
    /// For `strategy: hash` of a redaction.
    pub hash_key: Option<HashKey>,
}

/// The chains that a chain may run.
#[derive(Debug, Clone, Default)]
pub struct Others {
    checked: BTreeMap<String, Arc<Chain>>,
    /// Those that are there, and have mistakes of their own, which are told where they are.
    wrong: BTreeSet<String>,
}

impl Others {
    pub fn add(&mut self, chain: Arc<Chain>) {
        self.checked.insert(chain.key(), chain);
    }

    pub(crate) fn add_wrong(&mut self, key: String) {
        self.wrong.insert(key);
    }

    /// By `name@version`.
    pub(crate) fn get(&self, key: &str) -> Option<&Arc<Chain>> {
        self.checked.get(key)
    }

    pub(crate) fn is_wrong(&self, key: &str) -> bool {
        self.wrong.contains(key)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.checked.keys().chain(&self.wrong).map(String::as_str)
    }
}

impl FromIterator<Arc<Chain>> for Others {
    fn from_iter<I: IntoIterator<Item = Arc<Chain>>>(chains: I) -> Self {
        Self {
            checked: chains.into_iter().map(|chain| (chain.key(), chain)).collect(),
            wrong: BTreeSet::new(),
        }
    }
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
    pub hash_key: Option<HashKey>,
}

impl Services {
    pub(crate) fn resources(&self) -> Resources {
        Resources {
            models: Arc::clone(self.caller.models()),
            indexes: self.indexes.clone(),
            chains: Others::default(),
            hash_key: self.hash_key.clone(),
        }
    }

    pub(crate) fn index(&self, name: &str) -> Result<&IndexSpec, StepError> {
        let spec = self.indexes.iter().find(|spec| spec.name == name);
        spec.ok_or_else(|| StepError::UnknownIndex { index: name.to_owned() })
    }

    pub(crate) async fn query(&self, spec: &IndexSpec, query: &Query) -> Result<Vec<Match>, RetrievalError> {
        self.pinecone.index(&spec.index).await?.query(query).await
    }

    pub(crate) async fn fetch(
        &self,
        spec: &IndexSpec,
        namespace: &str,
        ids: &[String],
    ) -> Result<Vec<Vector>, RetrievalError> {
        self.pinecone.index(&spec.index).await?.fetch(namespace, ids).await
    }

    pub(crate) async fn rerank(&self, rerank: &Rerank) -> Result<Vec<Ranked>, RetrievalError> {
        self.pinecone.rerank(rerank).await
    }
}

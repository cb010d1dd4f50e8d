//! What chains may name, and what their steps call.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use egress::{Egress, Hosts, SetupError};
use models::{Caller, Models};
use retrieval::{IndexSpec, Match, Pinecone, PineconeSettings, Query, Ranked, Rerank, RetrievalError, Vector};

use super::{Chain, emit::Targets, error::StepError, hash_key::HashKey};

/// The models file, the indexes, the hosts and the other chains: chains are checked against these.
#[derive(Debug, Clone)]
pub struct Resources {
    pub models: Arc<Models>,
    pub indexes: Vec<IndexSpec>,
    pub hosts: Arc<Hosts>,
    /// Those that others may run.
    pub chains: Others,
    /// For `strategy: hash` of a redaction.
    pub hash_key: Option<HashKey>,
    /// What a chain emits is checked against these; topics that are not among them are not checked.
    pub targets: Targets,
    /// How long a call of Pinecone may take, with all its attempts.
    pub pinecone_timeout: Duration,
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
    /// With these models, and nothing else.
    #[must_use]
    pub fn of(models: Arc<Models>) -> Self {
        Self {
            models,
            indexes: Vec::new(),
            hosts: Arc::default(),
            chains: Others::default(),
            hash_key: None,
            targets: Targets::default(),
            pinecone_timeout: PineconeSettings::default().call_timeout(),
        }
    }

    pub(crate) fn index(&self, name: &str) -> Option<&IndexSpec> {
        self.indexes.iter().find(|spec| spec.name == name)
    }
}

/// What the steps of a run call.
#[derive(Clone)]
pub struct Services {
    pub caller: Arc<Caller>,
    pub pinecone: Pinecone,
    indexes: Vec<IndexSpec>,
    pub(crate) egress: Egress,
    pub(crate) hash_key: Option<HashKey>,
}

impl Services {
    /// To run with what chains were checked against.
    ///
    /// # Errors
    /// The client of the hosts cannot be set up.
    pub fn new(resources: Resources, caller: Arc<Caller>, pinecone: Pinecone) -> Result<Self, SetupError> {
        Ok(Self {
            caller,
            pinecone,
            indexes: resources.indexes,
            egress: Egress::new(resources.hosts)?,
            hash_key: resources.hash_key,
        })
    }

    pub(crate) fn resources(&self) -> Resources {
        Resources {
            models: Arc::clone(self.caller.models()),
            indexes: self.indexes.clone(),
            hosts: Arc::clone(self.egress.hosts()),
            chains: Others::default(),
            hash_key: self.hash_key.clone(),
            targets: Targets::default(),
            pinecone_timeout: self.pinecone.call_timeout(),
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

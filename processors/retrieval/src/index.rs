//! One index: its vectors are asked for and written here.
//!
//! Pinecone is eventually consistent: what was written is found some seconds later. A write answers with the log
//! sequence number it got, and [`Index::wait_for_lsn`] waits until reads have reached it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt, TryStreamExt, stream};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    Match, Query, RetrievalError, Vector, batch,
    transport::{Answer, Call, Transport},
};

/// Requests under way at once for one `upsert`, `fetch` or `delete`: enough to hide the round trip, far from Pinecone's
/// limit of 100 requests/s on a namespace.
const CONCURRENT_BATCHES: usize = 4;

#[derive(Clone)]
pub struct Index {
    transport: Transport,
    host: Arc<str>,
}

/// Which vectors of a namespace to delete.
#[derive(Debug, Clone, PartialEq)]
pub enum Delete {
    /// Those that exist; the others are passed over.
    Ids(Vec<String>),
    /// Those whose metadata match.
    Filter(Value),
    All,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IndexStats {
    #[serde(default)]
    pub namespaces: BTreeMap<String, NamespaceStats>,
    #[serde(default)]
    pub dimension: Option<u32>,
    #[serde(default)]
    pub total_vector_count: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceStats {
    #[serde(default)]
    pub vector_count: u64,
}

impl Index {
    pub(crate) fn new(transport: Transport, host: Arc<str>) -> Self {
        Self { transport, host }
    }

    /// The nearest vectors of the namespace, nearest first. A namespace that does not exist is empty.
    pub async fn query(&self, query: &Query) -> Result<Vec<Match>, RetrievalError> {
        #[derive(Deserialize)]
        struct Found {
            #[serde(default)]
            matches: Vec<Match>,
        }
        let call = self.call("query", Method::POST, &["query"])?.with_json(query)?;
        Ok(self.transport.send(call).await?.json::<Found>()?.matches)
    }

    /// Writes vectors, replacing those with the same id, in as many requests as Pinecone's limits ask for. After an error
    /// some of them may be stored: the call can be repeated. Gives the log sequence number of the last write, if the
    /// server tells it.
    pub async fn upsert(&self, namespace: &str, vectors: &[Vector]) -> Result<Option<u64>, RetrievalError> {
        let calls = batch::upsert_bodies(namespace, vectors)?.into_iter().map(|body| {
            let call = self.call("upsert", Method::POST, &["vectors", "upsert"])?;
            Ok(call.with_body(body))
        });
        Ok(last_lsn(&self.send_all(calls.collect::<Result<_, _>>()?).await?))
    }

    /// The vectors with these ids that exist, in no order.
    pub async fn fetch(&self, namespace: &str, ids: &[String]) -> Result<Vec<Vector>, RetrievalError> {
        #[derive(Deserialize)]
        struct Fetched {
            #[serde(default)]
            vectors: HashMap<String, Vector>,
        }
        let calls = batch::fetch_ids(ids).into_iter().map(|ids| {
            let mut call = self.call("fetch", Method::GET, &["vectors", "fetch"])?;
            for id in ids {
                call.add_query("ids", id);
            }
            call.add_query("namespace", namespace);
            Ok(call)
        });
        let mut vectors = Vec::with_capacity(ids.len());
        for answer in self.send_all(calls.collect::<Result<_, _>>()?).await? {
            vectors.extend(answer.json::<Fetched>()?.vectors.into_values());
        }
        Ok(vectors)
    }

    /// The ids of the namespace that begin with `prefix`, in byte order, all pages.
    pub async fn list(&self, namespace: &str, prefix: &str) -> Result<Vec<String>, RetrievalError> {
        #[derive(Deserialize)]
        struct Listed {
            #[serde(default)]
            vectors: Vec<Id>,
            #[serde(default)]
            pagination: Option<Pagination>,
        }
        #[derive(Deserialize)]
        struct Id {
            id: String,
        }
        #[derive(Deserialize)]
        struct Pagination {
            #[serde(default)]
            next: Option<String>,
        }
        let mut ids = Vec::new();
        let mut page: Option<String> = None;
        loop {
            let mut call = self.call("list", Method::GET, &["vectors", "list"])?;
            call.add_query("namespace", namespace);
            call.add_query("prefix", prefix);
            if let Some(token) = &page {
                call.add_query("paginationToken", token);
            }
            let listed: Listed = self.transport.send(call).await?.json()?;
            ids.extend(listed.vectors.into_iter().map(|vector| vector.id));
            page = listed
                .pagination
                .and_then(|pagination| pagination.next)
                .filter(|next| !next.is_empty());
            if page.is_none() {
                return Ok(ids);
            }
        }
    }

    /// Deletes vectors. A namespace that does not exist has none, so that is no error. Gives the log sequence number of
    /// the last write, if the server tells it.
    pub async fn delete(&self, namespace: &str, which: &Delete) -> Result<Option<u64>, RetrievalError> {
        let bodies = match which {
            Delete::Ids(ids) => batch::delete_ids(ids)
                .map(|ids| json!({"namespace": namespace, "ids": ids}))
                .collect(),
            Delete::Filter(filter) => vec![json!({"namespace": namespace, "filter": filter})],
            Delete::All => vec![json!({"namespace": namespace, "deleteAll": true})],
        };
        let calls = bodies.iter().map(|body| {
            let call = self.call("delete", Method::POST, &["vectors", "delete"])?;
            call.with_json(body)
        });
        match self.send_all(calls.collect::<Result<_, _>>()?).await {
            Ok(answers) => Ok(last_lsn(&answers)),
            Err(RetrievalError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub async fn stats(&self) -> Result<IndexStats, RetrievalError> {
        let call = self.call("describe index stats", Method::POST, &["describe_index_stats"])?;
        self.transport.send(call.with_json(&json!({}))?).await?.json()
    }

    /// Asks until reads of the namespace have reached `lsn`, or `within` is over: then `false`. A server that does not
    /// tell its sequence numbers cannot be waited for: `false` at once.
    pub async fn wait_for_lsn(&self, namespace: &str, lsn: u64, within: Duration) -> Result<bool, RetrievalError> {
        let deadline = Instant::now() + within;
        let mut asked_again = tokio::time::interval(Duration::from_millis(100));
        while Instant::now() < deadline {
            asked_again.tick().await;
            let mut call = self.call("fetch", Method::GET, &["vectors", "fetch"])?;
            call.add_query("ids", "-");
            call.add_query("namespace", namespace);
            match self.transport.send(call).await?.indexed_lsn {
                Some(indexed) if indexed >= lsn => return Ok(true),
                Some(_) => {}
                None => return Ok(false),
            }
        }
        Ok(false)
    }

    fn call(&self, name: &'static str, method: Method, path: &[&str]) -> Result<Call, RetrievalError> {
        Call::new(name, method, &self.host, path)
    }

    async fn send_all(&self, calls: Vec<Call>) -> Result<Vec<Answer>, RetrievalError> {
        let answers = stream::iter(calls.into_iter().map(|call| self.transport.send(call)));
        answers.buffer_unordered(CONCURRENT_BATCHES).try_collect().await
    }
}

fn last_lsn(writes: &[Answer]) -> Option<u64> {
    writes.iter().filter_map(|answer| answer.written_lsn).max()
}

//! The account: indexes are made, described and opened here.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    Index, IndexSpec, Metric, RetrievalError, rerank,
    transport::{Answer, Call, Transport},
};

/// The version of the API this client speaks: the newest whose control plane says `dimension` and `metric`, which is what
/// an index of vectors is. (`2026-07` describes indexes of documents, by schema.)
pub const API_VERSION: &str = "2026-04";

/// The `pinecone:` part of `millrace.yaml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PineconeSettings {
    /// `https://api.pinecone.io`, or the address of the [twin](crate::twin).
    #[serde(default = "default_control_url")]
    pub control_url: String,
    /// Never written in the file: it comes from the environment.
    #[serde(skip)]
    pub api_key: ApiKey,
    /// Where new indexes are made: `aws`, `gcp` or `azure`.
    #[serde(default = "default_cloud")]
    pub cloud: String,
    #[serde(default = "default_region")]
    pub region: String,
    /// How long one attempt of a call may take.
    #[serde(default = "default_attempt_timeout_ms")]
    pub attempt_timeout_ms: u64,
    /// How long a call may take with all its attempts and the pauses between them.
    #[serde(default = "default_call_timeout_ms")]
    pub call_timeout_ms: u64,
}

impl PineconeSettings {
    #[must_use]
    pub fn call_timeout(&self) -> Duration {
        Duration::from_millis(self.call_timeout_ms)
    }

    /// Where [`Pinecone::rerank`] asks.
    #[must_use]
    pub fn rerank_url(&self) -> String {
        format!("{}/{}", self.control_url.trim_end_matches('/'), rerank::PATH)
    }
}

impl Default for PineconeSettings {
    fn default() -> Self {
        Self {
            control_url: default_control_url(),
            api_key: ApiKey::default(),
            cloud: default_cloud(),
            region: default_region(),
            attempt_timeout_ms: default_attempt_timeout_ms(),
            call_timeout_ms: default_call_timeout_ms(),
        }
    }
}

fn default_control_url() -> String {
    "https://api.pinecone.io".to_owned()
}

fn default_cloud() -> String {
    "aws".to_owned()
}

fn default_region() -> String {
    "us-east-1".to_owned()
}

fn default_attempt_timeout_ms() -> u64 {
    10_000
}

fn default_call_timeout_ms() -> u64 {
    30_000
}

/// A secret: it has no `Display`, and `Debug` hides it.
#[derive(Clone, Default)]
pub struct ApiKey(String);

impl ApiKey {
    #[must_use]
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

/// A client of one account. Clones share the connections and the hosts that were looked up.
#[derive(Clone)]
pub struct Pinecone {
    transport: Transport,
    control_url: Arc<str>,
    cloud: Arc<str>,
    region: Arc<str>,
    hosts: Arc<Mutex<HashMap<String, Arc<str>>>>,
}

impl Pinecone {
    /// Opens no connection yet.
    pub fn new(settings: &PineconeSettings) -> Result<Self, RetrievalError> {
        Ok(Self {
            transport: Transport::new(
                &settings.api_key,
                Duration::from_millis(settings.attempt_timeout_ms),
                settings.call_timeout(),
            )?,
            control_url: settings.control_url.trim_end_matches('/').into(),
            cloud: settings.cloud.as_str().into(),
            region: settings.region.as_str().into(),
            hosts: Arc::default(),
        })
    }

    /// How long a call may take, with all its attempts.
    #[must_use]
    pub fn call_timeout(&self) -> Duration {
        self.transport.call_timeout()
    }

    /// Opens an index by its name at Pinecone. Its host is asked for once and then remembered.
    pub async fn index(&self, name: &str) -> Result<Index, RetrievalError> {
        let known = self.lock_hosts().get(name).cloned();
        let host = match known {
            Some(host) => host,
            None => self.describe_index(name).await?.host.into(),
        };
        self.lock_hosts().insert(name.to_owned(), Arc::clone(&host));
        Ok(Index::new(self.transport.clone(), host))
    }

    /// Creates a serverless index of dense vectors. It may not be ready yet: see [`Self::ready_index`].
    pub async fn create_index(&self, spec: &IndexSpec) -> Result<IndexDescription, RetrievalError> {
        let body = json!({
            "name": spec.index,
            "dimension": spec.dimension,
            "metric": spec.metric,
            "vector_type": "dense",
            "deletion_protection": "disabled",
            "spec": {"serverless": {"cloud": &*self.cloud, "region": &*self.region}},
        });
        let call = Call::new("create index", Method::POST, &self.control_url, &["indexes"])?.with_json(&body)?;
        self.transport.send(call).await?.json()
    }

    pub async fn describe_index(&self, name: &str) -> Result<IndexDescription, RetrievalError> {
        let call = Call::new("describe index", Method::GET, &self.control_url, &["indexes", name])?;
        self.transport.send(call).await?.json()
    }

    pub async fn list_indexes(&self) -> Result<Vec<IndexDescription>, RetrievalError> {
        #[derive(Deserialize)]
        struct Listed {
            indexes: Vec<IndexDescription>,
        }
        let call = Call::new("list indexes", Method::GET, &self.control_url, &["indexes"])?;
        Ok(self.transport.send(call).await?.json::<Listed>()?.indexes)
    }

    pub async fn delete_index(&self, name: &str) -> Result<(), RetrievalError> {
        self.lock_hosts().remove(name);
        let call = Call::new("delete index", Method::DELETE, &self.control_url, &["indexes", name])?;
        self.transport.send(call).await?;
        Ok(())
    }

    /// Describes the index until Pinecone says that it is ready: a new one takes some seconds.
    pub async fn ready_index(&self, name: &str, within: Duration) -> Result<IndexDescription, RetrievalError> {
        let deadline = Instant::now() + within;
        let mut asked_again = tokio::time::interval(Duration::from_millis(500));
        loop {
            asked_again.tick().await;
            let description = self.describe_index(name).await?;
            if description.status.ready {
                return Ok(description);
            }
            if Instant::now() >= deadline {
                return Err(RetrievalError::NotReady {
                    index: name.to_owned(),
                    seconds: within.as_secs(),
                });
            }
        }
    }

    pub(crate) fn control_url(&self) -> &str {
        &self.control_url
    }

    pub(crate) async fn send(&self, call: Call) -> Result<Answer, RetrievalError> {
        self.transport.send(call).await
    }

    fn lock_hosts(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<str>>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What Pinecone says of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexDescription {
    pub name: String,
    /// `None` for an index of sparse vectors.
    #[serde(default)]
    pub dimension: Option<u32>,
    pub metric: Metric,
    /// Where its vectors are: a host name, or a URL with `http://` from the twin.
    pub host: String,
    pub status: IndexStatus,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexStatus {
    pub ready: bool,
    /// `Initializing`, `Ready`, `Terminating`, ...
    pub state: String,
}

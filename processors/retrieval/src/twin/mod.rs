//! A local server that speaks Pinecone's API, for development and tests: persistent, exact, on loopback.
//!
//! It serves create, describe, list and delete of indexes, upsert, query, fetch, list, delete and statistics of dense
//! vectors, and rerank, by words instead of a model. Every other call is answered with 501 and says so. It has one consistency: what a write's answer has
//! acknowledged is on the disk and in every later read. Search compares every vector: nothing is approximate, and 100,000
//! vectors of 1,536 dimensions take 600 MB and, in a release build, tens of milliseconds a question.

mod server;

mod answer;
mod call;
mod definition;
mod new_vector;
mod refusal;
mod rerank;
mod vectors;

mod distance;
mod entry;
mod filter;
mod frame;
mod index;
mod indexes;
mod log;
mod namespace;

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};

use serde::Deserialize;
use thiserror::Error;
use tokio::{
    net::TcpListener,
    task::{JoinError, JoinHandle},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use self::indexes::Indexes;
pub use self::{indexes::OpenError, log::LogError};

/// The `twin:` part of `millrace.yaml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TwinSettings {
    /// A loopback address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// One file per index. It is created if absent.
    pub data_dir: PathBuf,
}

#[derive(Debug, Error)]
pub enum TwinError {
    #[error("the Pinecone twin serves without a password, so only on loopback: use 127.0.0.1 instead of {0}")]
    NotLoopback(SocketAddr),
    #[error("the Pinecone twin cannot open its data")]
    Open(#[source] OpenError),
    #[error("opening the Pinecone twin's data broke off")]
    Broken(#[source] JoinError),
    #[error("the Pinecone twin cannot listen on {listen}: is another one running?")]
    Listen {
        listen: SocketAddr,
        #[source]
        source: io::Error,
    },
}

/// A running twin. Dropped, it stops soon; [`Twin::stop`] also waits for the requests under way.
pub struct Twin {
    url: String,
    serving: JoinHandle<()>,
    shutdown: DropGuard,
}

impl Twin {
    /// Opens the indexes and listens. When this returns, the twin answers.
    pub async fn start(settings: TwinSettings) -> Result<Self, TwinError> {
        let TwinSettings { listen, data_dir } = settings;
        if !listen.ip().is_loopback() {
            return Err(TwinError::NotLoopback(listen));
        }
        let indexes = tokio::task::spawn_blocking(move || Indexes::open(&data_dir))
            .await
            .map_err(TwinError::Broken)?
            .map_err(TwinError::Open)?;
        let failed = |source| TwinError::Listen { listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let url = format!("http://{}", listener.local_addr().map_err(failed)?);
        let shutdown = CancellationToken::new();
        Ok(Self {
            url,
            serving: tokio::spawn(server::serve(listener, Arc::new(indexes), shutdown.clone())),
            shutdown: shutdown.drop_guard(),
        })
    }

    /// `http://127.0.0.1:PORT`: the `control_url` of [`PineconeSettings`](crate::PineconeSettings).
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    pub async fn stop(self) {
        drop(self.shutdown);
        if let Err(error) = self.serving.await {
            tracing::error!(%error, "the Pinecone twin broke");
        }
    }
}

/// Serves until `shutdown`.
pub async fn run(settings: TwinSettings, shutdown: CancellationToken) -> Result<(), TwinError> {
    let twin = Twin::start(settings).await?;
    tracing::info!(url = twin.url(), "the Pinecone twin serves");
    shutdown.cancelled().await;
    twin.stop().await;
    Ok(())
}

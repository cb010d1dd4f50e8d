//! Is the process alive, is it ready, what does it count: `/healthz`, `/readyz`, `/metrics`.
//!
//! A process with the api role answers these beside the api's own routes; one without it runs [`serve`].

use std::{net::SocketAddr, time::Duration};

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{ApiError, routes, server};

/// What a role says of itself: ready, or why not.
pub type Readiness = watch::Receiver<Result<(), String>>;

/// Tells those who watch, if it is news.
pub(crate) fn say(watched: &watch::Sender<Result<(), String>>, state: Result<(), String>) {
    watched.send_if_modified(|before| {
        let is_news = *before != state;
        *before = state;
        is_news
    });
}

/// The roles of this process by name, and its metrics.
#[derive(Clone)]
pub struct Health {
    pub roles: Vec<(&'static str, Readiness)>,
    pub metrics: PrometheusHandle,
}

impl Health {
    /// The roles that are not ready, each with its reason. Empty: the process is ready.
    pub(crate) fn not_ready(&self) -> Vec<(&'static str, String)> {
        let reason = |role: &Readiness| role.borrow().as_ref().err().cloned();
        self.roles
            .iter()
            .filter_map(|(name, role)| Some((*name, reason(role)?)))
            .collect()
    }
}

/// Serves the three paths and nothing else until `shutdown`.
///
/// # Errors
/// The address is not loopback, or cannot be bound.
pub async fn serve(listen: SocketAddr, health: Health, shutdown: CancellationToken) -> Result<(), ApiError> {
    let listener = server::bind(listen).await?;
    server::serve(
        listener,
        health.metrics.clone(),
        routes::admin(&health),
        shutdown,
        Duration::ZERO,
    )
    .await;
    Ok(())
}

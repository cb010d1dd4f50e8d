//! Is the process alive, is it ready, what does it count: `/healthz`, `/readyz`, `/metrics`.
//!
//! A process with the api role answers these beside the api's own routes; one without it runs [`serve`].

use std::{net::SocketAddr, sync::Arc, time::Duration};

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{ApiError, instance::Identity, listener, routes};

pub use crate::reporting::report;

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

/// The roles of this process by name, its metrics, and who it is to the other processes.
#[derive(Clone)]
pub struct Health {
    pub roles: Vec<(&'static str, Readiness)>,
    pub metrics: PrometheusHandle,
    pub(crate) identity: Arc<Identity>,
}

impl Health {
    /// Of a process that begins now: once for each.
    #[must_use]
    pub fn new(roles: Vec<(&'static str, Readiness)>, metrics: PrometheusHandle) -> Self {
        Self {
            roles,
            metrics,
            identity: Arc::new(Identity::new()),
        }
    }

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
    let socket = listener::bind(listen).await?;
    listener::serve(
        socket,
        health.metrics.clone(),
        routes::admin(&health),
        shutdown,
        Duration::ZERO,
    )
    .await;
    Ok(())
}

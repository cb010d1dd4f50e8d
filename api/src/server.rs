//! The api role from its settings to its end.

use std::{net::SocketAddr, time::Duration};

use schemas::Registry;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;
use topics::KafkaSettings;
use warp::{Filter, filters::BoxedFilter, reply::Response};

use crate::{ApiSettings, health::Health, metrics, routes};

/// Answers that are still being written when the server stops get this long.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// What the api role needs from its process.
pub struct Dependencies {
    pub kafka: KafkaSettings,
    pub registry: Registry,
    /// `postgres://…`. Only read; while it is away there is no history, and everything else works.
    pub postgres_url: String,
    /// All roles of the process, this one among them: what `/readyz` and `/metrics` show.
    pub health: Health,
}

/// Why the api cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error(
        "api cannot listen on {0}: it is not a loopback address, and without API keys everybody who reaches the port could \
         use it. Listen on 127.0.0.1 or [::1], and put a proxy that authenticates in front"
    )]
    NotLoopback(SocketAddr),
    #[error("api cannot listen on {listen}. Is another process using the port? Choose another with `listen:`")]
    Bind {
        listen: SocketAddr,
        #[source]
        source: std::io::Error,
    },
}

/// Runs the api until `shutdown`.
///
/// Ready means: the tail of `results` stands at the end of every partition, the published chains are read, and a request
/// can be encoded. Postgres is not part of it.
///
/// # Errors
/// See [`ApiError`]. What can heal (brokers, registry, Postgres away) is waited for instead.
pub async fn run(
    settings: ApiSettings,
    dependencies: Dependencies,
    ready: watch::Sender<Result<(), String>>,
    shutdown: CancellationToken,
) -> Result<(), ApiError> {
    metrics::describe();
    let listener = bind(settings.listen).await?;
    let _ = (
        dependencies.kafka,
        dependencies.registry,
        dependencies.postgres_url,
        ready,
    );
    serve(listener, routes::admin(dependencies.health), shutdown).await;
    Ok(())
}

/// # Errors
/// The address is not loopback, or cannot be bound.
pub(crate) async fn bind(listen: SocketAddr) -> Result<TcpListener, ApiError> {
    if !listen.ip().is_loopback() {
        return Err(ApiError::NotLoopback(listen));
    }
    TcpListener::bind(listen)
        .await
        .map_err(|source| ApiError::Bind { listen, source })
}

/// Serves until `stop`, then lets the answers that are under way out.
pub(crate) async fn serve(listener: TcpListener, routes: BoxedFilter<(Response,)>, stop: CancellationToken) {
    let server = warp::serve(routes)
        .incoming(listener)
        .graceful(stop.clone().cancelled_owned())
        .run();
    let overdue = async {
        stop.cancelled().await;
        tokio::time::sleep(LAST_ANSWERS).await;
    };
    tokio::select! {
        () = server => {}
        () = overdue => tracing::warn!("stopped with connections still open"),
    }
}

//! The one HTTP client for all providers.
//!
//! - HTTP/1.1, a connection per call in flight: over HTTP/2 all calls to a provider would share one connection, and
//!   those above its stream limit (often 100) would queue inside the client where no limit or metric sees them.
//! - As many idle connections as there were calls in flight: a pool with a small cap opens a new one for most calls.
//! - No redirects and no retries of its own: every send is one attempt in the books, and a key goes where it is meant to.

use reqwest::redirect;
use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;
use tower_layer::layer_fn;
use tower_service::Service;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

pub(super) fn build() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .http1_only()
        .pool_max_idle_per_host(usize::MAX)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .user_agent(concat!("millrace/", env!("CARGO_PKG_VERSION")))
        .connector_layer(layer_fn(Timed::new))
        .build()
}

tokio::task_local! {
    static CONNECTING: Cell<Duration>;
}

/// Runs a request; tells how long it took to connect, which is nothing when a pooled connection was free.
pub(super) async fn timing_connect<T>(request: impl Future<Output = T>) -> (T, Duration) {
    CONNECTING
        .scope(Cell::default(), async { (request.await, CONNECTING.with(Cell::get)) })
        .await
}

/// A connector that tells the request it connects for how long it took. The pool connects within the request's own task.
///
/// Every request takes a copy of it, whether it needs a connection or not, so they share what is inside: that is always
/// ready, and connects many at once.
struct Timed<S> {
    inner: Arc<Mutex<S>>,
}

impl<S> Timed<S> {
    fn new(inner: S) -> Self {
        Self {
            inner: Arc::new(Mutex::new(inner)),
        }
    }

    fn inner(&self) -> MutexGuard<'_, S> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Clone for Timed<S> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<S, R> Service<R> for Timed<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner().poll_ready(context)
    }

    fn call(&mut self, target: R) -> Self::Future {
        let connecting = self.inner().call(target);
        let began = Instant::now();
        Box::pin(async move {
            let connected = connecting.await;
            // Elsewhere than in a request's task when the request went out over another connection meanwhile.
            let _ = CONNECTING.try_with(|took| took.set(began.elapsed()));
            connected
        })
    }
}

//! Server-sent events (WHATWG HTML §9.2) over a body that is written only as fast as it is read.
//!
//! A stream is a task that hands over one piece at a time and waits until it is taken: what is buffered for a connection
//! is two pieces here and what hyper and the kernel hold, whatever happens on the stream. The keep-alive is a comment
//! without an empty line behind it: after an `id:`, OpenAI's clients take an empty line for an event without data.

use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;
use warp::{
    Reply,
    http::{HeaderValue, StatusCode},
    reply::Response,
};

/// Between two signs of life.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(15);
pub(crate) const PING: &str = ": ping\n";
/// Milliseconds after which a browser connects again.
const RETRY: u32 = 2_000;

/// Where the pieces of a stream go. The stream counts as open as long as this lives.
pub(crate) struct Out {
    pieces: mpsc::Sender<Bytes>,
    /// The process stops: streams end at once, their readers go on elsewhere.
    stopping: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

/// Nobody reads any more, or the process stops.
#[derive(Debug)]
pub(crate) struct Closed;

impl Out {
    pub async fn send(&self, piece: impl Into<Bytes>) -> Result<(), Closed> {
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => Err(Closed),
            sent = self.pieces.send(piece.into()) => sent.map_err(|_| Closed),
        }
    }

    /// Resolves when there is no use in going on.
    pub async fn closed(&self) {
        tokio::select! {
            () = self.stopping.cancelled() => {}
            () = self.pieces.closed() => {}
        }
    }
}

/// The answer to a request for events, and where they go.
pub(crate) fn open(stopping: &CancellationToken, permit: OwnedSemaphorePermit) -> (Response, Out) {
    let (pieces, taken) = mpsc::channel(1);
    let body = stream::unfold(taken, async |mut taken: mpsc::Receiver<Bytes>| {
        let piece = taken.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(piece), taken))
    });
    let mut response = warp::reply::stream(body).into_response();
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-store"),
        ("x-accel-buffering", "no"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    let out = Out {
        pieces,
        stopping: stopping.clone(),
        _permit: permit,
    };
    (response, out)
}

/// Tells an EventSource that nothing will come, so that it does not connect again.
pub(crate) fn over() -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// An event with its id. The first one of a stream also says when to come back.
pub(crate) fn event<T: Serialize>(id: &str, name: &str, data: &T, is_first: bool) -> String {
    let data = serde_json::to_string(data).unwrap_or_else(|_| "{}".to_owned());
    let retry = if is_first {
        format!("retry: {RETRY}\n")
    } else {
        String::new()
    };
    format!("id: {id}\n{retry}event: {name}\ndata: {data}\n\n")
}

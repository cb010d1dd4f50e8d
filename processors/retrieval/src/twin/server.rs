//! HTTP around the indexes: connections and bodies.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    answer::json_response,
    call::Call,
    indexes::Indexes,
    refusal::{Reason, Refusal},
};

/// Pinecone's limit for an upsert, the largest request there is.
const LARGEST_BODY: usize = 2 << 20;
/// What is read of a body that is too large, so that a client that writes before it reads sees the refusal.
const READ_TO_REFUSE: usize = 16 << 20;
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
const DRAINED_WITHIN: Duration = Duration::from_secs(5);

/// Accepts connections until `shutdown`, then lets the requests under way finish.
pub(super) async fn serve(listener: TcpListener, indexes: Arc<Indexes>, shutdown: CancellationToken) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, Arc::clone(&indexes), shutdown.clone()));
            }
            // Out of file descriptors: accepting again at once would spin.
            Err(error) => {
                tracing::warn!(%error, "the Pinecone twin cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    connections.close();
    if tokio::time::timeout(DRAINED_WITHIN, connections.wait()).await.is_err() {
        tracing::warn!(open = connections.len(), "requests to the Pinecone twin were cut off");
    }
}

async fn connection(stream: TcpStream, indexes: Arc<Indexes>, shutdown: CancellationToken) {
    let service = service_fn(|request| {
        let indexes = Arc::clone(&indexes);
        async move { Ok::<_, Infallible>(respond(request, indexes).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the Pinecone twin broke");
    }
}

async fn respond(request: Request<Incoming>, indexes: Arc<Indexes>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    // Any key opens the twin, but there must be one, as at Pinecone. It also keeps out the pages of a browser: they cannot
    // send this header to a foreign origin without asking first, and the twin does not answer such a question.
    if head.headers.get("api-key").is_none_or(HeaderValue::is_empty) {
        let mut response = Response::new(Full::new(Bytes::from_static(b"Invalid API Key")));
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        return response;
    }
    let call = Call::of(&head);
    let on_vectors = call.on_vectors();
    let answer = match read(body).await {
        // A search of a large index takes a while, and a write waits for the disk.
        Ok(body) => tokio::task::spawn_blocking(move || call.answer(&indexes, &body))
            .await
            .unwrap_or_else(|error| {
                tracing::error!(%error, "a call to the Pinecone twin broke");
                Err(Refusal::new(Reason::Internal, "the call broke: see the twin's log"))
            }),
        Err(refusal) => Err(refusal),
    };
    match answer {
        Ok(answer) => answer.into_response(),
        Err(refusal) => {
            let body = if on_vectors {
                refusal.as_rpc_status()
            } else {
                refusal.as_control_error()
            };
            json_response(refusal.status(), body.to_string().into())
        }
    }
}

async fn read(mut body: Incoming) -> Result<Bytes, Refusal> {
    let mut kept = BytesMut::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Refusal::invalid(format!("the body broke off: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        length += data.len();
        if length <= LARGEST_BODY {
            kept.extend_from_slice(&data);
        } else if length > READ_TO_REFUSE {
            break;
        }
    }
    if length > LARGEST_BODY {
        let message =
            format!("Error, message length too large: found {length} bytes, the limit is: {LARGEST_BODY} bytes");
        return Err(Refusal::new(Reason::TooLarge, message));
    }
    Ok(kept.freeze())
}

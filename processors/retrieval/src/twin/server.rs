//! HTTP around the indexes: connections, bodies, and which call a path is.
//!
//! One port serves both planes. Pinecone gives each index a host of its own; a client only puts the paths of its calls
//! behind that host, so the twin's hosts are URLs with a path, `http://127.0.0.1:PORT/data/INDEX` (checked with Pinecone's
//! Python clients 7.3 and 10.2). They name the address by which the client came, so a forwarded port works.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    definition::{ControlShape, Definition},
    indexes::Indexes,
    refusal::{Reason, Refusal},
    vectors,
};

/// Pinecone's limit for an upsert, the largest request there is.
const LARGEST_BODY: usize = 2 << 20;
/// What is read of a body that is too large, so that a client that writes before it reads sees the refusal.
const READ_TO_REFUSE: usize = 16 << 20;
const HEADERS_WITHIN: Duration = Duration::from_secs(10);

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
    connections.wait().await;
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
    let call = Call {
        method: head.method,
        path: head
            .uri
            .path()
            .split('/')
            .filter(|part| !part.is_empty())
            .map(decode)
            .collect(),
        params: Params::parse(head.uri.query().unwrap_or_default()),
        shape: ControlShape::of_version(header(&head.headers, "x-pinecone-api-version")),
        origin: format!("http://{}", header(&head.headers, HOST.as_str())),
    };
    let on_vectors = call.path.first().is_some_and(|plane| plane == "data");
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

struct Call {
    method: Method,
    path: Vec<String>,
    params: Params,
    shape: ControlShape,
    origin: String,
}

impl Call {
    fn answer(&self, indexes: &Indexes, body: &[u8]) -> Result<Answer, Refusal> {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        match (self.method.as_str(), path.as_slice()) {
            ("GET", ["indexes"]) => {
                let all = indexes.all();
                let described: Vec<_> = all.iter().map(|index| self.describe(&index.definition)).collect();
                Answer::of(&json!({"indexes": described}))
            }
            ("POST", ["indexes"]) => {
                let body: Value = serde_json::from_slice(body)
                    .map_err(|error| Refusal::invalid(format!("the body is not JSON: {error}")))?;
                let index = indexes.create(Definition::parse(&body, self.shape)?)?;
                Ok(Answer::of(&self.describe(&index.definition))?.status(StatusCode::CREATED))
            }
            ("GET", ["indexes", name]) => Answer::of(&self.describe(&indexes.get(name)?.definition)),
            ("DELETE", ["indexes", name]) => {
                indexes.delete(name)?;
                Ok(Answer::empty(StatusCode::ACCEPTED))
            }
            (method, ["data", index, call @ ..]) => {
                let index = indexes.get(index)?;
                match (method, call) {
                    ("POST", ["vectors", "upsert"]) => vectors::upsert(&index, body),
                    ("POST", ["vectors", "delete"]) => vectors::delete(&index, body),
                    ("GET", ["vectors", "fetch"]) => vectors::fetch(&index, &self.params),
                    ("GET", ["vectors", "list"]) => vectors::list(&index, &self.params),
                    ("POST", ["query"]) => vectors::query(&index, body),
                    ("POST", ["describe_index_stats"]) => vectors::stats(&index, body),
                    _ => Err(self.unimplemented()),
                }
            }
            _ => Err(self.unimplemented()),
        }
    }

    fn describe(&self, definition: &Definition) -> Value {
        definition.describe(&format!("{}/data/{}", self.origin, definition.name), self.shape)
    }

    fn unimplemented(&self) -> Refusal {
        Refusal::unimplemented(&format!("{} /{}", self.method, self.path.join("/")))
    }
}

/// The parameters behind the `?`. A name may repeat.
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    fn parse(query: &str) -> Self {
        Self(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn first(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }
}

pub(super) struct Answer {
    status: StatusCode,
    pub(super) body: Bytes,
    lsn: Option<(&'static str, u64)>,
}

impl Answer {
    pub(super) fn of(body: &impl Serialize) -> Result<Self, Refusal> {
        let body = serde_json::to_vec(body).map_err(|error| {
            Refusal::new(
                Reason::Internal,
                format!("the answer cannot be written as JSON: {error}"),
            )
        })?;
        Ok(Self {
            status: StatusCode::OK,
            body: body.into(),
            lsn: None,
        })
    }

    fn empty(status: StatusCode) -> Self {
        Self {
            status,
            body: Bytes::new(),
            lsn: None,
        }
    }

    fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The log sequence number a write got.
    pub(super) fn written(mut self, lsn: u64) -> Self {
        self.lsn = Some(("x-pinecone-request-lsn", lsn));
        self
    }

    /// The one a read has reached.
    pub(super) fn read_at(mut self, lsn: u64) -> Self {
        self.lsn = Some(("x-pinecone-max-indexed-lsn", lsn));
        self
    }

    fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = json_response(self.status, self.body);
        if let Some((name, lsn)) = self.lsn {
            response.headers_mut().insert(name, lsn.into());
        }
        response
    }
}

fn json_response(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
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

fn header<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn decode(part: &str) -> String {
    percent_decode_str(part).decode_utf8_lossy().into_owned()
}

use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{HeaderMap, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use super::calls::Calls;
use super::reply::{Body, End, answered, events, json, problem, whole};
use super::script::Asked;
use super::{Answer, Call, Script, Summary, control, directive, openai};

/// A running server. Dropping it closes it and every connection.
#[derive(Debug)]
pub struct ScriptedModel {
    /// What a client calls its base URL: `http://127.0.0.1:PORT/v1`; other base paths are served too, as providers differ.
    pub url: String,
    state: State,
    serving: JoinHandle<()>,
}

#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("cannot listen on {address}")]
    Listen { address: SocketAddr, source: io::Error },
}

#[derive(Debug, Clone)]
pub(super) struct State {
    script: Arc<RwLock<Arc<Script>>>,
    pub calls: Calls,
}

impl ScriptedModel {
    /// On any free port of loopback.
    pub async fn start(script: Script) -> Result<Self, SetupError> {
        Self::listen(SocketAddr::from(([127, 0, 0, 1], 0)), script).await
    }

    pub async fn listen(address: SocketAddr, script: Script) -> Result<Self, SetupError> {
        let listener = bind(address).map_err(|source| SetupError::Listen { address, source })?;
        let address = listener
            .local_addr()
            .map_err(|source| SetupError::Listen { address, source })?;
        let state = State {
            script: Arc::new(RwLock::new(Arc::new(script))),
            calls: Calls::default(),
        };
        let serving = tokio::spawn(serve(listener, state.clone()));
        Ok(Self {
            url: format!("http://{address}/v1"),
            state,
            serving,
        })
    }

    /// For every request that comes from now on.
    pub fn script(&self, script: Script) {
        self.state.set_script(script);
    }

    /// In the order in which they began.
    pub fn calls(&self) -> Vec<Call> {
        self.state.calls.list()
    }

    pub fn count(&self, request_id: &str) -> u32 {
        self.state.calls.count(request_id)
    }

    /// Calls that run now, of the callers whose base URL is `http://127.0.0.1:PORT/DOOR/v1`.
    pub fn in_flight(&self, door: &str) -> u64 {
        self.state.calls.in_flight(door)
    }

    pub fn summary(&self) -> Summary {
        self.state.calls.summary()
    }

    /// Forgets the calls, not the script.
    pub fn reset(&self) {
        self.state.calls.reset();
    }

    /// Serves until the process ends.
    pub async fn serve(mut self) {
        // it only ends by being aborted
        let _ = (&mut self.serving).await;
    }
}

impl Drop for ScriptedModel {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl State {
    pub fn script(&self) -> Arc<Script> {
        self.script.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set_script(&self, script: Script) {
        *self.script.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(script);
    }
}

/// Ten thousand callers may knock at once.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    const BACKLOG: u32 = 16_384;
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn serve(listener: TcpListener, state: State) {
    // dropped with this future, and all connections with it
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => drop(connections.spawn(connection(socket, state.clone()))),
                // out of file descriptors, most likely: some will be given back
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(socket: TcpStream, state: State) {
    const BUFFER: usize = 16 * 1024;
    // answers are small and single; waiting for more to send would only add to the scripted latency
    let _ = socket.set_nodelay(true);
    let service = service_fn(move |request| {
        let state = state.clone();
        async move { Ok::<_, Infallible>(answer(request, &state).await) }
    });
    // how a connection ends is the caller's business
    let _ = http1::Builder::new()
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(socket), service)
        .await;
}

async fn answer(request: Request<Incoming>, state: &State) -> Response<Body> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return problem(400, "the request broke off");
    };
    let body = body.to_bytes();
    let path = head.uri.path();
    if let Some(path) = path.strip_prefix("/control/") {
        return control::answer(&head.method, path, head.uri.query(), &body, state);
    }
    let served = ["/chat/completions", "/embeddings", "/models"];
    match (&head.method, served.into_iter().find(|served| path.ends_with(served))) {
        (&Method::GET, Some("/models")) => whole(200, json(&openai::models())),
        (&Method::POST, Some(path @ ("/chat/completions" | "/embeddings"))) => {
            let door = head.uri.path().split("/v1/").next().unwrap_or_default();
            call(door.trim_matches('/'), path, &head.headers, body, state).await
        }
        _ => problem(404, "unknown path or method"),
    }
}

async fn call(door: &str, path: &str, headers: &HeaderMap, body: Bytes, state: &State) -> Response<Body> {
    let request: openai::Request = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => return problem(400, &format!("the request is not understood: {error}")),
    };
    let script = state.script();
    let request_id = header(headers, "x-request-id");
    let mut digest = DefaultHasher::new();
    (path, &body).hash(&mut digest);
    drop(body);
    let running = state.calls.begin(
        door,
        request_id,
        path,
        &request.model,
        digest.finish(),
        script.list_calls,
    );
    let texts = request.texts();
    let directive = match headers.get("x-script") {
        Some(_) => Some(directive::parse(header(headers, "x-script"))),
        None => directive::find(&texts),
    };
    let directive = match directive.transpose() {
        Ok(directive) => directive,
        Err(error) => {
            running.answered(400);
            return problem(400, &error);
        }
    };
    let asked = Asked {
        request_id,
        model: &request.model,
        texts: &texts,
        attempt: running.attempt,
    };
    let (latency, answer) = script.decide(directive.as_ref(), asked);
    drop(texts);
    if !matches!(answer, Answer::Echo | Answer::Text(_) | Answer::Calls(_)) {
        running.is_to_fail();
    }
    sleep(latency.draw(script.seed, request_id, running.attempt)).await;

    let end = match &answer {
        Answer::Cut => End::Cut,
        Answer::Stall => End::Stall,
        Answer::Late(status) => End::Event(openai::error(*status, "scripted error").to_string()),
        _ => End::Whole,
    };
    let insists = matches!(answer, Answer::Calls(_));
    let text = match answer {
        Answer::Hang => return std::future::pending().await,
        Answer::RateLimited { retry_after_s } => {
            running.answered(429);
            let mut response = problem(429, "scripted: too many requests");
            response.headers_mut().insert(RETRY_AFTER, retry_after_s.into());
            return response;
        }
        Answer::Late(_) if request.stream => request.last_user_text(),
        Answer::Status(status) | Answer::Late(status) => {
            running.answered(status);
            return problem(status, "scripted error");
        }
        Answer::Malformed => {
            running.answered(200);
            return whole(200, Bytes::from_static(br#"{"id": "chatcmpl-1", "choices": [{"#));
        }
        Answer::Echo | Answer::Cut | Answer::Stall => request.last_user_text(),
        Answer::Text(text) | Answer::Calls(text) => text,
    };
    let id = format!("chatcmpl-{request_id}-{}", running.attempt);
    if path == "/embeddings" {
        let dimension = request.dimensions.unwrap_or(script.dimension);
        answered(&request.embeddings(dimension), &end, running)
    } else if request.stream {
        let pause = Duration::from_millis(script.token_ms);
        events(request.chunks(&id, &text, insists), pause, &end, running)
    } else {
        answered(&request.chat(&id, &text, insists), &end, running)
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

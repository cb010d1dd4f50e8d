//! Bodies: whole, in events, or cut in the middle.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::Value;
use tokio::time::sleep;

use super::calls::Running;
use super::openai;

/// An error right behind the first half would hold it back: the caller should see it begin.
const SENT: Duration = Duration::from_millis(20);

/// An error in it breaks the connection.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

pub fn json(value: &Value) -> Bytes {
    value.to_string().into()
}

pub fn whole(status: u16, json: Bytes) -> Response<Body> {
    response(
        status,
        "application/json",
        Full::new(json).map_err(|never| match never {}).boxed_unsync(),
    )
}

pub fn problem(status: u16, message: &str) -> Response<Body> {
    whole(status, json(&openai::error(status, message)))
}

/// How a body ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    Whole,
    /// After its first half the connection breaks.
    Cut,
    /// After its first half nothing more comes.
    Stall,
    /// After the first half of its events comes this one.
    Event(String),
}

/// The call ends when its last byte is taken, or with the connection.
pub fn answered(value: &Value, end: &End, running: Running) -> Response<Body> {
    let text = json(value);
    if *end == End::Whole {
        running.answered(200);
        return whole(200, text);
    }
    let length = text.len();
    let half = text.slice(..length / 2);
    let mut response = response(
        200,
        "application/json",
        frames(vec![half], Duration::ZERO, end, running),
    );
    // promised, and not kept
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    response
}

/// Server-sent events.
pub fn events(mut chunks: Vec<String>, pause: Duration, end: &End, running: Running) -> Response<Body> {
    if *end != End::Whole {
        chunks.truncate(chunks.len() / 2);
    }
    if let End::Event(event) = end {
        chunks.push(event.clone());
    }
    let chunks = chunks
        .into_iter()
        .map(|chunk| format!("data: {chunk}\n\n").into())
        .collect();
    response(200, "text/event-stream", frames(chunks, pause, end, running))
}

fn frames(chunks: Vec<Bytes>, pause: Duration, end: &End, running: Running) -> Body {
    let (cut, stalls) = (*end == End::Cut, *end == End::Stall);
    let next = move |(mut chunks, running, first): (std::vec::IntoIter<Bytes>, Option<Running>, bool)| async move {
        let running = running?;
        match chunks.next() {
            None if stalls => std::future::pending().await,
            Some(chunk) => {
                if !first && !pause.is_zero() {
                    sleep(pause).await;
                }
                Some((Ok(Frame::data(chunk)), (chunks, Some(running), false)))
            }
            None => {
                if cut {
                    sleep(SENT).await;
                }
                running.answered(200);
                cut.then(|| (Err(io::ErrorKind::ConnectionReset.into()), (chunks, None, false)))
            }
        }
    };
    StreamBody::new(stream::unfold((chunks.into_iter(), Some(running), true), next)).boxed_unsync()
}

fn response(status: u16, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

//! A request's body: counted while it is read, so that a chunked one is bounded too, and parsed with a position for
//! whoever wrote it.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures::{Stream, StreamExt};
use serde_json::Value;
use warp::http::{HeaderMap, header::CONTENT_ENCODING, header::CONTENT_TYPE};

use crate::problem::{Kind, Problem};

/// A caller that sends slower than this holds a connection for nothing.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Reads at most `limit` bytes and parses them as JSON (RFC 8259).
///
/// # Errors
/// 415 without a JSON content type, 413 past the limit, 408 when it takes too long, 400 when it is not JSON, or
/// none that can be taken as it is written ([`schemas::json`]).
pub(crate) async fn json<B: Buf>(
    headers: &HeaderMap,
    body: impl Stream<Item = Result<B, warp::Error>>,
    limit: usize,
) -> Result<Value, Problem> {
    check_type(headers)?;
    let read = tokio::time::timeout(TIMEOUT, read(body, limit)).await;
    let bytes = read.map_err(|_| {
        Problem::new(
            Kind::BodyTimeout,
            format!("the body was not complete after {} s", TIMEOUT.as_secs()),
        )
    })??;
    schemas::json::read(&bytes).map_err(|mistake| Problem::new(Kind::MalformedJson, mistake.to_string()))
}

async fn read<B: Buf>(body: impl Stream<Item = Result<B, warp::Error>>, limit: usize) -> Result<Bytes, Problem> {
    let mut body = std::pin::pin!(body);
    let mut bytes = BytesMut::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| {
            tracing::debug!(%error, "a request body broke off");
            Problem::new(
                Kind::BrokenBody,
                "the body broke off, or is not framed as its headers say",
            )
        })?;
        if bytes.len() + chunk.remaining() > limit {
            return Err(Problem::new(
                Kind::BodyTooLarge,
                format!("the body is larger than {limit} bytes; pass a reference instead, or raise api.max_body_bytes"),
            ));
        }
        bytes.extend(std::iter::once(chunk).map(|mut chunk| chunk.copy_to_bytes(chunk.remaining())));
    }
    Ok(bytes.freeze())
}

fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let refuse = |detail: String| Err(Problem::new(Kind::UnsupportedMediaType, detail));
    let given = headers
        .get(CONTENT_TYPE)
        .map(|value| value.to_str().unwrap_or_default());
    let essence = given
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    if essence != "application/json" && !(essence.starts_with("application/") && essence.ends_with("+json")) {
        return refuse(match given {
            Some(given) => format!("content-type is {given}: send application/json"),
            None => "there is no content-type: send application/json".to_owned(),
        });
    }
    match headers.get(CONTENT_ENCODING) {
        Some(coding) if !coding.as_bytes().eq_ignore_ascii_case(b"identity") => {
            refuse("content-encoding is not supported: send the body as it is".to_owned())
        }
        _ => Ok(()),
    }
}

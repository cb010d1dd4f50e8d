//! One request to Pinecone, repeated while that can help.
//!
//! Every call of this crate can be repeated safely: upsert and delete say what shall be, a repeated create answers "exists
//! already", and the others only read. What is retried is what Pinecone's own clients retry, plus lost connections.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use rand::Rng as _;
use reqwest::{
    Method, Response, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::time::Instant;

use crate::{API_VERSION, ApiKey, RetrievalError};

pub(crate) const RETRIED: [u16; 6] = [408, 429, 500, 502, 503, 504];
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A server's message can be a whole HTML page.
const MESSAGE_CHARS: usize = 500;

#[derive(Clone)]
pub(crate) struct Transport {
    http: reqwest::Client,
    attempt_timeout: Duration,
    call_timeout: Duration,
}

pub(crate) struct Call {
    name: &'static str,
    method: Method,
    url: Url,
    body: Option<Bytes>,
}

pub(crate) struct Answer {
    call: &'static str,
    host: String,
    body: Bytes,
    /// The log sequence number that a write got.
    pub(crate) written_lsn: Option<u64>,
    /// The one that a read has reached.
    pub(crate) indexed_lsn: Option<u64>,
}

impl Transport {
    pub(crate) fn new(
        api_key: &ApiKey,
        attempt_timeout: Duration,
        call_timeout: Duration,
    ) -> Result<Self, RetrievalError> {
        let mut headers = HeaderMap::new();
        headers.insert("x-pinecone-api-version", HeaderValue::from_static(API_VERSION));
        let mut key = HeaderValue::from_str(api_key.expose()).map_err(RetrievalError::ApiKey)?;
        key.set_sensitive(true);
        headers.insert("api-key", key);
        let http = reqwest::Client::builder()
            .default_headers(headers)
            // Thousands of runs may ask at once: a connection that is dropped after each burst costs a TLS handshake.
            .pool_max_idle_per_host(usize::MAX)
            .build()
            .map_err(RetrievalError::Client)?;
        Ok(Self {
            http,
            attempt_timeout,
            call_timeout,
        })
    }

    pub(crate) fn call_timeout(&self) -> Duration {
        self.call_timeout
    }

    pub(crate) async fn send(&self, call: Call) -> Result<Answer, RetrievalError> {
        let deadline = Instant::now() + self.call_timeout;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let (error, asked_pause) = match self.attempt(&call, deadline).await {
                Ok(response) if response.status.is_success() => return Ok(response.into_answer(&call)),
                Ok(response) => (response.refusal(&call, attempts), response.retry_after()),
                Err(source) => (
                    RetrievalError::Transport {
                        call: call.name,
                        host: call.host(),
                        attempts,
                        source,
                    },
                    None,
                ),
            };
            let pause = asked_pause.unwrap_or_else(|| jittered(attempts));
            // A server may ask for a pause that no clock can count.
            if !error.is_transient() || pause >= deadline.saturating_duration_since(Instant::now()) {
                return Err(error);
            }
            tracing::debug!(
                call = call.name,
                attempts,
                pause_ms = pause.as_millis(),
                "Pinecone is asked again"
            );
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt(&self, call: &Call, deadline: Instant) -> Result<Received, reqwest::Error> {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut request = self
            .http
            .request(call.method.clone(), call.url.clone())
            .timeout(left.min(self.attempt_timeout));
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        let response: Response = request.send().await?;
        Ok(Received {
            status: response.status(),
            headers: response.headers().clone(),
            body: response.bytes().await?,
        })
    }
}

impl Call {
    /// `host` may come without a scheme, as Pinecone gives the hosts of indexes, and with a path, as the twin does.
    pub(crate) fn new(name: &'static str, method: Method, host: &str, path: &[&str]) -> Result<Self, RetrievalError> {
        let base = if host.starts_with("http://") || host.starts_with("https://") {
            host.to_owned()
        } else {
            format!("https://{host}")
        };
        let mut url = Url::parse(&base).map_err(|source| RetrievalError::Host {
            call: name,
            host: host.to_owned(),
            source,
        })?;
        // http and https URLs always have path segments
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        Ok(Self {
            name,
            method,
            url,
            body: None,
        })
    }

    pub(crate) fn with_json(self, body: &impl Serialize) -> Result<Self, RetrievalError> {
        let name = self.name;
        let json = serde_json::to_vec(body).map_err(|source| RetrievalError::Encode { call: name, source })?;
        Ok(self.with_body(json.into()))
    }

    pub(crate) fn with_body(mut self, body: Bytes) -> Self {
        self.body = Some(body);
        self
    }

    pub(crate) fn add_query(&mut self, name: &str, value: &str) {
        self.url.query_pairs_mut().append_pair(name, value);
    }

    fn host(&self) -> String {
        self.url.origin().ascii_serialization()
    }
}

impl Answer {
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, RetrievalError> {
        serde_json::from_slice(&self.body).map_err(|source| self.unreadable(source))
    }

    pub(crate) fn unreadable(&self, source: serde_json::Error) -> RetrievalError {
        RetrievalError::Decode {
            call: self.call,
            host: self.host.clone(),
            source,
        }
    }
}

struct Received {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Received {
    fn into_answer(self, call: &Call) -> Answer {
        // Documents calls name these headers one way, vector calls the other.
        let number = |names: [&str; 2]| {
            let header = names.iter().find_map(|name| self.headers.get(*name))?;
            header.to_str().ok()?.parse().ok()
        };
        Answer {
            call: call.name,
            host: call.host(),
            written_lsn: number(["x-pinecone-request-lsn", "x-pinecone-lsn-committed"]),
            indexed_lsn: number(["x-pinecone-max-indexed-lsn", "x-pinecone-lsn-reconciled"]),
            body: self.body,
        }
    }

    fn refusal(&self, call: &Call, attempts: u32) -> RetrievalError {
        let message = message(&self.body, self.status);
        match self.status {
            StatusCode::NOT_FOUND => RetrievalError::NotFound {
                call: call.name,
                message,
            },
            StatusCode::CONFLICT => RetrievalError::AlreadyExists {
                call: call.name,
                message,
            },
            status => RetrievalError::Refused {
                call: call.name,
                host: call.host(),
                status: status.as_u16(),
                attempts,
                message,
            },
        }
    }

    /// Seconds or an HTTP date (RFC 9110 §10.2.3).
    fn retry_after(&self) -> Option<Duration> {
        let text = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        match text.parse() {
            Ok(seconds) => Some(Duration::from_secs(seconds)),
            Err(_) => Some(
                httpdate::parse_http_date(text)
                    .ok()?
                    .duration_since(SystemTime::now())
                    .unwrap_or_default(),
            ),
        }
    }
}

/// Pinecone answers errors in three shapes: vector calls `{code, message}`, the others `{status, error: {code, message}}`,
/// and gateways plain text.
fn message(body: &[u8], status: StatusCode) -> String {
    let text = match serde_json::from_slice::<Value>(body) {
        Ok(json) => ["/error/message", "/message", "/error"]
            .iter()
            .find_map(|path| json.pointer(path)?.as_str().map(str::to_owned))
            .unwrap_or_else(|| json.to_string()),
        Err(_) => String::from_utf8_lossy(body).trim().to_owned(),
    };
    if text.is_empty() {
        return status.canonical_reason().unwrap_or("no message").to_owned();
    }
    text.chars().take(MESSAGE_CHARS).collect()
}

/// Full jitter: callers that failed together must not return together.
fn jittered(attempts: u32) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(1 << attempts.min(16)).min(LONGEST_PAUSE);
    longest.mul_f64(rand::rng().random_range(0.1..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_every_error_shape_is_found() {
        let bad = StatusCode::BAD_REQUEST;
        assert_eq!(
            message(br#"{"code":3,"message":"top_k is 0","details":[]}"#, bad),
            "top_k is 0"
        );
        assert_eq!(
            message(
                br#"{"status":400,"error":{"code":"INVALID_ARGUMENT","message":"bad name"}}"#,
                bad
            ),
            "bad name"
        );
        assert_eq!(message(b"Invalid API Key", StatusCode::UNAUTHORIZED), "Invalid API Key");
        assert_eq!(message(b"", StatusCode::BAD_GATEWAY), "Bad Gateway");
        assert_eq!(message(br#"{"odd":1}"#, bad), r#"{"odd":1}"#);
    }

    #[test]
    fn hosts_come_with_and_without_scheme_and_path() {
        let url = |host| {
            Call::new("query", Method::POST, host, &["vectors", "upsert"])
                .unwrap()
                .url
                .to_string()
        };
        assert_eq!(
            url("docs-abc.svc.pinecone.io"),
            "https://docs-abc.svc.pinecone.io/vectors/upsert"
        );
        assert_eq!(
            url("http://127.0.0.1:1/data/docs"),
            "http://127.0.0.1:1/data/docs/vectors/upsert"
        );
    }
}

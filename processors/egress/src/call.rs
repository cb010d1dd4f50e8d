//! From what a step says to the request that leaves.

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};
use url::Url;

use crate::{EgressError, Hosts, Origin};

pub use reqwest::Method;

/// Those that a call may use.
pub const METHODS: [Method; 6] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];

pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// All but what RFC 3986 calls unreserved.
const ENCODED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Headers that a call does not choose: the connection sets them, or they hold secrets, which belong to a host.
const KEPT: [&str; 13] = [
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What a step says.
#[derive(Debug)]
pub struct Call {
    pub method: Method,
    /// With its values filled in, each by [`encoded`].
    pub url: String,
    /// That of the file: no value may lead elsewhere.
    pub origin: Origin,
    pub query: Vec<(String, String)>,
    pub headers: Vec<(String, String)>,
    pub body: Option<Value>,
    /// Sent with what may change something, unless `headers` say one.
    pub idempotency_key: String,
    /// The answer is to be JSON.
    pub wants_json: bool,
}

/// What leaves, but for the secrets of its host.
#[derive(Debug, Clone)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) origin: Origin,
    /// Of the protocol: they go along a redirect.
    pub(crate) own: HeaderMap,
    /// Those of the step: for its host only.
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
}

impl Call {
    /// # Errors
    /// A value makes another path of it, or cannot be in a header.
    pub fn request(self) -> Result<Request, EgressError> {
        let wrong = |message: String| EgressError::Option { message };
        let mut url = Url::parse(&self.url).map_err(|error| wrong(format!("`url` is no URL: {error}")))?;
        if Origin::of(&url).as_ref() != Some(&self.origin) || climbs(&self.url) {
            let message = "a value in `url` is `.` or `..`, which would call something else".to_owned();
            return Err(wrong(message));
        }
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let value = HeaderValue::from_str(value)
                .map_err(|_| wrong(format!("header `{name}` holds characters that no header takes")))?;
            let name = HeaderName::try_from(name).map_err(|_| wrong(format!("`{name}` is no name of a header")))?;
            headers.insert(name, value);
        }
        let mut own = HeaderMap::new();
        let mut set = |name: HeaderName, value: HeaderValue| {
            if !headers.contains_key(&name) {
                own.insert(name, value);
            }
        };
        let accept = if self.wants_json { "application/json" } else { "*/*" };
        set(ACCEPT, HeaderValue::from_static(accept));
        if self.body.is_some() {
            set(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if !self.method.is_safe() {
            let key = HeaderValue::from_str(&self.idempotency_key).map_err(|error| wrong(error.to_string()))?;
            set(IDEMPOTENCY_KEY, key);
        }
        Ok(Request {
            method: self.method,
            url,
            origin: self.origin,
            own,
            headers,
            body: self.body.map(|body| body.to_string().into()),
        })
    }
}

impl Request {
    /// What a person sees of it, with the names of the headers that the configuration adds.
    #[must_use]
    pub fn shown(&self, hosts: &Hosts) -> Value {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let said = self.own.iter().chain(&self.headers);
        let mut headers: Map<String, Value> = said
            .map(|(name, value)| (name.to_string(), text(value).into()))
            .collect();
        let host = hosts.find(&self.origin);
        for name in host.iter().flat_map(|host| host.headers.keys()) {
            headers.insert(name.to_string(), "(a secret of millrace.yaml)".into());
        }
        let body: Value = self
            .body
            .as_ref()
            .map_or(Value::Null, |body| serde_json::from_slice(body).unwrap_or_default());
        json!({"method": self.method.as_str(), "url": self.url.as_str(), "headers": headers, "body": body})
    }
}

/// A value as a part of a path: it can neither add a segment to it nor end it.
#[must_use]
pub fn encoded(value: &str) -> String {
    utf8_percent_encode(value, &ENCODED).to_string()
}

/// Whether a call may say this header; the others are the connection's, or hold secrets. Lower case.
///
/// # Errors
/// It is no name of a header.
pub fn is_free_header(name: &str) -> Result<bool, String> {
    match HeaderName::try_from(name) {
        Ok(parsed) => Ok(!KEPT.contains(&parsed.as_str())),
        Err(_) => Err(format!("`{name}` is no name of a header")),
    }
}

/// Whether a path leaves the folder that it is written in. An encoded dot is one, too.
fn climbs(url: &str) -> bool {
    let segments = url.split(['/', '\\', '?', '#']);
    let mut plain = segments.map(|segment| segment.to_ascii_lowercase().replace("%2e", "."));
    plain.any(|segment| segment == "." || segment == "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(url: &str) -> Call {
        Call {
            method: Method::GET,
            url: url.to_owned(),
            origin: Origin::parse("https://a.example").unwrap(),
            query: vec![("q".to_owned(), "x&admin=1#ä".to_owned())],
            headers: Vec::new(),
            body: None,
            idempotency_key: "k".to_owned(),
            wants_json: false,
        }
    }

    #[test]
    fn no_value_becomes_a_path_or_a_query() {
        let request = call(&format!("https://a.example/v1/{}/x", encoded("../a?b#c\\d%2e")))
            .request()
            .unwrap();
        assert_eq!(
            request.url.as_str(),
            "https://a.example/v1/..%2Fa%3Fb%23c%5Cd%252e/x?q=x%26admin%3D1%23%C3%A4"
        );
        for climbs in ["..", ".", "%2E.", "%2e%2E"] {
            let url = format!("https://a.example/v1/{climbs}/x");
            assert_eq!(call(&url).request().unwrap_err().class(), "invalid_option", "{url}");
        }
        assert!(call("https://b.example/").request().is_err());
        assert!(call("https://a.example/a..b/...").request().is_ok());
    }

    #[test]
    fn what_changes_something_can_be_recognised() {
        let post = Call {
            method: Method::POST,
            body: Some(json!({"a": 1})),
            ..call("https://a.example/")
        };
        let shown = post.request().unwrap().shown(&Hosts::default());
        assert_eq!(
            shown["headers"],
            json!({"accept": "*/*", "content-type": "application/json", "idempotency-key": "k"})
        );
        let get = call("https://a.example/").request().unwrap();
        assert!(get.own.get("idempotency-key").is_none());
    }

    #[test]
    fn a_header_cannot_become_two() {
        for value in ["a\r\nx: y", "a\nb", "\0"] {
            let broken = Call {
                headers: vec![("x-a".to_owned(), value.to_owned())],
                ..call("https://a.example/")
            };
            assert!(broken.request().is_err(), "{value:?}");
        }
        assert_eq!(is_free_header("Authorization"), Ok(false));
        assert!(is_free_header("a b").is_err());
    }
}

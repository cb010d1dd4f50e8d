//! Which call a method and a path are.
//!
//! One port serves both planes. Pinecone gives each index a host of its own; a client only puts the paths of its calls
//! behind that host, so the twin's hosts are URLs with a path, `http://127.0.0.1:PORT/data/INDEX` (checked with Pinecone's
//! Python clients 7.3 and 10.2). They name the address by which the client came, so a forwarded port works.

use hyper::{Method, StatusCode, header::HOST, http::request};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::{
    answer::Answer,
    definition::{ControlShape, Definition},
    indexes::Indexes,
    refusal::{Reason, Refusal},
    rerank, vectors,
};

pub(super) struct Call {
    method: Method,
    path: Vec<String>,
    params: Params,
    shape: ControlShape,
    origin: String,
}

impl Call {
    pub(super) fn of(head: &request::Parts) -> Self {
        let header = |name: &str| {
            let value = head.headers.get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default()
        };
        let path = head.uri.path().split('/').filter(|part| !part.is_empty());
        Self {
            method: head.method.clone(),
            path: path
                .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
                .collect(),
            params: Params::parse(head.uri.query().unwrap_or_default()),
            shape: ControlShape::of_version(header("x-pinecone-api-version")),
            origin: format!("http://{}", header(HOST.as_str())),
        }
    }

    /// Rather than on the control plane: errors differ.
    pub(super) fn on_vectors(&self) -> bool {
        self.path.first().is_some_and(|plane| plane == "data")
    }

    pub(super) fn answer(&self, indexes: &Indexes, body: &[u8]) -> Result<Answer, Refusal> {
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
            ("POST", ["rerank"]) => rerank::rerank(body),
            (method, ["data", index, call @ ..]) => {
                let index = indexes.get(index)?;
                match (method, call) {
                    ("POST", ["vectors", "upsert"]) => vectors::upsert(&index, body),
                    ("POST", ["vectors", "delete"]) => vectors::delete(&index, body),
                    ("GET", ["vectors", "fetch"]) => vectors::fetch(&index, &self.params),
                    ("GET", ["vectors", "list"]) => vectors::list(&index, &self.params),
                    ("POST", ["query"]) => vectors::query(&index, body),
                    ("POST", ["describe_index_stats"]) => vectors::stats(&index, body),
                    _ => Err(self.not_served()),
                }
            }
            _ => Err(self.not_served()),
        }
    }

    fn describe(&self, definition: &Definition) -> Value {
        definition.describe(&format!("{}/data/{}", self.origin, definition.name), self.shape)
    }

    fn not_served(&self) -> Refusal {
        let path = self.path.join("/");
        let message = format!("the Pinecone twin does not serve {} /{path}", self.method);
        Refusal::new(Reason::Unimplemented, message)
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

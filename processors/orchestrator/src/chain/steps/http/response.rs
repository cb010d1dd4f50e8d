use std::collections::BTreeMap;

use egress::{Answer, Method};
use serde_json::{Map, Value, json};
use yaml::{Content, Fields, Node, Problems};

use crate::chain::{
    error::StepError,
    schema::Schema,
    types::{Field, Type},
};

/// If the file does not say.
const MAX_BYTES: usize = 1 << 20;
/// More would not fit into a result either.
const MOST_BYTES: usize = 16 << 20;

/// `response: {schema, headers, statuses, max_bytes}`: what must come back.
#[derive(Debug)]
pub(super) struct Response {
    schema: Option<Schema>,
    /// Lower case.
    headers: Vec<String>,
    /// Those that are no failure; any 2xx if the file does not say.
    statuses: Vec<u16>,
    max_bytes: usize,
}

impl Response {
    /// `node`: none if the file says nothing.
    pub(super) fn read(node: Option<&Node>, method: Option<&Method>, problems: &Problems) -> Option<Self> {
        let mut response = Self {
            schema: None,
            headers: Vec::new(),
            statuses: Vec::new(),
            max_bytes: MAX_BYTES,
        };
        let Some(node) = node else {
            return Some(response);
        };
        let known = ["schema", "headers", "statuses", "max_bytes"];
        let fields = Fields::of(node, "`response` of an http step", &known, &[], problems)?;
        if let Some(schema) = fields.get("schema") {
            response.schema = Some(Schema::read(schema, "`response.schema`", problems)?);
            if method == Some(&Method::HEAD) {
                problems.add(
                    schema.position,
                    "the answer to HEAD has no body",
                    "remove `schema`, or say `method: GET`",
                );
            }
        }
        if fields.get("headers").is_some() {
            let items = fields.require_list("headers", "[etag]")?;
            response.headers = items.iter().filter_map(|item| header(item, problems)).collect();
        }
        if fields.get("statuses").is_some() {
            let items = fields.require_list("statuses", "[200, 404]")?;
            response.statuses = items.iter().filter_map(|item| status(item, problems)).collect();
        }
        if fields.get("max_bytes").is_some() {
            response.max_bytes = fields.scalar("max_bytes", bytes)?.value;
        }
        Some(response)
    }

    pub(super) fn is_json(&self) -> bool {
        self.schema.is_some()
    }

    pub(super) fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    pub(super) fn is_fine(&self, status: u16) -> bool {
        match self.statuses.as_slice() {
            [] => is_success(status),
            fine => fine.contains(&status),
        }
    }

    /// All of it comes from a stranger. The body of an answer that is fine without being a success is not looked at: it is
    /// about what went wrong, and no schema is for that.
    pub(super) fn type_of(&self) -> Type {
        let text = Type::Text { untrusted: true };
        let body = match &self.schema {
            Some(schema) => ("json", schema.type_of().tainted(true)),
            None => ("text", text.clone()),
        };
        let mut fields = BTreeMap::from([("status".to_owned(), Field::always(Type::Number))]);
        let (name, of) = body;
        let optional = !self.statuses.iter().copied().all(is_success);
        fields.insert(name.to_owned(), Field { of, optional });
        if !self.headers.is_empty() {
            let each = self.headers.iter().map(|name| {
                let of = text.clone();
                (name.clone(), Field { of, optional: true })
            });
            let headers = Type::Object {
                fields: each.collect(),
                open: false,
            };
            fields.insert("headers".to_owned(), Field::always(headers));
        }
        Type::Object { fields, open: false }
    }

    pub(super) fn output(&self, answer: &Answer) -> Result<Value, StepError> {
        let mut output = Map::from_iter([("status".to_owned(), json!(answer.status))]);
        if is_success(answer.status) {
            let (name, body) = match &self.schema {
                Some(schema) => {
                    let json = answer.json()?;
                    schema.check(&json).map_err(|message| StepError::Response { message })?;
                    ("json", json)
                }
                None => ("text", Value::String(answer.text()?)),
            };
            output.insert(name.to_owned(), body);
        }
        if !self.headers.is_empty() {
            let told = self
                .headers
                .iter()
                .filter_map(|name| Some((name.clone(), json!(answer.header(name)?))));
            output.insert("headers".to_owned(), Value::Object(told.collect()));
        }
        Ok(Value::Object(output))
    }
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

fn header(node: &Node, problems: &Problems) -> Option<String> {
    let name = &node.text("headers", problems)?.value;
    match egress::is_free_header(name) {
        Ok(_) => Some(name.to_ascii_lowercase()),
        Err(wrong) => {
            problems.add_plain(node.position, wrong);
            None
        }
    }
}

fn status(node: &Node, problems: &Problems) -> Option<u16> {
    let written = match &node.content {
        Content::Scalar(_) => node.written(),
        Content::Text(_) | Content::List(_) | Content::Map(_) => None,
    };
    let status = written.and_then(|written| written.parse().ok());
    let status = status.filter(|status| (200..600).contains(status));
    if status.is_none() {
        problems.add_plain(node.position, "`statuses` must be statuses from 200 to 599");
    }
    status
}

fn bytes(written: &str) -> Result<usize, String> {
    match written.parse() {
        Ok(bytes) if (1..=MOST_BYTES).contains(&bytes) => Ok(bytes),
        Ok(_) | Err(_) => Err(format!(
            "must be a whole number from 1 to {MOST_BYTES}, not `{written}`"
        )),
    }
}

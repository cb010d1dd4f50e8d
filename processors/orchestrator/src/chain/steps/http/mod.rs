//! A call of something outside: where it goes ([`target`]), what is said there ([`Http`]), and what must come back
//! ([`response`]). How it gets there is for the crate `egress`.

mod response;
mod target;

use std::collections::BTreeSet;

use egress::{Call, METHODS, Method, Request};
use serde_json::Value;
use yaml::{Content, Fields, Node, Placed, Problems};

use self::{response::Response, target::Target};
use super::Check;
use crate::chain::{context::Surroundings, error::StepError, render::Rendering, templated::Templated, types::Type};

/// `http: {method, url, query, headers, body, response}`: its output is `status`, and `json` if `response.schema` says what
/// that is, else `text`; and `headers`, those that `response.headers` names. A status that is not fine is a failure.
#[derive(Debug)]
pub(crate) struct Http {
    method: Method,
    target: Target,
    query: Vec<(String, Templated)>,
    headers: Vec<(String, Placed<Templated>)>,
    body: Option<Templated>,
    response: Response,
}

impl Http {
    pub(super) const KEYS: [&str; 6] = ["method", "url", "query", "headers", "body", "response"];

    pub(super) fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let fields = Fields::of(node, "an http step", &Self::KEYS, &["form", "cache"], problems)?;
        let method = match fields.get("method") {
            Some(_) => fields.scalar("method", method).map(|method| method.value),
            None => Some(Method::GET),
        };
        let url = fields.require_text("url", "https://api.example.com/v1/orders/{{ input.order }}");
        let target = url.and_then(|url| Target::read(url, problems));
        let query = fields.get("query").map(|node| entries(node, "query", problems));
        let headers = fields.get("headers").map(|node| headers(node, problems));
        let body = fields.get("body");
        if let (Some(method), Some(body)) = (&method, body)
            && (*method == Method::GET || *method == Method::HEAD)
        {
            let help = "say `method: POST`, or move it to `query`";
            problems.add(body.position, format!("{method} has no body"), help);
        }
        let response = Response::read(fields.get("response"), method.as_ref(), problems);
        Some(Self {
            method: method?,
            target: target?,
            query: query.unwrap_or_default(),
            headers: headers.unwrap_or_default(),
            body: body.map(|node| Templated::read(node, problems)),
            response: response?,
        })
    }

    pub(super) fn reads(&self, steps: &mut BTreeSet<String>) {
        self.target.reads(steps);
        let headers = self.headers.iter().map(|(_, header)| &header.value);
        let query = self.query.iter().map(|(_, value)| value);
        query
            .chain(headers)
            .chain(&self.body)
            .for_each(|value| value.steps(steps));
    }

    pub(super) fn check(&self, check: &mut Check<'_>) -> Type {
        let origin = self.target.check(check);
        for (name, value) in &self.query {
            let of = value.infer(check.scope, None, check.problems);
            let item = match &of {
                Type::List(item) => item,
                of => of,
            };
            if let Type::Object { .. } | Type::List(_) = item {
                let message = format!("`{name}` in `query` must be text, a number, a boolean or a list of them");
                check.problems.add_plain(value.position, message);
            }
        }
        for (name, Placed { position, value }) in &self.headers {
            if let Type::Object { .. } | Type::List(_) = value.infer(check.scope, None, check.problems) {
                let message = format!("header `{name}` must be text, a number or a boolean");
                check.problems.add_plain(value.position, message);
            }
            if check.resources.hosts.sets(origin, name) {
                let message = format!("millrace.yaml sets the header `{name}` of `{origin}`");
                check.problems.add(*position, message, "remove it here");
            }
        }
        if let Some(body) = &self.body {
            body.infer(check.scope, None, check.problems);
        }
        self.response.type_of()
    }

    pub(super) async fn run(
        &self,
        step: &str,
        scope: &minijinja::Value,
        around: &Surroundings<'_>,
    ) -> Result<Value, StepError> {
        let request = self.request(step, scope, around)?;
        let egress = &around.services(step)?.egress;
        let sent = egress.send(
            &request,
            |status| self.response.is_fine(status),
            self.response.max_bytes(),
        );
        self.response.output(&around.in_time(sent).await??)
    }

    pub(super) fn render(
        &self,
        step: &str,
        scope: &minijinja::Value,
        around: &Surroundings<'_>,
        rendering: &Rendering<'_>,
    ) -> Result<(), StepError> {
        rendering.http(step, &self.request(step, scope, around)?);
        Ok(())
    }

    fn request(&self, step: &str, scope: &minijinja::Value, around: &Surroundings<'_>) -> Result<Request, StepError> {
        let mut query = Vec::new();
        for (name, value) in &self.query {
            for value in values(name, value.value(scope)?)? {
                query.push((name.clone(), value));
            }
        }
        let mut headers = Vec::new();
        for (name, header) in &self.headers {
            if let Some(value) = text(name, header.value.value(scope)?)? {
                headers.push((name.clone(), value));
            }
        }
        let call = Call {
            method: self.method.clone(),
            url: self.target.url(scope)?,
            origin: self.target.origin().clone(),
            query,
            headers,
            body: self.body.as_ref().map(|body| body.value(scope)).transpose()?,
            idempotency_key: around.idempotency_key(step),
            wants_json: self.response.is_json(),
        };
        Ok(call.request()?)
    }
}

fn method(written: &str) -> Result<Method, String> {
    let known = METHODS
        .iter()
        .find(|method| method.as_str().eq_ignore_ascii_case(written));
    match known {
        Some(method) if method.as_str() == written => Ok(method.clone()),
        Some(method) => Err(format!("must be `{method}`, in capitals, not `{written}`")),
        None => {
            let names: Vec<&str> = METHODS.iter().map(Method::as_str).collect();
            Err(format!("must be one of {}, not `{written}`", names.join(", ")))
        }
    }
}

/// A mapping whose names stand in the file.
fn entries(node: &Node, what: &str, problems: &Problems) -> Vec<(String, Templated)> {
    let Content::Map(entries) = &node.content else {
        let message = format!("`{what}` must be a mapping, and this is {}", node.kind());
        problems.add(
            node.position,
            message,
            "for example {limit: 10, q: \"{{ input.question }}\"}",
        );
        return Vec::new();
    };
    let read = entries
        .iter()
        .map(|entry| (entry.key.clone(), Templated::read(&entry.value, problems)));
    read.collect()
}

/// By their names in lower case.
fn headers(node: &Node, problems: &Problems) -> Vec<(String, Placed<Templated>)> {
    let Content::Map(entries) = &node.content else {
        let message = format!("`headers` must be a mapping, and this is {}", node.kind());
        problems.add(node.position, message, "for example {x-team: support}");
        return Vec::new();
    };
    let mut headers = Vec::new();
    for entry in entries {
        let position = entry.position;
        match egress::is_free_header(&entry.key) {
            Ok(true) => {}
            Ok(false) => {
                let help = "the connection sets it; what holds a secret belongs to the host in millrace.yaml: `bearer: {env: NAME}`";
                problems.add(
                    position,
                    format!("a chain does not set the header `{}`", entry.key),
                    help,
                );
                continue;
            }
            Err(wrong) => {
                problems.add_plain(position, wrong);
                continue;
            }
        }
        let value = Templated::read(&entry.value, problems);
        headers.push((entry.key.to_ascii_lowercase(), Placed { position, value }));
    }
    headers
}

/// What a query says of a name: once for each item of a list, and not at all for null.
fn values(name: &str, value: Value) -> Result<Vec<String>, StepError> {
    let items = match value {
        Value::Array(items) => items,
        one => vec![one],
    };
    items
        .into_iter()
        .filter_map(|item| text(name, item).transpose())
        .collect()
}

fn text(name: &str, value: Value) -> Result<Option<String>, StepError> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Bool(_) | Value::Number(_) => Ok(Some(value.to_string())),
        Value::Array(_) | Value::Object(_) => {
            let message = format!("`{name}` must be text, a number or a boolean");
            Err(StepError::Option { message })
        }
    }
}

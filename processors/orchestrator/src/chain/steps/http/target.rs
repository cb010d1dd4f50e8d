use std::collections::BTreeSet;

use egress::{NotAllowed, Origin};
use yaml::{Position, Problems, Text};

use super::Check;
use crate::chain::{error::StepError, template::Template, typing};

/// `https://<host>/<path>`: the host stands in the file, so that whoever reads it knows who is called; the path may hold
/// templates, whose values cannot lead out of their segment.
#[derive(Debug)]
pub(super) struct Target {
    origin: Origin,
    position: Position,
    url: Template,
}

impl Target {
    pub(super) fn read(text: &Text, problems: &Problems) -> Option<Self> {
        let source = &text.value;
        let host = source.find("://").map_or(0, |scheme| scheme + "://".len());
        let end = source[host..]
            .find(['/', '?', '#'])
            .map_or(source.len(), |path| host + path);
        let position = text.position_of(host, end);
        let Some(start) = source.get(..end).filter(|start| !start.contains(['{', '}'])) else {
            let help = "write scheme, host and port out; a `switch` says what there is to choose from";
            problems.add(position, "a template cannot choose whom the chain calls", help);
            return None;
        };
        let origin = match Origin::parse(start) {
            Ok(origin) => origin,
            Err(wrong) => {
                problems.add(
                    text.position_of(0, end),
                    format!("`url` {wrong}"),
                    "for example https://api.example.com/v1/orders/{{ input.order }}",
                );
                return None;
            }
        };
        let url = Template::encoding(egress::encoded, text, problems);
        if let Some(position) = url.literally(&['?', '#']) {
            problems.add(
                position,
                "`url` ends with its path",
                "move what is asked for to `query: {name: value}`",
            );
        }
        Some(Self { origin, position, url })
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(super) fn reads(&self, steps: &mut BTreeSet<String>) {
        steps.extend(self.url.steps().iter().cloned());
    }

    /// That the configuration allows it.
    pub(super) fn check(&self, check: &Check<'_>) -> &Origin {
        typing::infer(&self.url, check.scope, None, check.problems);
        let problems = check.problems;
        match check.resources.hosts.check(&self.origin) {
            Ok(()) => {}
            Err(error @ NotAllowed::Origin { .. }) => {
                let help = "call it like that, or list it under `http.hosts` in millrace.yaml once more, with this `port` or `plain: true`";
                problems.add(self.position, error.to_string(), help);
            }
            Err(error @ NotAllowed::Host { .. }) => {
                let known: Vec<String> = check.resources.hosts.names().collect();
                if known.is_empty() {
                    let help = format!("add `http: {{hosts: [{{host: {}}}]}}` there", self.origin.host());
                    problems.add(self.position, error.to_string(), help);
                } else {
                    let known = known.iter().map(String::as_str);
                    problems.add_unknown(self.position, error.to_string(), &self.origin.host(), known);
                }
            }
        }
        &self.origin
    }

    pub(super) fn url(&self, scope: &minijinja::Value) -> Result<String, StepError> {
        Ok(self.url.render(scope)?)
    }
}

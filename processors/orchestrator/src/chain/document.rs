//! From the document to the chain, in passes over one typed form.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;
use sha2::{Digest, Sha256};
use yaml::{Content, Fields, Node, Problems};

use super::{
    Chain, Output, graph,
    params::Params,
    resources::Resources,
    schema::Schema,
    steps::{Check, Step},
    templated::Templated,
    types::Type,
    typing::Scope,
};

/// The time limit of a chain that names none: no run is without one.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(60);

impl Chain {
    pub(super) fn from_document(root: &Node, source: &str, resources: &Resources, problems: &Problems) -> Option<Self> {
        let known = [
            "apiVersion",
            "kind",
            "metadata",
            "input",
            "params",
            "budget",
            "steps",
            "output",
        ];
        let fields = Fields::of(root, "a chain", &known, &["defaults", "emit", "tests"], problems)?;
        expect(&fields, "apiVersion", "chain/v1", problems);
        expect(&fields, "kind", "Chain", problems);
        let metadata = fields
            .require("metadata", "{name: triage, version: 1}")
            .and_then(|node| Metadata::read(node, problems));
        let input = fields.require("input", "{schema: {type: object}}").and_then(|node| {
            let input = Fields::of(node, "`input`", &["schema"], &["schema_ref"], problems)?;
            Schema::read(input.require("schema", "{type: object}")?, "`input.schema`", problems)
        });
        let params = Params::read(fields.get("params"), problems);
        let deadline = fields.get("budget").map(|node| {
            let budget = Fields::of(node, "`budget`", &["deadline"], &["usd", "tokens"], problems)?;
            Some(budget.require_scalar("deadline", "30s", yaml::duration)?.value)
        });
        let Steps { ids, steps } = fields
            .require("steps", "[{id: answer, chat: {…}}]")
            .map_or_else(Steps::default, |node| Steps::read(node, problems));
        let output = fields
            .require("output", "{value: \"{{ steps.answer.text }}\"}")
            .and_then(|node| Output::read(node, problems));

        let waits_for = graph::order(&steps, problems);
        let mut scope = Scope {
            input: input.as_ref().map_or(Type::ANY, Schema::type_of),
            params: params.as_ref().map_or(Type::ANY, Params::type_of),
            open: ids.iter().any(Option::is_none),
            steps: ids.into_iter().flatten().map(|id| (id, Type::ANY)).collect(),
        };
        for step in graph::sorted(&waits_for) {
            let step = &steps[step];
            let of = step.check(&mut Check {
                scope: &scope,
                resources,
                problems,
            });
            scope.steps.insert(step.id.clone(), of);
        }
        if let Some(output) = &output {
            output.value.infer(&scope, None, problems);
        }

        let Metadata {
            name,
            version,
            description,
        } = metadata?;
        let digest = digest(root);
        Some(Self {
            id: format!("{name}@{version}#{digest}"),
            name,
            version,
            description,
            digest,
            source: source.to_owned(),
            deadline: deadline.unwrap_or(Some(DEFAULT_DEADLINE))?,
            input: input?,
            params: params?,
            steps,
            waits_for,
            output: output?,
        })
    }
}

struct Metadata {
    name: String,
    version: i32,
    description: Option<String>,
}

impl Metadata {
    fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let fields = Fields::of(node, "`metadata`", &["name", "version", "description"], &[], problems)?;
        let name = fields.require_text("name", "triage").and_then(|text| {
            let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            let valid = (1..=64).contains(&text.value.len()) && text.value.chars().all(allowed);
            if !valid {
                let help = "use 1 to 64 lower-case letters, digits and `-`: requests say <name> or <name>@<version>";
                problems.add(
                    text.position_of(0, 0),
                    format!("`{}` cannot be the name of a chain", text.value),
                    help,
                );
            }
            valid.then(|| text.value.clone())
        });
        let version = fields.require("version", "1").and_then(|node| {
            let version = match &node.content {
                Content::Scalar(scalar) => scalar.value.as_i64().and_then(|version| i32::try_from(version).ok()),
                Content::Text(_) | Content::List(_) | Content::Map(_) => None,
            };
            let version = version.filter(|version| *version >= 1);
            if version.is_none() {
                let help = "count from 1, and raise it whenever the file changes";
                problems.add(node.position, "`version` must be a whole number of at least 1", help);
            }
            version
        });
        let description = match fields.get("description") {
            Some(node) => Some(node.text("description", problems)?.value.clone()),
            None => None,
        };
        Some(Self {
            name: name?,
            version: version?,
            description,
        })
    }
}

impl Output {
    fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let fields = Fields::of(node, "`output`", &["value", "schema"], &["schema_ref"], problems)?;
        let value = fields
            .require("value", "\"{{ steps.answer.text }}\"")
            .map(|node| Templated::read(node, problems));
        let schema = fields
            .get("schema")
            .map(|node| Schema::read(node, "`output.schema`", problems));
        Some(Self {
            value: value?,
            schema: schema.map_or(Some(None), |schema| schema.map(Some))?,
        })
    }
}

#[derive(Default)]
struct Steps {
    /// Of every step in the file, where it can be read.
    ids: Vec<Option<String>>,
    /// Those that can be read as a whole.
    steps: Vec<Step>,
}

impl Steps {
    fn read(node: &Node, problems: &Problems) -> Self {
        let Content::List(items) = &node.content else {
            let message = format!("`steps` must be a list, and this is {}", node.kind());
            problems.add_plain(node.position, message);
            return Self {
                ids: vec![None],
                steps: Vec::new(),
            };
        };
        if items.is_empty() {
            let help = "a chain that only renames is one `transform` step";
            problems.add(node.position, "the chain has no steps", help);
        }
        let id = |item: &Node| match &item.get("id")?.content {
            Content::Text(text) => Some(text.value.clone()),
            Content::Scalar(_) | Content::List(_) | Content::Map(_) => None,
        };
        Self {
            ids: items.iter().map(id).collect(),
            steps: items.iter().filter_map(|item| Step::read(item, problems)).collect(),
        }
    }
}

fn expect(fields: &Fields<'_>, key: &str, only: &str, problems: &Problems) {
    let Some(text) = fields.require_text(key, only) else {
        return;
    };
    if text.value != only {
        let message = format!("`{key}: {}` is not known", text.value);
        problems.add(
            text.position_of(0, 0),
            message,
            format!("this version reads `{key}: {only}`"),
        );
    }
}

/// Hashes the document as JSON with sorted keys.
fn digest(root: &Node) -> String {
    fn sorted(value: Value) -> Value {
        match value {
            Value::Object(entries) => {
                let entries: BTreeMap<String, Value> =
                    entries.into_iter().map(|(key, value)| (key, sorted(value))).collect();
                Value::Object(entries.into_iter().collect())
            }
            Value::Array(items) => items.into_iter().map(sorted).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
        }
    }
    let hash = Sha256::digest(sorted(root.to_json()).to_string());
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

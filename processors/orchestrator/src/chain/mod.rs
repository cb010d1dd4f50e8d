//! A chain: a file that is checked as a whole before it runs.
//!
//! Reading goes in passes over one typed form, and each adds to the same list of problems, so that every mistake of a
//! file is told at once: the YAML ([`yaml`]), its keys ([`fields`], [`steps`]), who waits for whom ([`graph`]), and what
//! every template reads and renders ([`typing`]).

mod bill;
mod context;
mod error;
mod fields;
mod graph;
mod outcome;
mod params;
mod problem;
mod resources;
mod run;
mod schema;
mod steps;
mod template;
mod templated;
mod types;
mod typing;
mod yaml;

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;
use sha2::{Digest, Sha256};

use self::{
    fields::Fields,
    params::Params,
    problem::Problems,
    schema::Schema,
    steps::{Check, Step},
    templated::Templated,
    types::Type,
    typing::Scope,
    yaml::{Content, Node},
};

pub use self::{
    bill::Bill,
    context::Context,
    outcome::{Ending, Failure, Outcome},
    problem::{Position, Problem},
    resources::{Resources, Services},
};

/// Larger files are not read: what checks a chain may take time in proportion to its square.
const MAX_BYTES: usize = 256 << 10;

/// The time limit of a chain that names none: no run is without one.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(60);

/// A chain that can run.
#[derive(Debug)]
pub struct Chain {
    pub name: String,
    pub version: i32,
    pub description: Option<String>,
    /// SHA-256 of the canonical form, lower-case hex: comments, layout and the order of keys do not change it.
    pub digest: String,
    /// `name@version#sha256`: what every run records.
    pub id: String,
    /// The file, verbatim.
    pub source: String,
    /// How long a run may take from the moment its request was accepted, if the request does not say.
    pub deadline: Duration,
    input: Schema,
    params: Params,
    steps: Vec<Step>,
    waits_for: Vec<Vec<usize>>,
    output: Output,
}

#[derive(Debug)]
struct Output {
    value: Templated,
    schema: Option<Schema>,
}

/// What a run begins with.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    pub input: Value,
    /// With the defaults of those that were not given.
    pub params: Value,
}

impl Chain {
    /// Reads a chain file and checks it against the models and indexes there are. `file` names it in the problems.
    ///
    /// # Errors
    /// Every mistake, in the order of the file.
    pub fn read(source: &str, file: &str, resources: &Resources) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::new(file);
        if source.len() > MAX_BYTES {
            problems.add_plain(
                Position { line: 1, column: 1 },
                format!("the file is larger than {MAX_BYTES} bytes"),
            );
            return Err(problems.into_sorted());
        }
        let chain = Node::read(source, &mut problems)
            .and_then(|root| Self::from_document(&root, source, resources, &mut problems));
        match chain {
            Some(chain) if problems.is_empty() => Ok(chain),
            Some(_) | None => Err(problems.into_sorted()),
        }
    }

    fn from_document(root: &Node, source: &str, resources: &Resources, problems: &mut Problems) -> Option<Self> {
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
            .require("metadata", problems)
            .and_then(|node| Metadata::read(node, problems));
        let input = fields.require("input", problems).and_then(|node| {
            let input = Fields::of(node, "`input`", &["schema"], &["schema_ref"], problems)?;
            Schema::read(input.require("schema", problems)?, "`input.schema`", problems)
        });
        let params = Params::read(fields.get("params"), problems);
        let deadline = fields.get("budget").map(|node| {
            let budget = Fields::of(node, "`budget`", &["deadline"], &["usd", "tokens"], problems)?;
            fields::duration(budget.require("deadline", problems)?, "deadline", problems)
        });
        let read = fields.require("steps", problems).and_then(|node| steps(node, problems));
        let output = fields
            .require("output", problems)
            .and_then(|node| Output::read(node, problems));

        // A step that cannot be read is reported as such; that others read it is then no mistake of theirs.
        let whole = read.as_ref().is_some_and(|read| read.iter().all(Option::is_some));
        let steps: Vec<Step> = read.unwrap_or_default().into_iter().flatten().collect();
        let waits_for = if whole {
            graph::order(&steps, problems)
        } else {
            vec![Vec::new(); steps.len()]
        };
        let mut scope = Scope {
            input: input.as_ref().map_or(Type::ANY, Schema::type_of),
            params: params.as_ref().map_or(Type::ANY, Params::type_of),
            steps: BTreeMap::new(),
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
            output.check(&steps, whole, &scope, problems);
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

    /// `name@version`
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    /// Lets an input and params in, or says what is wrong with them.
    ///
    /// # Errors
    /// Every mistake, by JSON pointer, without quoting the values.
    pub fn accept(&self, input: Value, params: Value) -> Result<Accepted, String> {
        self.input
            .check(&input)
            .map_err(|mistake| format!("the input does not fit the chain's schema: {mistake}"))?;
        let params = self
            .params
            .fill(params)
            .map_err(|mistake| format!("the params do not fit the chain: {mistake}"))?;
        Ok(Accepted { input, params })
    }

    #[must_use]
    pub fn input_schema(&self) -> &Value {
        self.input.json()
    }

    /// `true`, the schema of anything, if the file names none.
    #[must_use]
    pub fn output_schema(&self) -> &Value {
        self.output.schema.as_ref().map_or(&Value::Bool(true), Schema::json)
    }

    /// `{"steps": [{id, kind, waits_for: [id]}]}`
    #[must_use]
    pub fn graph(&self) -> Value {
        graph::describe(&self.steps, &self.waits_for)
    }
}

struct Metadata {
    name: String,
    version: i32,
    description: Option<String>,
}

impl Metadata {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let fields = Fields::of(node, "`metadata`", &["name", "version", "description"], &[], problems)?;
        let name = fields.require_text("name", problems).and_then(|text| {
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
        let version = fields.require("version", problems).and_then(|node| {
            let version = match &node.content {
                Content::Scalar(value) => value.as_i64().and_then(|version| i32::try_from(version).ok()),
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
            Some(node) => Some(fields::text(node, "description", problems)?.value.clone()),
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
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let fields = Fields::of(node, "`output`", &["value", "schema"], &["schema_ref"], problems)?;
        let value = fields
            .require("value", problems)
            .and_then(|node| Templated::read(node, problems));
        let schema = fields
            .get("schema")
            .map(|node| Schema::read(node, "`output.schema`", problems));
        Some(Self {
            value: value?,
            schema: schema.map_or(Some(None), |schema| schema.map(Some))?,
        })
    }

    fn check(&self, steps: &[Step], whole: bool, scope: &Scope, problems: &mut Problems) {
        self.value.infer(scope, None, problems);
        let mut reads = std::collections::BTreeSet::new();
        self.value.steps(&mut reads);
        let known = || steps.iter().map(|step| step.id.as_str());
        for id in reads.iter().filter(|id| whole && !known().any(|step| step == **id)) {
            let message = format!("the output reads `steps.{id}`, and there is no such step");
            problems.add_unknown(self.value.position, message, id, known());
        }
    }
}

/// Every step, `None` for those that cannot be read.
fn steps(node: &Node, problems: &mut Problems) -> Option<Vec<Option<Step>>> {
    let Content::List(items) = &node.content else {
        problems.add_plain(
            node.position,
            format!("`steps` must be a list, and this is {}", node.kind()),
        );
        return None;
    };
    if items.is_empty() {
        problems.add(
            node.position,
            "the chain has no steps",
            "a chain that only renames is one `transform` step",
        );
    }
    Some(items.iter().map(|item| Step::read(item, problems)).collect())
}

fn expect(fields: &Fields<'_>, key: &str, only: &str, problems: &mut Problems) {
    let Some(text) = fields.require_text(key, problems) else {
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

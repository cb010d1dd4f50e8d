//! From the document to the chain, in passes over one typed form. A chain may run others, so a file is first read, and
//! checked when those are there.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use models::Limit;
use serde_json::Value;
use sha2::{Digest, Sha256};
use yaml::{Content, Fields, Node, Position, Problem, Problems};

use super::{
    Chain, Output,
    block::Block,
    emit::{Emit, Target},
    fits::misfit,
    included::Included,
    leaving::Leaving,
    metadata::Metadata,
    params::Params,
    resources::Resources,
    schema::Schema,
    steps::{Check, Defaults},
    templated::Templated,
    trial::Trial,
    types::Type,
    typing::Scope,
};

/// Larger files are not read: what checks a chain may take time in proportion to its square.
const MAX_BYTES: usize = 256 << 10;

/// The time limit of a chain that names none: no run is without one.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(60);

/// A chain file that has been read, and not yet checked against what there is.
pub(crate) struct Draft {
    problems: Problems,
    included: Included,
    source: String,
    digest: String,
    metadata: Option<Metadata>,
    input: Option<Schema>,
    params: Option<Params>,
    budget: Option<(Duration, Limit)>,
    leaving: Option<Leaving>,
    steps: Block,
    output: Option<Output>,
    /// Outside: none is meant. Inside: it cannot be read.
    emit: Option<Option<Emit>>,
    trials: Vec<Trial>,
}

impl Draft {
    /// Reads a file in a folder, with the schemas there that it refers to.
    ///
    /// # Errors
    /// See [`Self::read`].
    pub(crate) fn read_in(folder: &Path, source: &str, file: &str) -> Result<Self, Vec<Problem>> {
        let (whole, included) = Included::write(source, file, folder);
        match Self::read(&whole, file) {
            Ok(draft) => Ok(Self { included, ..draft }),
            Err(problems) => included.told(Err(problems)),
        }
    }

    /// # Errors
    /// The file is no YAML, or no mapping. Other mistakes are told by [`Self::check`], with those that it finds itself.
    pub(crate) fn read(source: &str, file: &str) -> Result<Self, Vec<Problem>> {
        let problems = Problems::of(file);
        if source.len() > MAX_BYTES {
            let message = format!("the file is larger than {MAX_BYTES} bytes");
            problems.add_plain(Position::START, message);
            return problems.unless_any(None);
        }
        let Some(root) = Node::read(source, &problems) else {
            return problems.unless_any(None);
        };
        let known = [
            "apiVersion",
            "kind",
            "metadata",
            "input",
            "params",
            "budget",
            "redact",
            "defaults",
            "steps",
            "output",
            "emit",
            "tests",
        ];
        let Some(fields) = Fields::of(&root, "a chain", &known, &[], &problems) else {
            return problems.unless_any(None);
        };
        check_numbers(&root, &problems);
        expect(&fields, "apiVersion", "chain/v1", &problems);
        expect(&fields, "kind", "Chain", &problems);
        let metadata = fields
            .require("metadata", "{name: triage, version: 1}")
            .and_then(|node| Metadata::read(node, &problems));
        let input = fields.require("input", "{schema: {type: object}}").and_then(|node| {
            let input = Fields::of(node, "`input`", &["schema"], &[], &problems)?;
            Schema::read(input.require("schema", "{type: object}")?, "`input.schema`", &problems)
        });
        let params = Params::read(fields.get("params"), &problems);
        let budget = fields
            .get("budget")
            .map_or(Some((DEFAULT_DEADLINE, Limit::default())), |node| {
                budget(node, &problems)
            });
        let leaving = fields
            .get("redact")
            .map_or(Some(Leaving::default()), |node| Leaving::read(node, &problems));
        let mut steps = fields
            .require("steps", "[{id: answer, chat: {…}}]")
            .map_or_else(Block::unread, |node| Block::read(node, "`steps`", &problems));
        if let Some(defaults) = fields.get("defaults").and_then(|node| Defaults::read(node, &problems)) {
            steps.default_to(&defaults);
        }
        let output = fields
            .require("output", "{value: \"{{ steps.answer.text }}\"}")
            .and_then(|node| Output::read(node, &problems));
        let emit = fields.get("emit").map(|node| Emit::read(node, &problems));
        let trials = Trial::read_all(fields.get("tests"), &problems);
        Ok(Self {
            source: source.to_owned(),
            digest: digest(&root),
            metadata,
            input,
            params,
            budget,
            leaving,
            steps,
            output,
            emit,
            trials,
            problems,
            included: Included::default(),
        })
    }

    /// `name@version`, if the file says it.
    pub(crate) fn key(&self) -> Option<String> {
        self.metadata
            .as_ref()
            .map(|Metadata { name, version, .. }| format!("{name}@{version}"))
    }

    /// The chains that it runs, by `name@version`.
    pub(crate) fn chains(&self) -> BTreeSet<String> {
        let mut chains = BTreeSet::new();
        self.steps.chains(&mut chains);
        chains
    }

    /// Where it emits to, if the file says it.
    pub(crate) fn target(&self) -> Option<&Target> {
        self.emit.as_ref()?.as_ref().map(|emit| &emit.target)
    }

    /// Without its tests: whoever wrote them has run them, and they are not part of its digest.
    pub(crate) fn untested(self) -> Self {
        Self {
            trials: Vec::new(),
            ..self
        }
    }

    /// For a mistake that shows only between files.
    pub(crate) fn problems(&self) -> &Problems {
        &self.problems
    }

    /// # Errors
    /// Every mistake, in the order of the file.
    pub(crate) fn check(mut self, resources: &Resources) -> Result<Chain, Vec<Problem>> {
        let scope = Scope::new(
            self.input.as_ref().map_or(Type::ANY, Schema::type_of),
            self.params.as_ref().map_or(Type::ANY, Params::type_of),
        );
        if let Some(leaving) = &self.leaving {
            leaving.check(resources, &self.problems);
        }
        let (scope, _) = self.steps.check(&mut Check {
            scope: &scope,
            resources,
            problems: &self.problems,
        });
        for trial in &self.trials {
            trial.check(&self.steps, &self.problems);
        }
        let output_type = self.output.as_ref().map(|output| output.check(&scope, &self.problems));
        if let (Some(Some(emit)), Some(output)) = (&mut self.emit, &output_type) {
            emit.bind(output, &resources.targets, &self.problems);
        }
        let Self {
            problems,
            included,
            source,
            digest,
            metadata,
            input,
            params,
            budget,
            leaving,
            steps,
            output,
            emit,
            trials,
        } = self;
        let chain = || {
            let Metadata {
                name,
                version,
                description,
            } = metadata?;
            let (deadline, limit) = budget?;
            Some(Chain {
                id: format!("{name}@{version}#{digest}"),
                name,
                version,
                description,
                digest,
                source,
                deadline,
                limit,
                leaving: leaving?,
                input: input?,
                params: params?,
                steps,
                output: output?,
                output_type: output_type?,
                emit: emit.map_or(Some(None), |emit| emit.map(Some))?,
                trials,
            })
        };
        included.told(problems.unless_any(chain()))
    }
}

impl Output {
    /// The type of the output: what its schema says, or else what its value is.
    fn check(&self, scope: &Scope, problems: &Problems) -> Type {
        let of = self.value.infer(scope, None, problems);
        let Some(schema) = &self.schema else { return of };
        let wanted = schema.type_of();
        if let Some(why) = misfit(&of, &wanted) {
            let message = format!("`output.value` is not what `output.schema` says: {why}");
            problems.add(self.value.position, message, "change the one or the other");
        }
        wanted.tainted(of.is_untrusted())
    }

    fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let fields = Fields::of(node, "`output`", &["value", "schema"], &[], problems)?;
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

/// How long a run may take, and what its calls may cost.
fn budget(node: &Node, problems: &Problems) -> Option<(Duration, Limit)> {
    let known: Vec<&str> = ["deadline"].into_iter().chain(Limit::KEYS).collect();
    let fields = Fields::of(node, "`budget`", &known, &[], problems)?;
    let deadline = fields
        .get("deadline")
        .map(|_| fields.scalar("deadline", yaml::duration));
    let limit = Limit::read(&fields);
    let deadline = deadline.map_or(Some(DEFAULT_DEADLINE), |deadline| Some(deadline?.value))?;
    Some((deadline, limit))
}

/// Those that are written in the file are held as they are.
fn check_numbers(node: &Node, problems: &Problems) {
    match &node.content {
        Content::Scalar(scalar) if scalar.value.is_f64() && schemas::json::exact(&scalar.written).is_none() => {
            let message = "this number has more digits than 64 bits hold";
            problems.add(
                node.position,
                message,
                "round it yourself, or write it as a text, in quotes",
            );
        }
        Content::Scalar(_) | Content::Text(_) => {}
        Content::List(items) => items.iter().for_each(|item| check_numbers(item, problems)),
        Content::Map(entries) => entries.iter().for_each(|entry| check_numbers(&entry.value, problems)),
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

/// Whether a published chain is what its digest says. What this version cannot check, a newer one may run: only what no
/// version can read is told apart.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn is_of(published: &schemas::ChainRecord) -> Result<(), &'static str> {
    match Node::read(&published.source, &Problems::of("")) {
        Some(root) if digest(&root) == published.digest => Ok(()),
        Some(_) => Err("its digest is that of another source"),
        None => Err("its source is not YAML"),
    }
}

/// Hashes the document as JSON with sorted keys, and without its tests.
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
    let mut document = root.to_json();
    if let Value::Object(entries) = &mut document {
        entries.shift_remove("tests");
    }
    let hash = Sha256::digest(sorted(document).to_string());
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

//! A chain: a file that is checked as a whole before it runs.
//!
//! ```yaml
//! apiVersion: chain/v1
//! kind: Chain
//! metadata: {name: answer, version: 1, description: …}
//! input: {schema: {…}}                    # JSON Schema; `x-trust: untrusted` marks what strangers write
//! params: {top_k: {type: integer, default: 4}}
//! budget: {deadline: 60s}
//! steps:                                  # each runs as soon as the steps that it reads are done
//!   - {id: docs, retrieve: {index: …, query: "{{ input.question }}", top_k: "{{ params.top_k }}", min_score: 0.2, filter: {…}}}
//!   - {id: answer, chat: {model: [smart, fast], messages: [{role: user, content: …}], params: {…}, output: {schema: {…}}}}
//!   - {id: vectors, embed: {model: embedding, texts: ["{{ steps.answer.text }}"]}}
//!   - {id: shaped, transform: {text: "{{ steps.answer.text | trim }}"}}
//! output: {value: "{{ steps.shaped }}", schema: {…}}
//! ```
//!
//! Reading goes in passes over one typed form, and each adds to the same list of problems, so that every mistake of a
//! file is told at once: the YAML ([`yaml`]), its keys ([`document`], [`steps`]), who waits for whom ([`graph`]), and what
//! every template reads and renders ([`typing`]).

mod bill;
mod context;
mod document;
mod error;
mod graph;
mod idle;
mod outcome;
mod params;
mod resources;
mod run;
mod schema;
mod steps;
mod template;
mod templated;
mod types;
mod typing;

use std::time::Duration;

use serde_json::Value;
use yaml::{Node, Problems};

use self::{params::Params, schema::Schema, steps::Step, templated::Templated};

pub use self::{
    bill::Bill,
    context::Context,
    outcome::{Ending, Failure, Outcome},
    resources::{Resources, Services},
};
pub use yaml::{Position, Problem};

/// Larger files are not read: what checks a chain may take time in proportion to its square.
const MAX_BYTES: usize = 256 << 10;

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
        let problems = Problems::of(file);
        if source.len() > MAX_BYTES {
            let message = format!("the file is larger than {MAX_BYTES} bytes");
            problems.add_plain(Position::START, message);
            return problems.unless_any(None);
        }
        let chain =
            Node::read(source, &problems).and_then(|root| Self::from_document(&root, source, resources, &problems));
        problems.unless_any(chain)
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

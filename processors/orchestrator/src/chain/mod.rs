//! A chain: a file that is checked as a whole before it runs.
//!
//! ```yaml
//! apiVersion: chain/v1
//! kind: Chain
//! metadata: {name: answer, version: 1, description: …}
//! input: {schema: {…}}                    # JSON Schema; `x-trust: untrusted` marks what strangers write; or `schema_ref: file`
//! params: {top_k: {type: integer, default: 4}}
//! budget: {deadline: 60s, usd: 0.05, tokens: 8000, calls: 10}  # no call leaves that may cost more than is left
//! redact: {provider: {types: [email], strategy: mask}, audit: {types: [email, phone]}}   # what leaves; steps see all
//! defaults: {timeout: 20s, retry: {max_attempts: 3}}  # of each chat, embed, retrieve and rerank that has none of its own
//! steps:                                  # each runs as soon as the steps that it reads are done
//!   - {id: docs, retrieve: {index: …, query: "{{ input.question }}", top_k: "{{ params.top_k }}", min_score: 0.2, filter: {…}}}
//!   - {id: best, rerank: {model: bge-reranker-v2-m3, query: "{{ input.question }}", documents: "{{ steps.docs.items }}", top_n: 3}}
//!   - {id: answer, chat: {model: [smart, fast], messages: [{role: user, content: …}], params: {…}, output: {schema: {…}}}}
//!   - {id: vectors, embed: {model: embedding, texts: ["{{ steps.answer.text }}"]}}
//!   - {id: order, http: {url: "https://api.example.com/orders/{{ input.order }}", response: {schema: {…}}}}
//!   - {id: kind, parse: {text: "{{ steps.answer.text }}", enum: [refund, question]}}    # or json, lines, regex
//!   - {id: covered, redact: {value: "{{ input.question }}", types: [email, phone]}}
//!   - {id: reply, switch: {on: "{{ steps.kind }}", cases: {refund: [STEPS], question: [STEPS]}}}
//!   - {id: both, parallel: {branches: {formal: [STEPS], short: [STEPS]}, on_error: collect}}
//!   - {id: each, map: {over: "{{ steps.docs.items }}", as: doc, max_items: 20, steps: [STEPS]}}
//!   - {id: better, loop: {max: 3, until: "{{ steps.check.json.good }}", steps: [STEPS]}}
//!   - {id: approval, approve: {message: "Refund {{ input.amount }}?", value: {amount: "{{ input.amount }}"}}}
//!   - {id: sorted, chain: {name: triage@2, input: {text: "{{ input.question }}"}}}
//!   - {id: shaped, transform: {text: "{{ steps.answer.text | trim }}"}}
//! output: {value: "{{ steps.shaped }}", schema: {…}}
//! emit: {topic: acme.refunds, value: avro}             # the output goes to an owner's topic too, in the owner's schema
//! tests: [{name: …, input: {…}, mocks: {answer: {text: …}}, expect: {output: …}}]
//! ```
//!
//! Any step can also say `when` it runs (and what it gives `else`), its `timeout`, how to `retry`, what steps are its
//! `fallback`, that an error of it is no failure of the run (`on_error: skip`), and a `budget` of its own.
//!
//! Reading goes in passes over one typed form, and each adds to the same list of problems, so that every mistake of a
//! file is told at once: the YAML ([`yaml`]), its keys ([`document`], [`steps`]), who waits for whom ([`graph`]), and what
//! every template reads and renders ([`typing`]).

mod bill;
mod block;
mod context;
mod cover;
mod diff;
mod document;
mod editor;
mod emit;
mod error;
mod fits;
mod frame;
mod graph;
mod hash_key;
mod idle;
mod included;
mod leaving;
mod metadata;
mod mocks;
mod numbers;
mod outcome;
mod params;
mod render;
mod resources;
mod run;
mod schema;
mod sensitive;
mod steps;
mod template;
mod templated;
mod trail;
mod trial;
mod turn;
mod types;
mod typing;
mod ways;

use std::time::Duration;

use models::{Limit, Worst};
use serde_json::Value;

use self::{
    block::Block, emit::Emit, leaving::Leaving, params::Params, schema::Schema, templated::Templated, turn::SoFar,
    types::Type,
};

pub(crate) use self::{
    document::{Draft, is_of},
    emit::{Emitted, Format, Refused, Target, Writer},
};

pub use self::{
    bill::Bill,
    context::Context,
    diff::{Change, Difference},
    editor::SCHEMA,
    emit::Targets,
    hash_key::{HashKey, ShortHashKey},
    outcome::{Ending, Failure, Outcome},
    resources::{Others, Resources, Services},
    trail::Trail,
    trial::{Trial, Verdict},
    turn::{Approval, State},
};
pub use yaml::{Position, Problem};

/// A chain that can run.
#[derive(Debug)]
pub struct Chain {
    pub name: String,
    pub version: i32,
    pub description: Option<String>,
    /// SHA-256 of the canonical form, lower-case hex: comments, layout, the order of keys and `tests` do not change it.
    pub digest: String,
    /// `name@version#sha256`: what every run records.
    pub id: String,
    /// The file, with the schemas that it refers to written into it.
    pub source: String,
    /// How long a run may take from the moment its request was accepted, if the request does not say.
    pub deadline: Duration,
    /// What all its calls may cost together.
    limit: Limit,
    leaving: Leaving,
    input: Schema,
    params: Params,
    steps: Block,
    output: Output,
    output_type: Type,
    emit: Option<Emit>,
    trials: Vec<Trial>,
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
    pub(crate) so_far: SoFar,
}

impl Chain {
    /// Reads a chain and checks it against the models, indexes and hosts there are. `file` names it in the problems. It is no
    /// file, so it cannot refer to others: [`crate::load_one`] reads those that do.
    ///
    /// # Errors
    /// Every mistake, in the order of the file.
    pub fn read(source: &str, file: &str, resources: &Resources) -> Result<Self, Vec<Problem>> {
        Draft::read(source, file)?.check(resources)
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
        Ok(Accepted {
            input,
            params,
            so_far: SoFar::default(),
        })
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

    /// The most that a run can cost: every retry, fallback, item and round, every prompt and answer at its cap, and no more
    /// than its budget.
    #[must_use]
    pub fn worst_case(&self, resources: &Resources) -> Worst {
        self.steps.worst(resources).within(self.limit)
    }

    /// `{"steps": [{id, kind, waits_for: [id], blocks: [{name, steps: […]}]}]}`
    #[must_use]
    pub fn graph(&self) -> Value {
        graph::describe(&self.steps)
    }
}

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
};

use models::Worst;
use serde_json::{Map, Value};
use yaml::{Fields, Node, Position, Problems};

use super::Check;
use crate::chain::{
    Chain,
    bill::Bill,
    block::Block,
    context::Surroundings,
    error::StepError,
    fits::{misfit, trusted_in_vain},
    frame::Frame,
    resources::Resources,
    templated::Templated,
    types::Type,
};

/// `chain: {name: triage@2, input, params}`: runs another chain, whose output is its output.
///
/// The version is named: what a chain does must not change while its own digest stays. Its limits do not count here, those
/// of this chain do.
#[derive(Debug)]
pub(crate) struct Nested {
    name: String,
    position: Position,
    input: Templated,
    params: Option<Templated>,
    /// Found when the file is checked.
    chain: OnceLock<Arc<Chain>>,
}

impl Nested {
    pub(super) const KEYS: [&str; 3] = ["name", "input", "params"];

    pub(super) fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let fields = Fields::of(node, "a chain step", &Self::KEYS, &[], problems)?;
        let name = fields.require_text("name", "triage@2");
        let input = fields.require("input", "{text: \"{{ input.text }}\"}");
        let name = name.filter(|name| {
            let pinned = name
                .value
                .split_once('@')
                .is_some_and(|(_, version)| version.parse::<i32>().is_ok());
            if !pinned {
                let message = format!("`{}` does not say which version", name.value);
                problems.add(
                    name.position_of(0, 0),
                    message,
                    format!("write `{}@1`, say", name.value),
                );
            }
            pinned
        });
        let name = name?;
        Some(Self {
            name: name.value.clone(),
            position: name.position_of(0, 0),
            input: Templated::read(input?, problems),
            params: fields.get("params").map(|node| Templated::read(node, problems)),
            chain: OnceLock::new(),
        })
    }

    /// `name@version`
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Of the other chain, if it is known.
    pub(super) fn steps(&self) -> Option<&Block> {
        self.chain.get().map(|chain| &chain.steps)
    }

    pub(super) fn waits(&self) -> bool {
        self.chain.get().is_some_and(|chain| chain.steps.interrupts())
    }

    pub(super) fn worst(&self, resources: &Resources) -> Worst {
        self.chain
            .get()
            .map_or(Worst::NOTHING, |chain| chain.steps.worst(resources))
    }

    pub(super) fn reads(&self, steps: &mut BTreeSet<String>) {
        self.input.steps(steps);
        self.params.iter().for_each(|params| params.steps(steps));
    }

    pub(super) fn check(&self, check: &mut Check<'_>) -> Type {
        let given = self.input.infer(check.scope, None, check.problems);
        let params = self
            .params
            .as_ref()
            .map(|params| params.infer(check.scope, None, check.problems));
        let others = &check.resources.chains;
        let Some(chain) = others.get(&self.name) else {
            if others.is_wrong(&self.name) {
                return Type::ANY;
            }
            let known = others.keys();
            let message = format!("there is no chain `{}`", self.name);
            let mut known = known.peekable();
            if known.peek().is_none() {
                let help = "no other chain was read: put its file into the same folder";
                check.problems.add(self.position, message, help);
            } else {
                check.problems.add_unknown(self.position, message, &self.name, known);
            }
            return Type::ANY;
        };
        let problem = |position, message: String, help: &str| check.problems.add(position, message, help);
        let wanted = chain.input.type_of();
        if let Some(why) = misfit(&given, &wanted) {
            let message = format!("this is no input of chain `{}`: {why}", self.name);
            check.problems.add_plain(self.input.position, message);
        }
        if let Some(path) = trusted_in_vain(&given, &wanted) {
            let message = format!(
                "untrusted text goes into `input{path}` of chain `{}`, which trusts it",
                self.name
            );
            let help = "mark the field `x-trust: untrusted` in that chain's input schema, in a new version of it";
            problem(self.input.position, message, help);
        }
        if let (Some(given), Some(templated)) = (&params, &self.params)
            && given.is_untrusted()
        {
            let message = format!("untrusted text goes into the params of chain `{}`", self.name);
            problem(
                templated.position,
                message,
                "params are knobs of who runs the chain: pass it in the input",
            );
        }
        if let (Some(given), Some(templated)) = (&params, &self.params) {
            self.check_params(given, templated, chain, check);
        }
        let untrusted = given.is_untrusted();
        let of = chain.output_type.clone().tainted(untrusted);
        // A file is checked once.
        let _ = self.chain.set(Arc::clone(chain));
        of
    }

    fn check_params(&self, given: &Type, templated: &Templated, chain: &Chain, check: &Check<'_>) {
        let entry = |name: &str| templated.entries()?.iter().find(|(key, _)| key == name);
        let fields = match given {
            Type::Object { fields, .. } => fields,
            Type::Any { .. } | Type::Null => return,
            other => {
                let message = format!("`params` must be a mapping, and this is {}", other.describe());
                check
                    .problems
                    .add(templated.position, message, "for example params: {limit: 5}");
                return;
            }
        };
        for (name, field) in fields {
            let value = entry(name).map_or(templated, |(_, value)| value);
            let misfit = match chain.params.type_of_one(name) {
                Some(wanted) => misfit(&field.of, &wanted),
                None => {
                    let message = format!("chain `{}` has no param `{name}`", self.name);
                    let known: Vec<&str> = chain.params.names().collect();
                    if known.is_empty() {
                        let help = "it has none at all: pass it in the input, or leave it out";
                        check.problems.add(value.position, message, help);
                    } else {
                        check.problems.add_unknown(value.position, message, name, known);
                    }
                    continue;
                }
            };
            let constant = || {
                let given = Map::from_iter([(name.clone(), value.constant()?)]);
                chain.params.fill(Value::Object(given)).err()
            };
            if let Some(why) = misfit.or_else(constant) {
                let message = format!("this is no param `{name}` of chain `{}`: {why}", self.name);
                let help = "give what its schema in that chain's `params` says";
                check.problems.add(value.position, message, help);
            }
        }
    }

    pub(super) async fn run<'c>(
        &'c self,
        step: &str,
        frame: &Frame<'c>,
        around: &Surroundings<'_>,
        bill: &mut Bill,
    ) -> Result<Value, StepError> {
        let input = self.input.value(frame.scope())?;
        let params = match &self.params {
            Some(params) => params.value(frame.scope())?,
            None => Value::Object(Map::new()),
        };
        // It was found, or the file could not have been read.
        let chain = self.chain.get().ok_or_else(|| StepError::Option {
            message: format!("there is no chain `{}`", self.name),
        })?;
        let accepted = chain
            .accept(input, params)
            .map_err(|message| StepError::Option { message })?;
        let done = chain
            .steps
            .done(
                &Frame::new(&accepted),
                &around.inside(step, "").redacting(&chain.leaving),
                bill,
            )
            .await?;
        chain.output_in(done.scope())
    }
}

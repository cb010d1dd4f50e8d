//! A run that waits for a person ends as `interrupted`, and goes on as its next turn: in any process, with what stands in
//! the [`State`] of its result.
//!
//! What steps gave is kept by their names, so nothing that was done, or paid, is done again. A step that was not finished
//! begins anew: a `parallel` of which one branch waits has the outputs of the steps inside of it.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Mutex, MutexGuard, PoisonError},
};

use schemas::{Money, Timestamp, Usage, json};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Accepted, Chain, bill::Bill, context::Context};

const FORMAT: u32 = 1;

/// What the next turn of a run goes on with. It travels as JSON in the result and in the request that resumes it; whoever
/// may write requests could write a state, too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    format: u32,
    /// `name@version#sha256`
    pub chain: String,
    /// That of the result which holds it.
    pub turn: i32,
    /// When the run was accepted: all its turns are kept under that day.
    accepted_at: Timestamp,
    /// The key of the request, in base64: a resume keeps its place among the others of that key.
    pub key: Option<String>,
    input: Value,
    params: Value,
    /// By the name of the step.
    outputs: BTreeMap<String, Value>,
    spent: Spent,
    /// In the order in which they began to wait.
    pub approvals: Vec<Approval>,
}

/// What somebody has to decide.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    pub step: String,
    /// For whoever decides.
    pub message: String,
    pub value: Value,
    /// Of a value that whoever decides may put in its place; none: it stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
}

/// By whoever may write requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decision {
    pub(crate) approved: bool,
    /// In place of what there was to decide on.
    #[serde(default)]
    pub(crate) value: Option<Value>,
    #[serde(default)]
    pub(crate) comment: String,
    /// Who decided.
    #[serde(default)]
    pub(crate) by: String,
}

/// By all turns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spent {
    pub(crate) nano_dollars: i64,
    pub(crate) tokens: i64,
    pub(crate) calls: u32,
}

/// What the turns before have left.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct SoFar {
    /// None in the first turn.
    pub(crate) accepted_at: Option<Timestamp>,
    outputs: BTreeMap<String, Value>,
    decisions: BTreeMap<String, Decision>,
    pub(crate) spent: Spent,
}

/// What steps leave for the next turn, while this one is under way.
#[derive(Debug)]
pub(crate) struct Turn<'r> {
    before: &'r SoFar,
    /// Nobody asks for outputs of a chain that never waits.
    keeps: bool,
    left: Mutex<Left>,
}

#[derive(Debug, Default)]
struct Left {
    outputs: BTreeMap<String, Value>,
    approvals: Vec<Approval>,
}

impl Chain {
    /// What a run that was interrupted goes on with. `decisions` are by the name of the step that waits:
    /// `{approved, value, comment, by}`. Some may be left out; their steps wait on.
    ///
    /// # Errors
    /// What is wrong with the state or the decisions, without quoting either.
    pub fn resume(&self, state: &str, turn: i32, decisions: Value) -> Result<Accepted, String> {
        let state: State =
            json::read_as(state.as_bytes()).map_err(|mistake| format!("`state` is not that of a result: {mistake}"))?;
        if state.format != FORMAT {
            return Err(format!(
                "`state` has format {}, this version reads {FORMAT}",
                state.format
            ));
        }
        if state.chain != self.id {
            return Err(format!(
                "`state` is of chain {}, and the request names {}",
                state.chain, self.id
            ));
        }
        if Some(turn) != state.turn.checked_add(1) {
            return Err(format!(
                "a state of turn {} goes on as the turn after it, not as turn {turn}",
                state.turn
            ));
        }
        let decisions: BTreeMap<String, Decision> = serde_json::from_value(decisions).map_err(|error| {
            format!("the input of a resume is {{\"<step>\": {{\"approved\": true, \"comment\": …}}}}, and this is not: {error}")
        })?;
        let waiting: Vec<&str> = state.approvals.iter().map(|approval| approval.step.as_str()).collect();
        if let Some(step) = decisions.keys().find(|step| !waiting.contains(&step.as_str())) {
            return Err(format!(
                "no step `{step}` waits for a decision, but {}",
                waiting.join(", ")
            ));
        }
        if decisions.is_empty() {
            return Err(format!("nothing is decided: {} waits", waiting.join(", ")));
        }
        let accepted = self.accept(state.input, state.params)?;
        let so_far = SoFar {
            accepted_at: Some(state.accepted_at),
            outputs: state.outputs,
            decisions,
            spent: state.spent,
        };
        Ok(Accepted { so_far, ..accepted })
    }
}

impl State {
    pub(super) fn new(chain: &Chain, context: &Context, accepted: &Accepted, left: Turn<'_>, bill: &Bill) -> Self {
        let Turn { before, left, .. } = left;
        let Left { outputs, approvals } = left.into_inner().unwrap_or_else(PoisonError::into_inner);
        Self {
            format: FORMAT,
            chain: chain.id.clone(),
            turn: context.turn,
            accepted_at: context.accepted_at,
            key: None,
            input: accepted.input.clone(),
            params: accepted.params.clone(),
            outputs,
            spent: before.spent.and(bill),
            approvals,
        }
    }

    pub(crate) fn with_key(self, key: Option<String>) -> Self {
        Self { key, ..self }
    }
}

impl Spent {
    fn and(self, bill: &Bill) -> Self {
        let Money(cost) = bill.cost;
        let Usage {
            input_tokens,
            output_tokens,
            source: _,
        } = bill.usage;
        Self {
            nano_dollars: self.nano_dollars.saturating_add(cost),
            tokens: self.tokens.saturating_add(input_tokens).saturating_add(output_tokens),
            calls: self
                .calls
                .saturating_add(u32::try_from(bill.attempts.len()).unwrap_or(u32::MAX)),
        }
    }
}

impl<'r> Turn<'r> {
    pub(crate) fn of(chain: &Chain, before: &'r SoFar) -> Self {
        Self {
            before,
            keeps: chain.steps.interrupts(),
            left: Mutex::default(),
        }
    }

    /// What a step gave in an earlier turn.
    pub(crate) fn given(&self, step: &str) -> Option<Value> {
        let output = self.before.outputs.get(step)?.clone();
        self.keep(step, &output);
        Some(output)
    }

    pub(crate) fn keep(&self, step: &str, output: &Value) {
        if !self.keeps {
            return;
        }
        let mut left = self.left();
        // Nobody asks any more for what was inside of it.
        let below = left
            .outputs
            .range::<str, _>((Bound::Included(step), Bound::Unbounded))
            .map(|(name, _)| name);
        let below = below.take_while(|name| name.starts_with(step));
        let inside = |name: &&String| name[step.len()..].starts_with(['.', '[']);
        let inside: Vec<String> = below.filter(inside).cloned().collect();
        for name in inside {
            left.outputs.remove(&name);
        }
        left.outputs.insert(step.to_owned(), output.clone());
    }

    pub(crate) fn decision(&self, step: &str) -> Option<&Decision> {
        self.before.decisions.get(step)
    }

    pub(crate) fn wait_for(&self, approval: Approval) {
        self.left().approvals.push(approval);
    }

    fn left(&self) -> MutexGuard<'_, Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

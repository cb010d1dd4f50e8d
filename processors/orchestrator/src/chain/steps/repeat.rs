use std::collections::BTreeSet;

use serde_json::{Value, json};
use yaml::{Fields, Node, Problems};

use super::Check;
use crate::chain::{
    bill::Bill,
    block::Block,
    context::Surroundings,
    error::StepError,
    frame::Frame,
    templated::Templated,
    types::{Field, Type},
};

/// `loop: {max, until, steps}`: runs the steps until the condition is true after a round, at most `max` times. Its output is
/// `value`, the output of the last round, with `rounds` and `done`, which is false if `max` ended it.
///
/// The steps see `round`, from 1, and `previous`, the output of the round before: null in the first.
#[derive(Debug)]
pub(crate) struct Repeat {
    max: u32,
    until: Templated,
    steps: Block,
}

impl Repeat {
    pub(super) const KEYS: [&str; 3] = ["max", "until", "steps"];

    pub(super) fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let fields = Fields::of(node, "a loop step", &Self::KEYS, &[], problems)?;
        // A loop without a bound is a bill without one.
        let max = fields.require_scalar("max", "3", yaml::count::<u32>);
        let until = fields.require("until", "\"{{ steps.check.json.good }}\"");
        let steps = fields.require("steps", "[{id: draft, …}, {id: check, …}]");
        let steps = steps.map(|node| Block::read(node, "`steps` of a loop step", problems));
        // What is missing has been told; the steps can still be checked.
        Some(Self {
            max: max.map_or(0, |max| max.value),
            until: Templated::read(until?, problems),
            steps: steps?,
        })
    }

    pub(super) fn reads(&self, steps: &mut BTreeSet<String>) {
        self.steps.reads(steps);
        let mut until = BTreeSet::new();
        self.until.steps(&mut until);
        steps.extend(until.into_iter().filter(|id| !self.steps.has(id)));
    }

    pub(super) fn max(&self) -> u64 {
        u64::from(self.max)
    }

    pub(super) fn body(&self) -> &Block {
        &self.steps
    }

    pub(super) fn body_mut(&mut self) -> &mut Block {
        &mut self.steps
    }

    pub(super) fn check(&self, check: &mut Check<'_>) -> Type {
        let round = check.scope.with("round", Field::always(Type::Number));
        let previous = |of| round.with("previous", Field { of, optional: true });
        // What a round gives depends on what the round before gave: first without being told of mistakes.
        let unheard = Problems::of("");
        let (_, first) = self.steps.check(&mut Check {
            scope: &previous(Type::ANY),
            resources: check.resources,
            problems: &unheard,
        });
        let (inside, value) = self.steps.check(&mut check.within(&previous(first)));
        self.until.condition(&inside, check.problems);
        Type::object([("value", value), ("rounds", Type::Number), ("done", Type::Boolean)])
    }

    pub(super) async fn run<'c>(
        &'c self,
        step: &str,
        frame: &Frame<'c>,
        around: &Surroundings<'_>,
        bill: &mut Bill,
    ) -> Result<Value, StepError> {
        let mut value = Value::Null;
        for round in 1..=self.max {
            around.go_on()?;
            let frame = frame.with_names([("round", json!(round)), ("previous", value)]);
            let inside = around.inside(step, format_args!("[{round}]"));
            let done = self.steps.done(&frame, &inside, bill).await?;
            value = self.steps.output_in(&done);
            if self.until.is_true(done.scope())? {
                return Ok(json!({"value": value, "rounds": round, "done": true}));
            }
        }
        Ok(json!({"value": value, "rounds": self.max, "done": false}))
    }
}

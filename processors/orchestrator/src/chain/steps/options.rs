//! What any step can say besides what it is: when it runs, how often it is tried, and what happens if it fails.

use std::{collections::BTreeSet, time::Duration};

use models::{Limit, Retry, Worst};
use serde_json::Value;
use tokio::time::Instant;
use yaml::{Content, Fields, Node, Problems};

use super::{Check, at_once::told, classes::Classes, defaults::Defaults, kind::Kind};
use crate::chain::{
    bill::Bill,
    block::Block,
    context::Surroundings,
    error::StepError,
    frame::Frame,
    resources::Resources,
    templated::Templated,
    trail::Way,
    types::{Field, Type},
    typing::Scope,
};

pub(super) const KEYS: [&str; 7] = ["when", "else", "timeout", "retry", "fallback", "on_error", "budget"];

#[derive(Debug)]
pub(super) struct Options {
    /// The step is skipped where this is not true.
    when: Option<Templated>,
    /// The output of a step that was skipped: null if the file does not say.
    otherwise: Option<Templated>,
    /// Of all its attempts together.
    timeout: Option<Duration>,
    retry: Option<(Retry, Classes)>,
    fallback: Option<Fallback>,
    /// `on_error: skip`
    skip_errors: bool,
    /// Of all its attempts and its fallback together.
    budget: Limit,
}

/// Steps that run where this one failed; they see why as `error`.
#[derive(Debug)]
struct Fallback {
    /// Any error, if the file does not say.
    on: Option<Classes>,
    steps: Block,
}

impl Options {
    pub(super) fn read(fields: &Fields<'_>) -> Option<Self> {
        let problems = fields.problems;
        let templated = |key| fields.get(key).map(|node| Templated::read(node, problems));
        let timeout = fields.get("timeout").map(|_| fields.scalar("timeout", yaml::duration));
        let retry = fields
            .get("retry")
            .map(|node| retry(node, "`retry` of a step", problems));
        let fallback = fields.get("fallback").map(|node| Fallback::read(node, problems));
        let skip_errors = fields.get("on_error").map(|_| fields.scalar("on_error", skips));
        let budget = fields.get("budget").map(|node| {
            let budget = Fields::of(node, "`budget` of a step", &Limit::KEYS, &[], problems)?;
            Some(Limit::read(&budget))
        });
        let options = Self {
            when: templated("when"),
            otherwise: templated("else"),
            timeout: timeout.map_or(Some(None), |timeout| Some(Some(timeout?.value)))?,
            retry: retry.map_or(Some(None), |retry| Some(Some(retry?)))?,
            fallback: fallback.map_or(Some(None), |fallback| Some(Some(fallback?)))?,
            skip_errors: skip_errors.map_or(Some(false), |skips| Some(skips?.value))?,
            budget: budget.unwrap_or(Some(Limit::default()))?,
        };
        if let Some(otherwise) = &options.otherwise
            && !options.may_skip()
        {
            let help = "add `when` or `on_error: skip`, or remove `else`";
            problems.add(
                otherwise.position,
                "the step is never skipped, and `else` is for then",
                help,
            );
        }
        Some(options)
    }

    /// Takes over what it does not say itself.
    pub(super) fn default_to(&mut self, defaults: &Defaults) {
        self.timeout = self.timeout.or(defaults.timeout);
        if self.retry.is_none() {
            self.retry.clone_from(&defaults.retry);
        }
    }

    fn may_skip(&self) -> bool {
        self.when.is_some() || self.skip_errors
    }

    pub(super) fn reads(&self, steps: &mut BTreeSet<String>) {
        for templated in [&self.when, &self.otherwise].into_iter().flatten() {
            templated.steps(steps);
        }
        if let Some(fallback) = &self.fallback {
            fallback.steps.reads(steps);
        }
    }

    pub(super) fn fallback(&self) -> Option<&Block> {
        self.fallback.as_ref().map(|fallback| &fallback.steps)
    }

    pub(super) fn fallback_mut(&mut self) -> Option<&mut Block> {
        self.fallback.as_mut().map(|fallback| &mut fallback.steps)
    }

    /// Of all its attempts and its fallback; `attempt` says what one costs, and whether it is tried again here.
    pub(super) fn worst(&self, attempt: impl FnOnce(bool) -> Worst, resources: &Resources) -> Worst {
        let attempts = match &self.retry {
            Some((retry, _)) => retry.worst(attempt(true)),
            None => attempt(false),
        };
        let fallback = self.fallback().map_or(Worst::NOTHING, |steps| steps.worst(resources));
        (attempts.until(self.timeout) + fallback).within(self.budget)
    }

    /// What its kind and its fallback see: they run where `when` is true.
    pub(super) fn scope(&self, around: &Scope) -> Scope {
        self.when
            .as_ref()
            .map_or_else(|| around.clone(), |when| around.where_true(when))
    }

    /// `of`: the type of what the step gives where it runs.
    pub(super) fn check(&self, of: Type, check: &mut Check<'_>) -> Field {
        if let Some(when) = &self.when {
            when.condition(check.scope, check.problems);
        }
        let of = match &self.fallback {
            Some(fallback) => {
                let error = Type::object([("class", Type::TEXT), ("message", Type::Text { untrusted: true })]);
                let scope = self.scope(check.scope).with("error", Field::always(error));
                let (_, instead) = fallback.steps.check(&mut check.within(&scope));
                of.or(&instead)
            }
            None => of,
        };
        match &self.otherwise {
            Some(otherwise) => Field::always(of.or(&otherwise.infer(check.scope, None, check.problems))),
            None => Field {
                of,
                optional: self.may_skip(),
            },
        }
    }

    pub(super) async fn run<'c>(
        &'c self,
        kind: &'c Kind,
        name: &str,
        frame: &Frame<'c>,
        around: &Surroundings<'_>,
        attempts: &mut u32,
        bill: &mut Bill,
    ) -> Result<(Way, Value), StepError> {
        around.go_on()?;
        if let Some(when) = &self.when
            && !when.is_true(frame.scope())?
        {
            return Ok((Way::Skipped, self.skipped(frame)?));
        }
        if let Some(rendering) = around.rendering() {
            kind.render(name, frame, around, rendering)?;
        }
        let limited = &around.of_step(self.budget, self.timeout, self.retry.is_some());
        let result = match limited.mock(name) {
            Some(mocked) => mocked,
            None => match (
                self.attempts(kind, name, frame, limited, attempts, bill).await,
                self.timeout,
            ) {
                (Err(error), Some(after)) if error.class() == "deadline_exceeded" && around.go_on().is_ok() => {
                    Err(StepError::Timeout { after })
                }
                (result, _) => result,
            },
        };
        let error = match result {
            Ok(output) => return Ok((Way::Ran, output)),
            Err(error) => error,
        };
        // Whatever is left to do, there is no time for it, or nothing went wrong.
        if around.go_on().is_err() || error.is_interruption() {
            return Err(error);
        }
        let result = match &self.fallback {
            Some(Fallback { on, steps }) if on.as_ref().is_none_or(|on| on.hold(&error)) => {
                let frame = frame.with_names([("error", told(&error))]);
                let around = limited.inside(name, ".fallback").due(around.deadline);
                let output = steps.output(&frame, &around, bill).await;
                output.map(|output| (Way::FellBack, output))
            }
            Some(_) | None => Err(error),
        };
        match result {
            Err(error) if self.skip_errors && around.go_on().is_ok() && !error.is_interruption() => {
                Ok((Way::ErrorSkipped, self.skipped(frame)?))
            }
            result => result,
        }
    }

    fn skipped(&self, frame: &Frame<'_>) -> Result<Value, StepError> {
        match &self.otherwise {
            Some(otherwise) => Ok(otherwise.value(frame.scope())?),
            None => Ok(Value::Null),
        }
    }

    async fn attempts<'c>(
        &'c self,
        kind: &'c Kind,
        name: &str,
        frame: &Frame<'c>,
        around: &Surroundings<'_>,
        attempts: &mut u32,
        bill: &mut Bill,
    ) -> Result<Value, StepError> {
        *attempts = 1;
        loop {
            let error = match kind.run(name, frame, around, bill).await {
                Err(error) => error,
                done => return done,
            };
            let Some((retry, _)) = self.retry.as_ref().filter(|(_, on)| on.hold(&error)) else {
                return Err(error);
            };
            // Whoever asks for a wait may ask for one that no clock can count.
            let wait = retry.wait(*attempts, error.retry_after());
            let left = around.deadline.saturating_duration_since(Instant::now());
            if *attempts >= retry.max_attempts || wait >= left {
                return Err(error);
            }
            around.in_time(tokio::time::sleep(wait)).await?;
            *attempts += 1;
        }
    }
}

impl Fallback {
    fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let known = [Classes::KEY, "steps"];
        let steps = match &node.content {
            Content::List(_) => Some((None, node)),
            _ => {
                let fields = Fields::of(node, "`fallback`", &known, &[], problems)?;
                let steps = fields.require("steps", "[{id: plain, transform: {text: \"…\"}}]");
                steps.map(|steps| (Classes::read(&fields), steps))
            }
        };
        let (on, steps) = steps?;
        Some(Self {
            on,
            steps: Block::read(steps, "`fallback`", problems),
        })
    }
}

pub(super) fn retry(node: &Node, what: &str, problems: &Problems) -> Option<(Retry, Classes)> {
    let known: Vec<&str> = Retry::KEYS.into_iter().chain([Classes::KEY]).collect();
    let fields = Fields::of(node, what, &known, &[], problems)?;
    Some((Retry::read(&fields), Classes::read(&fields).unwrap_or_default()))
}

/// `fail` or `skip`.
fn skips(written: &str) -> Result<bool, String> {
    match written {
        "fail" => Ok(false),
        "skip" => Ok(true),
        other => Err(format!(
            "must be `fail`, or `skip` to go on without its output, not `{other}`"
        )),
    }
}

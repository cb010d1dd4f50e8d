//! Runs a chain: every step as soon as the steps it reads are done.
//!
//! Here is no clock, no environment and no randomness: the [`Context`] brings them, so that a run can be replayed. The
//! first step that fails ends the run; the others are told to stop and waited for, because a paid call must be settled
//! before its run is over.

use std::collections::BTreeMap;

use futures::{StreamExt, stream::FuturesUnordered};
use minijinja::Value as Scoped;
use serde_json::Value;

use super::{
    Accepted, Chain,
    bill::Bill,
    context::{Context, Surroundings},
    error::StepError,
    idle::Idle,
    outcome::{Ending, Failure, Outcome},
    resources::Services,
};

impl Chain {
    /// Runs to the output, or to what went wrong.
    pub async fn run(&self, accepted: &Accepted, context: &Context, services: &Services) -> Outcome {
        let around = Surroundings {
            context,
            services,
            chain: &self.id,
            stop: context.cancelled.child_token(),
            idle: Idle::new(context.limit_wait.clone()),
        };
        let mut progress = Progress::new(self, accepted);
        let mut bill = Bill::default();
        let mut failure = None;
        let mut running = FuturesUnordered::new();
        loop {
            if failure.is_none() {
                let scope = progress.scope();
                running.extend(
                    progress
                        .startable()
                        .into_iter()
                        .map(|step| self.step(step, scope.clone(), &around)),
                );
            }
            let Some((step, result, spent)) = running.next().await else {
                break;
            };
            bill.merge(spent);
            match result {
                Ok(output) => progress.done(step, &output),
                Err(error) if failure.is_none() => {
                    around.stop.cancel();
                    failure = Some(Failure {
                        class: error.class().to_owned(),
                        message: error.message(),
                        step: Some(self.steps[step].id.clone()),
                    });
                }
                // It stopped because it was told to.
                Err(_) => {}
            }
        }
        let ending = match failure {
            None => self.output(&progress.scope()),
            Some(failure) if context.cancelled.is_cancelled() => Ending::Cancelled(failure),
            Some(failure) => Ending::Failed(failure),
        };
        Outcome { ending, bill }
    }

    async fn step(
        &self,
        step: usize,
        scope: Scoped,
        around: &Surroundings<'_>,
    ) -> (usize, Result<Value, StepError>, Bill) {
        let _under_way = around.idle.step();
        let mut bill = Bill::default();
        let result = self.steps[step].run(&scope, around, &mut bill).await;
        (step, result, bill)
    }

    fn output(&self, scope: &Scoped) -> Ending {
        let failed = |class: &str, message: String| {
            Ending::Failed(Failure {
                class: class.to_owned(),
                message,
                step: None,
            })
        };
        let output = match self.output.value.value(scope) {
            Ok(output) => output,
            Err(error) => return failed("template", error.to_string()),
        };
        match self
            .output
            .schema
            .as_ref()
            .map_or(Ok(()), |schema| schema.check(&output))
        {
            Ok(()) => Ending::Completed(output),
            Err(mistake) => failed(
                "invalid_output",
                format!("the output is not what `output.schema` says: {mistake}"),
            ),
        }
    }
}

/// What is known of a run so far.
struct Progress<'c> {
    chain: &'c Chain,
    input: Scoped,
    params: Scoped,
    outputs: BTreeMap<&'c str, Scoped>,
    started: Vec<bool>,
}

impl<'c> Progress<'c> {
    fn new(chain: &'c Chain, accepted: &Accepted) -> Self {
        Self {
            chain,
            input: Scoped::from_serialize(&accepted.input),
            params: Scoped::from_serialize(&accepted.params),
            outputs: BTreeMap::new(),
            started: vec![false; chain.steps.len()],
        }
    }

    /// What templates see. Values are shared, not copied.
    fn scope(&self) -> Scoped {
        let steps: Scoped = self.outputs.iter().map(|(id, output)| (*id, output.clone())).collect();
        minijinja::context! { input => self.input, params => self.params, steps }
    }

    /// The steps that have everything they read, each once.
    fn startable(&mut self) -> Vec<usize> {
        let chain = self.chain;
        let is_done = |step: &usize| self.outputs.contains_key(chain.steps[*step].id.as_str());
        let startable: Vec<usize> = (0..chain.steps.len())
            .filter(|step| !self.started[*step] && chain.waits_for[*step].iter().all(is_done))
            .collect();
        for step in &startable {
            self.started[*step] = true;
        }
        startable
    }

    fn done(&mut self, step: usize, output: &Value) {
        self.outputs
            .insert(&self.chain.steps[step].id, Scoped::from_serialize(output));
    }
}

//! Runs a chain.
//!
//! What steps give depends on the input, the params and what is called, and on nothing else: templates see no clock, no
//! environment and no randomness. Only deadlines and the pauses before another attempt look at the clock.

use minijinja::Value as Scoped;
use models::Budget;
use schemas::Money;
use serde_json::Value;

use super::{
    Accepted, Chain,
    bill::Bill,
    context::{Context, Surroundings, World},
    error::StepError,
    frame::Frame,
    outcome::{Ending, Failure, Outcome},
    resources::Services,
    trail::Recorder,
    turn::{Spent, State, Turn},
};

impl Chain {
    /// Runs to the output, or to what went wrong.
    pub async fn run(&self, accepted: &Accepted, context: &Context, services: &Services) -> Outcome {
        self.run_in(World::Real(services), accepted, context).await
    }

    pub(crate) async fn run_in(&self, world: World<'_>, accepted: &Accepted, context: &Context) -> Outcome {
        let Spent {
            nano_dollars,
            tokens,
            calls,
        } = accepted.so_far.spent;
        let budget = Budget::after(Money(nano_dollars), tokens, calls, self.limit);
        let turn = Turn::of(self, &accepted.so_far);
        let trail = Recorder::new();
        let around = Surroundings::new(context, world, &self.id, &turn, &trail, budget).redacting(&self.leaving);
        let mut bill = Bill::default();
        let ending = match self.steps.run(&Frame::new(accepted), &around, &mut bill).await {
            Ok(done) => match self.output_in(done.scope()) {
                Ok(output) => Ending::Completed(output),
                Err(error) => Ending::Failed(Failure {
                    class: error.class().to_owned(),
                    message: error.message(),
                    step: None,
                }),
            },
            Err(waits) if waits.error.is_interruption() => {
                Ending::Interrupted(Box::new(State::new(self, context, accepted, turn, &bill)))
            }
            Err(failed) => {
                let failure = Failure {
                    class: failed.error.class().to_owned(),
                    message: failed.error.message(),
                    step: Some(failed.step),
                };
                if context.cancelled.is_cancelled() {
                    Ending::Cancelled(failure)
                } else {
                    Ending::Failed(failure)
                }
            }
        };
        Outcome {
            ending,
            bill,
            trail: trail.into_trail(),
        }
    }

    /// What it gives where its steps are done.
    pub(crate) fn output_in(&self, scope: &Scoped) -> Result<Value, StepError> {
        let output = self.output.value.value(scope)?;
        match self.output.schema.as_ref().map(|schema| schema.check(&output)) {
            None | Some(Ok(())) => Ok(output),
            Some(Err(message)) => Err(StepError::Output { message }),
        }
    }
}

//! For whom and until when a run goes on. Everything that it must not find out for itself comes in here.

use std::{fmt::Display, time::Duration};

use models::{Budget, CallContext, Limit, LimitWait};
use schemas::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    error::StepError, idle::Idle, leaving::Leaving, mocks::Mocks, render::Rendering, resources::Services,
    trail::Recorder, turn::Turn,
};

#[derive(Debug, Clone)]
pub struct Context {
    pub request_id: String,
    pub tenant: String,
    /// `topic/partition/offset` of the request; empty outside Kafka.
    pub src: String,
    pub accepted_at: Timestamp,
    pub turn: i32,
    /// W3C trace id, 32 hex digits.
    pub trace_id: Option<String>,
    pub deadline: Instant,
    /// The outcome will be thrown away: settle what was paid for and come back.
    pub cancelled: CancellationToken,
    /// Held while all that is under way in the run waits for limits of providers.
    pub limit_wait: LimitWait,
}

/// What is around a step of one run.
#[derive(Clone)]
pub(crate) struct Surroundings<'r> {
    context: &'r Context,
    world: World<'r>,
    /// `name@version#sha256`
    chain: &'r str,
    /// What was done before, and what is left for later.
    pub(crate) turn: &'r Turn<'r>,
    /// What steps did, for the audit.
    pub(crate) trail: &'r Recorder,
    /// The steps that this place is in, as records name them: `compare.a.`, `chunks[3].`.
    path: String,
    /// That of the run, or an earlier one that a `timeout` around this place has set.
    pub(crate) deadline: Instant,
    /// Ends when the run does, or a block around this place, also because another step failed.
    pub(crate) stop: CancellationToken,
    pub(crate) idle: Idle,
    /// Of the run, or of the steps around this place that have one.
    budget: Budget,
    /// The step tries what fails again by itself: its caller need not.
    retried: bool,
    leaving: Leaving,
}

/// What steps reach outside of the run.
#[derive(Clone, Copy)]
pub(crate) enum World<'r> {
    Real(&'r Services),
    /// In the tests of a chain file: what steps give is written there.
    Mocked(&'r Mocks),
    /// Where people look at what would be sent, with mocks for what steps give.
    Rendered(&'r Mocks, &'r Rendering<'r>),
}

impl<'r> Surroundings<'r> {
    pub(crate) fn new(
        context: &'r Context,
        world: World<'r>,
        chain: &'r str,
        turn: &'r Turn<'r>,
        trail: &'r Recorder,
        budget: Budget,
    ) -> Self {
        Self {
            context,
            world,
            chain,
            turn,
            trail,
            path: String::new(),
            deadline: context.deadline,
            stop: context.cancelled.clone(),
            idle: Idle::new(context.limit_wait.clone()),
            budget,
            retried: false,
            leaving: Leaving::default(),
        }
    }

    /// Of a block whose end does not end what is around it.
    pub(crate) fn stopped_apart(&self) -> Self {
        Self {
            stop: self.stop.child_token(),
            ..self.clone()
        }
    }

    /// Inside of a part of a step: `branch` is `.a` or `[3]`.
    pub(crate) fn inside(&self, step: &str, branch: impl Display) -> Self {
        Self {
            path: format!("{step}{branch}."),
            retried: false,
            ..self.clone()
        }
    }

    /// Of one step: what it may spend and how long it may take, and whether it tries what fails again by itself.
    pub(crate) fn of_step(&self, limit: Limit, timeout: Option<Duration>, retried: bool) -> Self {
        let sooner = timeout.and_then(|after| Instant::now().checked_add(after));
        Self {
            budget: self.budget.part(limit),
            deadline: sooner.map_or(self.deadline, |sooner| sooner.min(self.deadline)),
            retried,
            ..self.clone()
        }
    }

    pub(crate) fn due(self, deadline: Instant) -> Self {
        Self { deadline, ..self }
    }

    /// Inside of a chain that says what of its texts may leave.
    pub(crate) fn redacting(self, leaving: &Leaving) -> Self {
        Self {
            leaving: self.leaving.and(leaving),
            ..self
        }
    }

    /// What of the texts here may leave.
    pub(crate) fn leaving(&self) -> &Leaving {
        &self.leaving
    }

    /// How records name a step of this place.
    pub(crate) fn name(&self, id: &str) -> String {
        format!("{}{id}", self.path)
    }

    pub(crate) fn tenant(&self) -> &str {
        &self.context.tenant
    }

    /// What the tests of a chain file say about a step.
    pub(crate) fn mock(&self, step: &str) -> Option<Result<Value, StepError>> {
        match self.world {
            World::Real(_) => None,
            World::Mocked(mocks) | World::Rendered(mocks, _) => mocks.find(step),
        }
    }

    /// Where what would be sent is looked at.
    pub(crate) fn rendering(&self) -> Option<&'r Rendering<'r>> {
        match self.world {
            World::Real(_) | World::Mocked(_) => None,
            World::Rendered(_, rendering) => Some(rendering),
        }
    }

    /// # Errors
    /// This is a test, and it says nothing of what `step` calls.
    pub(crate) fn services(&self, step: &str) -> Result<&'r Services, StepError> {
        match self.world {
            World::Real(services) => Ok(services),
            World::Mocked(_) | World::Rendered(..) => Err(StepError::NotMocked { step: step.to_owned() }),
        }
    }

    pub(crate) fn call(&self, step: &str) -> CallContext {
        let Context {
            request_id,
            tenant,
            src,
            accepted_at,
            turn,
            trace_id,
            deadline: _,
            cancelled: _,
            limit_wait: _,
        } = self.context;
        CallContext {
            request_id: request_id.clone(),
            tenant: tenant.clone(),
            src: src.clone(),
            accepted_at: *accepted_at,
            turn: *turn,
            chain: Some(self.chain.to_owned()),
            step: step.to_owned(),
            trace_id: trace_id.clone(),
            deadline: self.deadline,
            cancelled: self.stop.clone(),
            timeout: None,
            max_attempts: self.retried.then_some(1),
            budget: self.budget.clone(),
            limit_wait: self.idle.of_step(),
        }
    }

    /// The same for a step of a run however often it is made: 32 hex digits.
    pub(crate) fn idempotency_key(&self, step: &str) -> String {
        let Context {
            request_id,
            tenant,
            turn,
            ..
        } = self.context;
        let digest = Sha256::digest(json!([tenant, request_id, turn, step]).to_string());
        digest[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether there is time for another step.
    ///
    /// # Errors
    /// The deadline passed, or the run is not wanted any more.
    pub(crate) fn go_on(&self) -> Result<(), StepError> {
        if self.stop.is_cancelled() {
            Err(StepError::Cancelled)
        } else if Instant::now() >= self.deadline {
            Err(StepError::DeadlineExceeded)
        } else {
            Ok(())
        }
    }

    /// Anything that takes time, as long as there is time for it.
    ///
    /// # Errors
    /// See [`Self::go_on`].
    pub(crate) async fn in_time<T>(&self, work: impl Future<Output = T>) -> Result<T, StepError> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(StepError::Cancelled),
            ended = tokio::time::timeout_at(self.deadline, work) => ended.map_err(|_elapsed| StepError::DeadlineExceeded),
        }
    }
}

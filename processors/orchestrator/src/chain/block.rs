//! Steps that belong together: those of a chain, of a branch, of the body of a loop.
//!
//! The output of a block is that of the last step in the file. Inside, the order comes from references, as in the chain as
//! a whole: each step runs as soon as the steps it reads are done. It may read what stands before the step around it, and
//! nobody outside sees what is in here but the output.

use std::{collections::BTreeSet, panic::AssertUnwindSafe, time::Duration};

use futures::{FutureExt, StreamExt, stream::FuturesUnordered};
use models::Worst;
use serde_json::Value;
use yaml::{Content, Node, Position, Problems};

use super::{
    bill::Bill,
    context::Surroundings,
    error::{Failed, StepError},
    frame::Frame,
    graph,
    resources::Resources,
    steps::{Check, Defaults, Step},
    types::{Field, Type},
    typing::Scope,
};

#[derive(Debug)]
pub(crate) struct Block {
    /// In the order of the file, as far as they can be read.
    steps: Vec<Step>,
    /// For each step the places of the steps that it reads.
    waits_for: Vec<Vec<usize>>,
    /// The ids in the file, also of steps that cannot be read.
    ids: Vec<(String, Position)>,
    /// See [`Self::is_open`].
    open: bool,
}

impl Block {
    /// `what` names it in messages: "`steps`", "case `refund`".
    pub(crate) fn read(node: &Node, what: &str, problems: &Problems) -> Self {
        let Content::List(items) = &node.content else {
            let help = "for example [{id: answer, chat: {…}}]";
            let message = format!("{what} must be a list of steps, and this is {}", node.kind());
            problems.add(node.position, message, help);
            return Self::unread();
        };
        if items.is_empty() {
            let help = "one that does nothing is [{id: nothing, transform: null}]";
            problems.add(node.position, format!("{what} has no steps"), help);
        }
        let id = |item: &Node| match &item.get("id")?.content {
            Content::Text(text) => Some((text.value.clone(), item.position)),
            Content::Scalar(_) | Content::List(_) | Content::Map(_) => None,
        };
        let ids: Vec<(String, Position)> = items.iter().filter_map(id).collect();
        let steps: Vec<Step> = items.iter().filter_map(|item| Step::read(item, problems)).collect();
        Self {
            open: ids.len() < items.len() || items.is_empty(),
            waits_for: graph::order(&steps, problems),
            ids,
            steps,
        }
    }

    /// Stands for steps that are missing: what else there is can still be checked.
    pub(crate) fn unread() -> Self {
        Self {
            steps: Vec::new(),
            waits_for: Vec::new(),
            ids: Vec::new(),
            open: true,
        }
    }

    /// Its steps take over what they do not say themselves.
    pub(crate) fn default_to(&mut self, defaults: &Defaults) {
        self.steps.iter_mut().for_each(|step| step.default_to(defaults));
    }

    /// Adds the ids of the steps around it that it reads.
    pub(crate) fn reads(&self, steps: &mut BTreeSet<String>) {
        let inner = self.steps.iter().flat_map(Step::reads);
        steps.extend(inner.filter(|id| !self.has(id)));
    }

    /// Adds the chains that its steps run, by `name@version`.
    pub(crate) fn chains(&self, chains: &mut BTreeSet<String>) {
        self.steps.iter().for_each(|step| step.chains(chains));
    }

    /// Whether one of its steps may wait for a person.
    pub(crate) fn interrupts(&self) -> bool {
        self.steps.iter().any(Step::interrupts)
    }

    /// The most that it can cost, where every step runs, and take: the longest way from the first step to the last.
    pub(crate) fn worst(&self, resources: &Resources) -> Worst {
        let each: Vec<Worst> = self.steps.iter().map(|step| step.worst(resources)).collect();
        let all = each.iter().copied().fold(Worst::NOTHING, Worst::beside);
        let Some(own): Option<Vec<Duration>> = each.iter().map(|step| step.time).collect() else {
            return all;
        };
        let mut ends = own.clone();
        // Steps may stand in the file before those that they read: each round settles one more of a way at least, and where
        // they stand in their order, the first settles all.
        for _ in 0..own.len() {
            let before = ends.clone();
            for (step, reads) in self.waits_for.iter().enumerate() {
                let start = reads.iter().map(|read| ends[*read]).max().unwrap_or_default();
                ends[step] = start.saturating_add(own[step]);
            }
            if ends == before {
                break;
            }
        }
        Worst {
            time: ends.into_iter().max().or(all.time),
            ..all
        }
    }

    /// Whether one of its own steps is called that.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.ids.iter().any(|(own, _)| own == id)
    }

    /// Those in the file, also of steps that cannot be read.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.ids.iter().map(|(id, _)| id.as_str())
    }

    /// There are steps without an id that can be read.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// None if it cannot be read.
    pub(crate) fn step(&self, id: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.id == id)
    }

    pub(crate) fn steps(&self) -> impl Iterator<Item = (&Step, impl Iterator<Item = &Step>)> {
        let steps = &self.steps;
        let reads = self
            .waits_for
            .iter()
            .map(|reads| reads.iter().map(|read| &steps[*read]));
        steps.iter().zip(reads)
    }

    /// Checks every step; the scope in which all of them are done, and the type of the output.
    pub(crate) fn check(&self, check: &mut Check<'_>) -> (Scope, Type) {
        let mut scope = check.scope.clone();
        scope.open |= self.open;
        for (id, position) in &self.ids {
            if check.scope.steps.contains_key(id) {
                let message = format!("there is a step `{id}` around this one");
                check
                    .problems
                    .add(*position, message, "rename one: templates find steps by their id");
            }
            scope.steps.insert(id.clone(), Field::always(Type::ANY));
        }
        for at in graph::sorted(&self.waits_for) {
            let step = &self.steps[at];
            let of = step.check(&mut Check {
                scope: &scope,
                resources: check.resources,
                problems: check.problems,
            });
            scope.steps.insert(step.id.clone(), of);
        }
        let last = self.steps.last().and_then(|step| scope.steps.get(&step.id));
        let of = last.map_or(Type::ANY, Field::or_null);
        (scope, of)
    }

    /// Runs every step, and gives the frame in which all of them are done.
    ///
    /// # Errors
    /// The first failure. The other steps are told to stop and waited for: a paid call must be settled before its run is
    /// over. A step that waits for a person stops no other: it is told when nothing else is left to do.
    pub(crate) async fn run<'c>(
        &'c self,
        frame: &Frame<'c>,
        around: &Surroundings<'_>,
        bill: &mut Bill,
    ) -> Result<Frame<'c>, Failed> {
        let around = &around.stopped_apart();
        let mut frame = frame.clone();
        let mut started = vec![false; self.steps.len()];
        let (mut failure, mut interruption) = (None, None);
        let mut running = FuturesUnordered::new();
        loop {
            if failure.is_none() {
                let ready = self.ready(&frame, &mut started);
                running.extend(ready.into_iter().map(|step| run_step(step, frame.clone(), around)));
            }
            let Some((step, result, spent)) = running.next().await else {
                break;
            };
            bill.merge(spent);
            match result {
                Ok(output) => frame = frame.with_output(&step.id, &output),
                Err(waits) if waits.error.is_interruption() => interruption = Some(waits),
                Err(error) if failure.is_none() => {
                    around.stop.cancel();
                    failure = Some(error);
                }
                // It stopped because it was told to.
                Err(_) => {}
            }
        }
        failure.or(interruption).map_or(Ok(frame), Err)
    }

    /// [`Self::run`] for a block in a step.
    pub(crate) async fn done<'c>(
        &'c self,
        frame: &Frame<'c>,
        around: &Surroundings<'_>,
        bill: &mut Bill,
    ) -> Result<Frame<'c>, StepError> {
        // Blocks are in steps and steps in blocks: one of the futures must be of a known size.
        let run = Box::pin(self.run(frame, around, bill));
        run.await.map_err(|failed| StepError::Inside(Box::new(failed)))
    }

    /// Runs it to its output.
    pub(crate) async fn output<'c>(
        &'c self,
        frame: &Frame<'c>,
        around: &Surroundings<'_>,
        bill: &mut Bill,
    ) -> Result<Value, StepError> {
        let done = self.done(frame, around, bill).await?;
        Ok(self.output_in(&done))
    }

    /// Its output, where its steps are done.
    pub(crate) fn output_in(&self, frame: &Frame<'_>) -> Value {
        let last = self.steps.last().and_then(|step| frame.output(&step.id));
        // It came from JSON.
        last.map_or(Value::Null, |output| {
            serde_json::to_value(output).unwrap_or(Value::Null)
        })
    }

    /// The steps that have everything they read, each once.
    fn ready(&self, frame: &Frame<'_>, started: &mut [bool]) -> Vec<&Step> {
        let is_done = |step: &usize| frame.is_done(&self.steps[*step].id);
        let ready: Vec<usize> = (0..self.steps.len())
            .filter(|step| !started[*step] && self.waits_for[*step].iter().all(is_done))
            .collect();
        ready
            .into_iter()
            .map(|step| {
                started[step] = true;
                &self.steps[step]
            })
            .collect()
    }
}

async fn run_step<'c>(
    step: &'c Step,
    frame: Frame<'c>,
    around: &Surroundings<'_>,
) -> (&'c Step, Result<Value, Failed>, Bill) {
    let mut bill = Bill::default();
    // The bill is outside, so that a panic leaves what the step, and those before it, have paid.
    let ran = AssertUnwindSafe(step.run(&frame, around, &mut bill))
        .catch_unwind()
        .await;
    let result = ran.unwrap_or_else(|_panic| Err(Failed::of(&around.name(&step.id), StepError::Panicked)));
    (step, result, bill)
}

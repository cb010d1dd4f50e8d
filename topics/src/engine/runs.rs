//! Runs the node's functions on tokio and takes their outputs into the ledger.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::FutureExt;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use super::{
    Node, Prepared, Rejection, Run,
    core::{Assignment, Culprit},
    gap::ShortestRun,
    monitor::Monitor,
};
use crate::{History, Output, Record, history::Event};

/// How often a record is prepared again while something it needs is down.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);

pub(super) struct Runs<N> {
    pub(super) monitor: Arc<Monitor>,
    pub(super) node: Arc<N>,
    pub(super) history: History,
    pub(super) writer: String,
    /// Runs, and what nodes do about discarded results.
    pub(super) tasks: TaskTracker,
    pub(super) shortest: ShortestRun,
    runtime: Handle,
}

enum Finished {
    Outputs(Vec<Output>),
    Rejected(Rejection),
}

impl<N: Node> Runs<N> {
    pub(super) fn new(monitor: Arc<Monitor>, node: Arc<N>, history: History, writer: String) -> Self {
        Self {
            monitor,
            node,
            history,
            writer,
            tasks: TaskTracker::new(),
            shortest: ShortestRun::default(),
            runtime: Handle::current(),
        }
    }

    /// Lets the node settle what nobody will commit.
    pub(super) fn discard(self: &Arc<Self>) {
        let discarded = self.monitor.member().take_discarded();
        if discarded.is_empty() {
            return;
        }
        tracing::info!(
            results = discarded.len(),
            "results are thrown away: their partitions left before the commit, or a topic refused them"
        );
        let runs = Arc::clone(self);
        let settle = async move {
            for outputs in discarded {
                let _panicked = AssertUnwindSafe(runs.node.discarded(outputs)).catch_unwind().await;
            }
        };
        self.tasks.spawn_on(settle, &self.runtime);
    }

    /// Starts whatever has a slot.
    pub(super) fn dispatch(self: &Arc<Self>) {
        let mut starts = Vec::new();
        {
            let mut member = self.monitor.member();
            while let Some(start) = member.next_run() {
                starts.push(start);
            }
        }
        for (assignment, record) in starts {
            let src = &mut String::new();
            self.history.note(|| {
                *src = record.src();
                Event::Dispatched {
                    src,
                    writer: &self.writer,
                }
            });
            self.tasks
                .spawn_on(Arc::clone(self).run(assignment, record), &self.runtime);
        }
    }

    /// Puts into the ledger what the node wants to have committed instead of a result that cannot be written.
    pub(super) fn replace(&self, culprit: Culprit) {
        tracing::warn!(
            src = culprit.record.src(),
            class = culprit.rejection.class,
            "a result cannot be written, a rejection takes its place: {}",
            culprit.rejection.message
        );
        match self.rejected(&culprit.record, &culprit.rejection, &culprit.spared) {
            Some(outputs) => {
                self.monitor.member().replace(culprit, outputs.into());
            }
            None => self.stop(&culprit.assignment, &culprit.record, &culprit.rejection),
        }
    }

    /// `None` if the node panicked: on whichever thread that was, it must neither end nor hold anything for ever.
    fn rejected(&self, record: &Record, rejection: &Rejection, spared: &[Output]) -> Option<Vec<Output>> {
        let rejected = AssertUnwindSafe(|| self.node.rejected(record, rejection, spared));
        std::panic::catch_unwind(rejected).ok()
    }

    fn stop(&self, assignment: &Assignment, record: &Record, rejection: &Rejection) {
        let message = format!(
            "{} has no result: what should stand in its place after `{}` panicked",
            record.src(),
            rejection.class
        );
        tracing::error!(partition = %assignment.partition, "{message}: the partition stops");
        let cancelled = self.monitor.member().stop_assignment(assignment, message);
        self.monitor.cancel(cancelled.into_iter().collect());
    }

    async fn run(self: Arc<Self>, assignment: Assignment, record: Arc<Record>) {
        let started = Instant::now();
        // A panic must neither keep its slot nor its lane for ever: it is a failed run like any other.
        let finished = AssertUnwindSafe(self.finish(&assignment, &record)).catch_unwind().await;
        let finished = finished.unwrap_or_else(|_| {
            tracing::error!(src = record.src(), "the run panicked");
            Finished::Rejected(Rejection {
                class: "internal".to_owned(),
                message: "the run panicked".to_owned(),
            })
        });
        let (outputs, rejected) = match finished {
            Finished::Outputs(outputs) => (outputs, false),
            Finished::Rejected(rejection) => {
                let outputs = self.rejected(&record, &rejection, &[]);
                if outputs.is_none() {
                    self.stop(&assignment, &record, &rejection);
                }
                (outputs.unwrap_or_default(), true)
            }
        };
        self.shortest.note(started.elapsed());
        self.monitor
            .member()
            .finished(&assignment, record.offset, outputs.into(), rejected);
        self.dispatch();
        self.monitor.announce();
    }

    async fn finish(&self, assignment: &Assignment, record: &Arc<Record>) -> Finished {
        let cancelled = self.monitor.token(assignment);
        let run = Run::new(Arc::clone(record), cancelled.clone(), Some(Arc::clone(&self.monitor)));
        let prepared = tokio::select! {
            prepared = self.prepare(assignment, record) => prepared,
            () = cancelled.cancelled() => return Finished::Outputs(Vec::new()),
        };
        match prepared {
            Ok(ready) => Finished::Outputs(self.node.run(ready, run).await),
            Err(poison) => Finished::Rejected(poison),
        }
    }

    async fn prepare(&self, assignment: &Assignment, record: &Record) -> Result<N::Ready, Rejection> {
        if let Some(why) = record.headers.unreadable() {
            return Err(Rejection {
                class: "unreadable_headers".to_owned(),
                message: why.to_owned(),
            });
        }
        let mut stall = None;
        let mut retry = FIRST_RETRY;
        loop {
            match self.node.prepare(record).await {
                Prepared::Ready(ready) => return Ok(ready),
                Prepared::Poison(rejection) => return Err(rejection),
                Prepared::Wait { reason } => {
                    stall.get_or_insert_with(|| Stall::begin(&self.monitor, assignment, reason));
                    tokio::time::sleep(retry).await;
                    retry = (retry * 2).min(LAST_RETRY);
                }
            }
        }
    }
}

/// While it lives, the partition is not read: something that its records need is down.
struct Stall<'a> {
    monitor: &'a Monitor,
    assignment: &'a Assignment,
}

impl<'a> Stall<'a> {
    fn begin(monitor: &'a Monitor, assignment: &'a Assignment, reason: String) -> Self {
        monitor.member().stalled(assignment);
        let mut trouble = monitor.trouble();
        if trouble.stalled.as_ref() != Some(&reason) {
            tracing::warn!(partition = %assignment.partition, "reading stops until this is over: {reason}");
            trouble.stalled = Some(reason);
        }
        drop(trouble);
        Self { monitor, assignment }
    }
}

impl Drop for Stall<'_> {
    fn drop(&mut self) {
        self.monitor.member().unstalled(self.assignment);
        self.monitor.bell.ring();
    }
}

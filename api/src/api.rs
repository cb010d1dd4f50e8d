//! What the handlers share.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{Mutex, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use warp::reply::Response;

use crate::{
    ApiSettings,
    bridge::Bridge,
    call::Call,
    chains::{Chains, Published},
    cluster::Cluster,
    history::{Counts, History, Span},
    instances::Instances,
    problem::{Kind, Problem},
    query::Query,
    recorder::Recorder,
    records::Records,
    ring::RunKey,
    routes::segment,
    sse::{self, Out},
    waiters::Waiter,
};

/// `Retry-After`, in seconds, of a 503: too much is under way, or something is not ready yet.
const COME_BACK: u32 = 1;

/// Answers to `/stats` that are kept.
const COUNTED: usize = 16;
/// What was recorded since counts from then on.
const COUNTED_FOR: Duration = Duration::from_secs(1);

pub(crate) struct Api {
    pub settings: ApiSettings,
    pub bridge: Arc<Bridge>,
    pub chains: Arc<Chains>,
    pub history: History,
    pub recorder: Recorder,
    pub records: Records,
    pub cluster: Cluster,
    pub instances: Instances,
    /// The last answers to `/stats`; held while one is made, so that many who ask do not all ask Postgres.
    pub counted: Mutex<VecDeque<(Instant, Span, Arc<Counts>)>>,
    /// Whether the schema of requests is known.
    pub encodes: watch::Receiver<Result<(), String>>,
    /// Whether the tail of results is at its end.
    pub results: watch::Receiver<Result<(), String>>,
    /// Whether calls can be taken.
    pub ready: watch::Receiver<Result<(), String>>,
    /// Whether all published chains are known.
    pub chains_known: watch::Receiver<Result<(), String>>,
    /// Whether the reports of all instances are known.
    pub instances_known: watch::Receiver<Result<(), String>>,
    /// One for each stream of events that may be open.
    pub streams: Arc<Semaphore>,
    /// Cancelled at the signal to stop.
    pub stopping: CancellationToken,
}

impl Api {
    /// Whether a call can go on the stream.
    ///
    /// # Errors
    /// 503 when this process is not ready, 404 without such a chain, 422 when its input schema says no.
    pub fn accepts(&self, call: &Call) -> Result<(), Problem> {
        self.is_ready()?;
        let mistakes = self.chain(&call.chain)?.mistakes(&call.input);
        if mistakes.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid(mistakes))
        }
    }

    /// # Errors
    /// 503 when this process is not ready to take calls.
    pub fn is_ready(&self) -> Result<(), Problem> {
        ok(&self.ready)
    }

    /// # Errors
    /// 503 as long as not all chains are known, 404 without such a chain.
    pub fn chain(&self, reference: &str) -> Result<Arc<Published>, Problem> {
        if let Some(chain) = self.chains.get(reference) {
            return Ok(chain);
        }
        ok(&self.chains_known)?;
        Err(Problem::new(
            Kind::UnknownChain,
            format!("no orchestrator has published {reference}; see /chains"),
        ))
    }

    /// # Errors
    /// 503 as long as not all chains are known.
    pub fn all_chains(&self) -> Result<Vec<Arc<Published>>, Problem> {
        ok(&self.chains_known)?;
        Ok(self.chains.all())
    }

    /// A run of this api's tenant under a new id, a UUIDv7: its time tells an id that Postgres cannot know yet from one
    /// that never was.
    pub fn new_run(&self) -> RunKey {
        RunKey {
            tenant: self.settings.tenant.clone(),
            request_id: Uuid::now_v7().to_string(),
        }
    }

    /// # Errors
    /// 503 when too many wait.
    pub fn wait_for(&self, run: &RunKey) -> Result<Waiter, Problem> {
        self.bridge
            .waiters
            .register(run.clone())
            .map_err(|full| Problem::new(Kind::Overloaded, full.to_string()).retry_after(COME_BACK))
    }

    /// What ended in a span of time. Who asks for the same within the second gets the same.
    ///
    /// # Errors
    /// 503 when Postgres cannot be read.
    pub async fn counts(&self, span: &Span) -> Result<Arc<Counts>, Problem> {
        let mut counted = self.counted.lock().await;
        let known = counted
            .iter()
            .find(|(at, known, _)| known == span && at.elapsed() < COUNTED_FOR);
        if let Some((_, _, counts)) = known {
            return Ok(Arc::clone(counts));
        }
        let on_stream = self.bridge.ring.newest(&span.tenant);
        let mut counts = self.history.counts(span).await?;
        counts.lag_ms = on_stream
            .zip(counts.newest_us)
            .map(|(on_stream, recorded)| (on_stream - recorded / 1_000).max(0));
        let counts = Arc::new(counts);
        counted.push_front((Instant::now(), span.clone(), Arc::clone(&counts)));
        counted.truncate(COUNTED);
        Ok(counts)
    }

    /// A stream of events: the answer, and where the events go.
    ///
    /// # Errors
    /// 503 when too many are open.
    pub fn stream(&self) -> Result<(Response, Out), Problem> {
        let permit = Arc::clone(&self.streams).try_acquire_owned().map_err(|_| {
            let detail = format!("{} streams are open already", self.settings.max_streams);
            Problem::new(Kind::Overloaded, detail).retry_after(COME_BACK)
        })?;
        Ok(sse::open(&self.stopping, permit))
    }

    /// Streams of events that are open.
    pub fn open_streams(&self) -> usize {
        self.settings
            .max_streams
            .saturating_sub(self.streams.available_permits())
    }

    /// The run that a path and its query ask about.
    ///
    /// # Errors
    /// 422 when the query has mistakes, 404 when no run can have such an id.
    pub fn asked_for(&self, id: &str, mut query: Query) -> Result<RunKey, Problem> {
        let run = RunKey {
            tenant: self.tenant(&mut query),
            request_id: segment(id),
        };
        query.finish()?;
        if run.is_possible() { Ok(run) } else { Err(unknown(&run)) }
    }

    /// The tenant that is asked about: on loopback, everybody may ask about every one.
    pub fn tenant(&self, query: &mut Query) -> String {
        query.text("tenant").unwrap_or_else(|| self.settings.tenant.clone())
    }
}

pub(crate) fn unknown_turn(run: &RunKey, turn: i32) -> Problem {
    Problem::new(
        Kind::UnknownRun,
        format!("run {} of tenant {} has no turn {turn}", run.request_id, run.tenant),
    )
}

pub(crate) fn unknown(run: &RunKey) -> Problem {
    Problem::new(
        Kind::UnknownRun,
        format!("tenant {} has no run {}", run.tenant, run.request_id),
    )
}

fn ok(state: &watch::Receiver<Result<(), String>>) -> Result<(), Problem> {
    let refuse = |reason: &String| Problem::new(Kind::NotReady, reason.clone()).retry_after(COME_BACK);
    state.borrow().as_ref().map_err(refuse).copied()
}

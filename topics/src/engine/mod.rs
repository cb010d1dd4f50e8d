//! The exactly-once consumer group engine: request records in, results out, each exactly once, as they finish and in
//! order per key, through any crash.
//!
//! Three kinds of threads around one deciding [`core`]:
//! - the one that polls (`poll`, `membership`, `takeovers`): rebalance events, and as many records as there is room for;
//! - tokio's (`runs`): the node's functions;
//! - the one that commits (`committer`, `producer`): results and the offsets they belong to, in one transaction.
//!
//! A transaction is opened when results are ready and spans milliseconds; it is never open during a run.

pub mod core;

mod attempt;
mod blame;
mod canary;
mod clients;
pub(crate) mod committed;
mod committer;
mod crash;
mod error;
mod events;
mod failure;
mod fetching;
mod fullness;
mod gap;
mod hindrance;
mod membership;
mod monitor;
mod observe;
mod others;
mod poll;
mod producer;
mod readable;
mod runs;
mod settings;
mod start;
mod sweep;
mod takeovers;
mod torn;
mod watchdog;

use std::{future::Future, sync::Arc};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{Output, Record};

use monitor::Monitor;

pub use error::EngineError;
pub use hindrance::hindrances;
pub use settings::{EngineSettings, EngineTuning, Input, Order};

/// Runs one member of the group until `shutdown`: then it stops reading, lets what runs finish within the grace period,
/// commits, releases its partitions and leaves the group. `ready` says why it cannot work, while it cannot.
///
/// # Errors
/// Only for what a restart or an operator must mend; a broker that is away is waited for.
pub async fn run<N: Node>(
    settings: EngineSettings,
    node: Arc<N>,
    ready: watch::Sender<Result<(), String>>,
    shutdown: CancellationToken,
) -> Result<(), EngineError> {
    start::run(settings, node, ready, shutdown).await
}

/// A processor of request records. The engine knows bytes only; what they mean is the node's.
pub trait Node: Send + Sync + 'static {
    type Ready: Send + 'static;

    /// Decodes and validates, before dispatch. Never pays for anything.
    fn prepare(&self, record: &Record) -> impl Future<Output = Prepared<Self::Ready>> + Send;

    /// Runs to the outputs that are committed together with the record's offset. When `run.cancelled` fires the outputs
    /// will be discarded: settle what was paid for and return. A panic is committed as a rejection of class `internal`.
    fn run(&self, ready: Self::Ready, run: Run) -> impl Future<Output = Vec<Output>> + Send;

    /// The outputs in place of those of a record that is poison, or of whose outputs one topic refused some; `spared` are
    /// those for other topics. If these are refused too, the partition stops.
    fn rejected(&self, record: &Record, rejection: &Rejection, spared: &[Output]) -> Vec<Output>;

    /// Topics that outputs may go to besides [`EngineSettings::outputs`], as of now, and that belong to others.
    fn writes_also(&self) -> Vec<String> {
        Vec::new()
    }

    /// A run ended, and its outputs will never be committed by this process: the partition went before. Its record runs
    /// again; what was paid for can be settled. At the end of the engine this is waited for, for some seconds.
    fn discarded(&self, outputs: Arc<[Output]>) -> impl Future<Output = ()> + Send {
        drop(outputs);
        std::future::ready(())
    }
}

pub enum Prepared<R> {
    Ready(R),
    /// Something that the record needs is down (a registry): leave it unread and ask again.
    Wait {
        reason: String,
    },
    Poison(Rejection),
}

/// Why a record cannot have the outputs it should have. `class` is one word that programs may branch on.
#[derive(Debug, Clone)]
pub struct Rejection {
    pub class: String,
    pub message: String,
}

/// What the engine tells a run.
#[derive(Clone)]
pub struct Run {
    pub record: Arc<Record>,
    pub cancelled: CancellationToken,
    engine: Option<Arc<Monitor>>,
}

impl Run {
    fn new(record: Arc<Record>, cancelled: CancellationToken, engine: Option<Arc<Monitor>>) -> Self {
        Self {
            record,
            cancelled,
            engine,
        }
    }

    /// A run outside an engine: for tests, and for chains that are run by hand.
    #[must_use]
    pub fn detached(record: Arc<Record>, cancelled: CancellationToken) -> Self {
        Self::new(record, cancelled, None)
    }

    /// Hold the guard while the run does nothing but wait for a provider's limit: its slot is another's meanwhile.
    #[must_use]
    pub fn wait_for_limit(&self) -> LimitWait {
        if let Some(engine) = &self.engine {
            engine.member().limit_wait_begins();
            engine.bell.ring();
        }
        LimitWait {
            engine: self.engine.clone(),
        }
    }
}

/// See [`Run::wait_for_limit`].
pub struct LimitWait {
    engine: Option<Arc<Monitor>>,
}

impl Drop for LimitWait {
    fn drop(&mut self) {
        if let Some(engine) = &self.engine {
            engine.member().limit_wait_ends();
        }
    }
}

//! NODE: what the topics say → Postgres, exactly once: the rows of a batch and the next offset of each of its partitions
//! are one transaction.
//!
//! The first statement of a transaction moves the positions from where this recorder left them; if one is elsewhere,
//! another recorder owns the partition now, all is rolled back, and the position is read again. Nothing is committed to
//! Kafka; its group only shares the partitions out.
//!
//! Offsets without a record (markers of transactions, what was aborted) count as read: positions move to the end of the
//! log, with the next batch or every few seconds. One that stayed behind would be out of range once retention has passed
//! it, though all was recorded.
//!
//! Records that were deleted before they were recorded are a gap: a row in `gaps`, in the transaction that moves the
//! position to the log's new start, where recording goes on by itself. Standing still until somebody decides would be
//! worse for an audit: nobody can bring those records back, and retention would take more with every hour of waiting. What
//! must not happen is that nobody notices: the role says that it is not ready (`/health` shows why) until
//! `millrace audit gaps --accept` says that somebody knows.
//!
//! What Postgres cannot hold is mended, with a mark. A request that nobody can read is a row like others, under the identity
//! of the failed result and the dead letter that it gets. What has no place in a table does not stop the rest: a batch that
//! Postgres refuses is halved until the row is found, which goes to `quarantine` with its bytes, as does a record whose
//! reading panics. A batch that takes too long is halved, too: the next try has less to do. A Postgres or a registry that is
//! away is waited for.

mod crash;
mod days;
mod entry;
mod failure;
mod gaps;
mod mended;
mod metrics;
mod migrations;
mod patience;
mod positions;
mod reader;
mod readiness;
mod recording;
mod settings;
mod store;
mod tables;
mod unresolved;

use schemas::{Registry, RegistryError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use topics::{Catalog, FollowerError, KafkaSettings};

pub use gaps::{GapsError, RecordedGap, accept_gaps, gaps};
pub use settings::RecorderSettings;
pub use unresolved::{LostCall, Unresolved, UnresolvedError, UnresolvedFilter, unresolved};

/// What a recorder works with.
#[derive(Clone)]
pub struct Dependencies {
    pub kafka: KafkaSettings,
    pub catalog: Catalog,
    pub registry: Registry,
    /// `postgres://user:password@host/database`; its tables are created and brought up to date.
    pub postgres_url: String,
}

#[derive(Debug, thiserror::Error)]
pub enum RecorderError {
    #[error("postgres.url is not a connection string")]
    Url(#[source] sqlx::Error),
    #[error("a schema of this program cannot be used")]
    Schema(#[source] RegistryError),
    #[error("the tables cannot be brought up to date")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    #[error("the topics cannot be read")]
    Read(#[source] FollowerError),
}

/// Records until `shutdown`: what is being written then is finished, and the group is left. `ready` says what is waited
/// for.
///
/// # Errors
/// What no waiting mends: settings, tables that another version made.
pub async fn run(
    settings: RecorderSettings,
    dependencies: Dependencies,
    ready: watch::Sender<Result<(), String>>,
    shutdown: CancellationToken,
) -> Result<(), RecorderError> {
    metrics::describe();
    match recording::Recording::start(settings, dependencies, ready, shutdown).await? {
        Some(recording) => recording.run().await,
        None => Ok(()),
    }
}

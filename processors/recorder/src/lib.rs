//! NODE: what the topics say → Postgres, exactly once: the rows of a batch and the next offset of each of its partitions
//! are one transaction.
//!
//! The first statement of a transaction moves the positions from where this recorder left them; if one is elsewhere,
//! another recorder owns the partition now, all is rolled back, and the position is read again. Nothing is committed to
//! Kafka; its group only shares the partitions out.
//!
//! What cannot be stored does not stop the rest: a batch that Postgres refuses is halved until the row is found, which
//! goes to `quarantine` with its bytes. A Postgres or a registry that is away is waited for.

mod crash;
mod days;
mod entry;
mod failure;
mod metrics;
mod migrations;
mod patience;
mod positions;
mod reader;
mod recording;
mod settings;
mod store;
mod tables;
mod unresolved;

use schemas::{Registry, RegistryError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use topics::{Catalog, FollowerError, KafkaSettings};

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
/// What no waiting mends: settings, tables that another version made, records that Kafka has deleted unread.
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

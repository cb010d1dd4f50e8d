//! Brings the tables up to date. Several recorders may start at once: sqlx takes an advisory lock.

use std::{borrow::Cow, time::Duration};

use schemas::MIGRATIONS;
use sqlx::{
    PgPool, SqlSafeStr,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    postgres::PgPoolOptions,
};

use crate::failure::is_locked;

/// Whoever changes a table waits for all who read it, and everybody else behind him: not for long, and then again.
const LIMIT: &str = "SET lock_timeout = '5s'";

/// On a connection of its own, on which a statement takes as long as it takes: an index of a large table does.
pub(crate) async fn run(pool: &PgPool, connect: Duration) -> Result<(), MigrateError> {
    let migrations = MIGRATIONS.map(|(version, name, sql)| {
        Migration::new(
            version,
            Cow::Borrowed(name),
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    });
    let own = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(connect)
        .after_connect(|connection, _| {
            Box::pin(async move { sqlx::raw_sql(LIMIT).execute(connection).await.map(|_| ()) })
        })
        .connect_lazy_with(pool.connect_options().as_ref().clone());
    let migrated = Migrator::with_migrations(migrations.into()).run(&own).await;
    own.close().await;
    migrated
}

/// What may be over at the next try; otherwise the error as it is.
pub(crate) fn may_pass(error: MigrateError) -> Result<sqlx::Error, MigrateError> {
    match error {
        MigrateError::Execute(error) => Ok(error),
        MigrateError::ExecuteMigration(error, _) if error.as_database_error().is_none() || is_locked(&error) => {
            Ok(error)
        }
        error => Err(error),
    }
}

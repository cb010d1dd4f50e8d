//! Brings the tables up to date. Several recorders may start at once: sqlx takes an advisory lock.

use std::{borrow::Cow, time::Duration};

use schemas::MIGRATIONS;
use sqlx::{
    PgPool, SqlSafeStr,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    postgres::PgPoolOptions,
};

use crate::failure;

/// Whoever changes a table waits for all who read it, and everybody else behind him: not for long, and then again. A
/// statement takes as long as it takes, whatever the database or the role says: an index of a large table does.
const LIMITS: &str = "SET lock_timeout = '5s'; SET statement_timeout = 0";

/// On a connection of its own, for its limits.
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
            Box::pin(async move { sqlx::raw_sql(LIMITS).execute(connection).await.map(|_| ()) })
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
        MigrateError::ExecuteMigration(error, _) if failure::may_pass(&error) => Ok(error),
        error => Err(error),
    }
}

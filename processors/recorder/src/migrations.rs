//! Brings the tables up to date. Several recorders may start at once: sqlx takes an advisory lock.

use std::{borrow::Cow, time::Duration};

use schemas::MIGRATIONS;
use sqlx::{
    PgPool, SqlSafeStr,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    postgres::PgPoolOptions,
};

/// On a connection of its own, without the limits of the others: an index takes as long as it takes, and so does another
/// recorder that makes it.
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
    let options = PgPoolOptions::new().max_connections(1).acquire_timeout(connect);
    let unlimited = options.connect_lazy_with(pool.connect_options().as_ref().clone());
    let migrated = Migrator::with_migrations(migrations.into()).run(&unlimited).await;
    unlimited.close().await;
    migrated
}

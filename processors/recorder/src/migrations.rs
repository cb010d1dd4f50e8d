//! Brings the tables up to date. Several recorders may start at once: sqlx takes an advisory lock.

use std::borrow::Cow;

use sqlx::{
    PgPool, SqlSafeStr,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};

/// In their order; one that was released never changes.
const MIGRATIONS: [(i64, &str, &str); 5] = [
    (1, "runs", include_str!("../../../schemas/migrations/0001_runs.sql")),
    (2, "feed", include_str!("../../../schemas/migrations/0002_feed.sql")),
    (
        3,
        "resumes",
        include_str!("../../../schemas/migrations/0003_resumes.sql"),
    ),
    (4, "trail", include_str!("../../../schemas/migrations/0004_trail.sql")),
    (5, "gaps", include_str!("../../../schemas/migrations/0005_gaps.sql")),
];

pub(crate) async fn run(pool: &PgPool) -> Result<(), MigrateError> {
    let migrations = MIGRATIONS.map(|(version, name, sql)| {
        Migration::new(
            version,
            Cow::Borrowed(name),
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    });
    Migrator::with_migrations(migrations.into()).run(pool).await
}

//! The gaps that were found, for whoever has to know of them.

use schemas::Timestamp;
use serde::Serialize;
use sqlx::{Connection, PgConnection, Row, postgres::PgRow};

/// Offsets of a partition that Kafka had deleted before they were recorded. Some of them may have held no record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordedGap {
    pub topic: String,
    pub partition: i32,
    /// The first offset that was not recorded.
    pub from_offset: i64,
    /// Where recording went on. Below `from_offset` when the topic was made anew or cut.
    pub to_offset: i64,
    /// The end of the log when the gap was seen.
    pub log_end: i64,
    pub seen_at: Timestamp,
    /// When somebody said that he knows.
    pub accepted_at: Option<Timestamp>,
}

#[derive(Debug, thiserror::Error)]
pub enum GapsError {
    #[error("Postgres cannot be asked; is it up, and is `postgres.url` (MILLRACE_POSTGRES__URL) right?")]
    Connect(#[source] sqlx::Error),
    #[error(
        "this database has no table of gaps: `postgres.url` names another one, or no recorder of this version ran here"
    )]
    NoTables,
    #[error("the gaps cannot be read")]
    Read(#[source] sqlx::Error),
}

/// All of them, the oldest first.
///
/// # Errors
/// Postgres is away, or is not Millrace's.
pub async fn gaps(postgres_url: &str) -> Result<Vec<RecordedGap>, GapsError> {
    let query = r#"SELECT *, (extract(epoch FROM seen_at) * 1000000)::bigint AS seen_us,
                       (extract(epoch FROM accepted_at) * 1000000)::bigint AS accepted_us
                   FROM gaps ORDER BY seen_at, topic, "partition""#;
    let mut connection = connect(postgres_url).await?;
    let rows = sqlx::query(query).fetch_all(&mut connection).await.map_err(unread)?;
    rows.iter().map(gap).collect::<Result<_, _>>().map_err(GapsError::Read)
}

/// Says of all gaps that somebody knows; returns of how many nobody did before.
///
/// # Errors
/// Postgres is away, or is not Millrace's.
pub async fn accept_gaps(postgres_url: &str) -> Result<u64, GapsError> {
    let mut connection = connect(postgres_url).await?;
    let accepted = sqlx::query("UPDATE gaps SET accepted_at = now() WHERE accepted_at IS NULL")
        .execute(&mut connection)
        .await
        .map_err(unread)?;
    Ok(accepted.rows_affected())
}

async fn connect(postgres_url: &str) -> Result<PgConnection, GapsError> {
    PgConnection::connect(postgres_url).await.map_err(GapsError::Connect)
}

fn unread(error: sqlx::Error) -> GapsError {
    match error.as_database_error().and_then(|error| error.code()) {
        // undefined_table
        Some(code) if code == "42P01" => GapsError::NoTables,
        Some(_) | None => GapsError::Read(error),
    }
}

fn gap(row: &PgRow) -> Result<RecordedGap, sqlx::Error> {
    Ok(RecordedGap {
        topic: row.try_get("topic")?,
        partition: row.try_get("partition")?,
        from_offset: row.try_get("from_offset")?,
        to_offset: row.try_get("to_offset")?,
        log_end: row.try_get("log_end")?,
        seen_at: Timestamp(row.try_get("seen_us")?),
        accepted_at: row.try_get::<Option<i64>, _>("accepted_us")?.map(Timestamp),
    })
}

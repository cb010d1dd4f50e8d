//! Paid calls that nobody knows the end of: announced on `attempts`, and neither settled there nor in the audit.
//!
//! A call that is still running looks the same. It is told apart by its run: once that has its result and all of its
//! audit, whatever is not in the audit was lost with the process that made it. While the run has none, age decides.

use std::time::Duration;

use chrono::{DateTime, Utc};
use schemas::{Money, Timestamp};
use serde::Serialize;
use sqlx::{Connection, PgConnection, Row, postgres::PgRow};

/// Which calls are looked at.
#[derive(Debug, Clone, Default)]
pub struct UnresolvedFilter {
    /// Of requests that were accepted this long ago or later; None: all that is recorded.
    pub since: Option<Duration>,
    pub tenant: Option<String>,
    /// A call of a run that has no result yet counts from this age on.
    pub older_than: Duration,
}

/// What is known of them.
#[derive(Debug, Default)]
pub struct Unresolved {
    /// The oldest first.
    pub calls: Vec<LostCall>,
    /// Calls whose run has no result yet and that are younger than [`UnresolvedFilter::older_than`].
    pub maybe_running: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LostCall {
    pub attempt_id: String,
    pub tenant: String,
    pub request_id: String,
    /// topic/partition/offset of the request.
    pub src: String,
    pub turn: i32,
    pub chain: Option<String>,
    pub step: String,
    pub provider: String,
    pub model: String,
    /// Counts from 1 within the step.
    pub attempt: i32,
    pub started_at: Timestamp,
    /// What it may have cost at most, in nano-dollars.
    pub estimate_nanos: Money,
    /// Its run has a result without it; otherwise it is listed for its age.
    pub run_has_ended: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum UnresolvedError {
    #[error("Postgres cannot be asked; is it up, and is `postgres.url` (MILLRACE_POSTGRES__URL) right?")]
    Connect(#[source] sqlx::Error),
    #[error("this database has no tables of Millrace: `postgres.url` names another one, or no recorder ever ran here")]
    NoTables,
    #[error("the attempts cannot be read")]
    Read(#[source] sqlx::Error),
}

/// `src` ties results and audit to the request record that an attempt belongs to. The run's own audit row is there for
/// every result; the result tells how many attempts the audit must have, for rows of one run may lie in several
/// partitions and are recorded in any order. The indexer has audit only, in order.
const QUERY: &str = r"
    SELECT call.*, COALESCE(ended.yes, false) AS run_has_ended, call.started_at < $3 AS is_old
    FROM attempts AS call
    LEFT JOIN LATERAL (
        SELECT count(*) FILTER (WHERE row.kind = 'run') > 0
            AND count(*) FILTER (WHERE row.kind = 'attempt') >= CASE call.chain WHEN 'indexer' THEN 0 ELSE (
                SELECT max(result.attempts) FROM (
                    SELECT attempts FROM runs WHERE tenant = call.tenant AND request_id = call.request_id
                        AND turn = call.turn AND result_src = call.src
                    UNION ALL
                    SELECT attempts FROM duplicate_results WHERE tenant = call.tenant AND request_id = call.request_id
                        AND turn = call.turn AND src = call.src
                ) AS result
            ) END AS yes
        FROM audit AS row
        WHERE row.tenant = call.tenant AND row.request_id = call.request_id AND row.accepted_at = call.accepted_at
            AND row.turn = call.turn AND row.src = call.src
    ) AS ended ON true
    WHERE call.phase = 'started'
        AND ($1::timestamptz IS NULL OR call.accepted_at >= $1)
        AND ($2::text IS NULL OR call.tenant = $2)
        AND NOT EXISTS (
            SELECT FROM audit AS row
            WHERE row.tenant = call.tenant AND row.request_id = call.request_id AND row.accepted_at = call.accepted_at
                AND row.attempt_id = call.attempt_id
        )
    ORDER BY call.started_at, call.attempt_id";

/// # Errors
/// Postgres is away, or is not Millrace's.
pub async fn unresolved(postgres_url: &str, filter: &UnresolvedFilter) -> Result<Unresolved, UnresolvedError> {
    let mut connection = PgConnection::connect(postgres_url)
        .await
        .map_err(UnresolvedError::Connect)?;
    let rows = sqlx::query(QUERY)
        .bind(filter.since.map(ago))
        .bind(&filter.tenant)
        .bind(ago(filter.older_than))
        .fetch_all(&mut connection)
        .await
        .map_err(|error| match error.as_database_error().and_then(|error| error.code()) {
            // undefined_table
            Some(code) if code == "42P01" => UnresolvedError::NoTables,
            Some(_) | None => UnresolvedError::Read(error),
        })?;
    let mut unresolved = Unresolved::default();
    for row in rows {
        let (call, is_old) = lost_call(&row).map_err(UnresolvedError::Read)?;
        if call.run_has_ended || is_old {
            unresolved.calls.push(call);
        } else {
            unresolved.maybe_running += 1;
        }
    }
    Ok(unresolved)
}

fn ago(age: Duration) -> DateTime<Utc> {
    Utc::now()
        .checked_sub_signed(chrono::Duration::from_std(age).unwrap_or(chrono::Duration::MAX))
        .unwrap_or(DateTime::<Utc>::MIN_UTC)
}

fn lost_call(row: &PgRow) -> Result<(LostCall, bool), sqlx::Error> {
    let started_at: DateTime<Utc> = row.try_get("started_at")?;
    let call = LostCall {
        attempt_id: row.try_get("attempt_id")?,
        tenant: row.try_get("tenant")?,
        request_id: row.try_get("request_id")?,
        src: row.try_get("src")?,
        turn: row.try_get("turn")?,
        chain: row.try_get("chain")?,
        step: row.try_get("step")?,
        provider: row.try_get("provider")?,
        model: row.try_get("model")?,
        attempt: row.try_get("attempt")?,
        started_at: Timestamp(started_at.timestamp_micros()),
        estimate_nanos: Money(row.try_get("estimate_nanos")?),
        run_has_ended: row.try_get("run_has_ended")?,
    };
    Ok((call, row.try_get("is_old")?))
}

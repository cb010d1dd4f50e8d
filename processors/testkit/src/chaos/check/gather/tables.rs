//! What Postgres holds. Columns after the named ones are those of [`records`](super::records), in its order.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context;
use futures::TryStreamExt;
use sqlx::{
    ConnectOptions, PgPool, Row,
    postgres::{PgConnectOptions, PgPoolOptions, PgRow},
};

use super::columns::Columns;
use crate::chaos::check::evidence::{AttemptRow, AuditRow, RunRow, Tables};

const ANSWER: Duration = Duration::from_secs(10);

const RESULT: &str = "status, chain, output, error_class, error_message, error_step, input_tokens, output_tokens,
    usage_source, cost_nanos, queued_us, ran_us, attempts::bigint, state, (extract(epoch FROM completed_at) * 1000000)::bigint";

const AUDIT: &str = "SELECT topic_partition, topic_offset,
    kind, attempt_id, tenant, request_id, turn::bigint, src, (extract(epoch FROM accepted_at) * 1000000)::bigint, chain,
    step, provider, model, route_reason, attempt::bigint, outcome, input_tokens, output_tokens, usage_source, cost_nanos,
    queue_us, connect_us, first_token_us, total_us, prompt, response, prompt_sha256, response_sha256, documents, trace_id,
    (extract(epoch FROM started_at) * 1000000)::bigint, trail, trail_left_out::bigint FROM audit";

const DEAD_LETTERS: &str = r#"SELECT topic || '/' || "partition" || '/' || "offset",
    request_id, tenant, (extract(epoch FROM accepted_at) * 1000000)::bigint, key, value, class, message, chain,
    (extract(epoch FROM failed_at) * 1000000)::bigint FROM dead_letters"#;

/// # Errors
/// A database that cannot be read, or holds other tables.
pub(super) async fn read(url: &str) -> anyhow::Result<Tables> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ANSWER)
        // half a million rows take their time
        .connect_with(url.parse::<PgConnectOptions>()?.disable_statement_logging())
        .await
        .context("cannot connect to Postgres")?;
    let run = |row: &PgRow| {
        Ok(RunRow {
            tenant: row.try_get(0)?,
            request_id: row.try_get(1)?,
            turn: row.try_get(2)?,
            status: row.try_get(3)?,
            request_src: row.try_get(4)?,
            result_src: row.try_get(5)?,
            row: Columns::of_row(row, 6)?,
        })
    };
    let runs = format!("SELECT tenant, request_id, turn, status, request_src, result_src, {RESULT} FROM runs");
    let duplicates =
        format!("SELECT tenant, request_id, turn, status, NULL::text, src, {RESULT} FROM duplicate_results");
    let positions = r#"SELECT topic, "partition", next_offset FROM consumer_positions"#;
    let quarantine = r#"SELECT topic || '/' || "partition" || '/' || "offset", reason FROM quarantine"#;
    let gaps = r#"SELECT topic || '/' || "partition" || ' from ' || from_offset || ' to ' || to_offset FROM gaps"#;
    let attempts = "SELECT attempt_id, phase, estimate_nanos, cost_nanos FROM attempts";
    let positions = rows(&pool, positions, |row| {
        Ok(((row.try_get(0)?, row.try_get(1)?), row.try_get(2)?))
    });
    let tables = Tables {
        positions: positions.await?.into_iter().collect::<BTreeMap<_, _>>(),
        runs: rows(&pool, &runs, run).await?,
        duplicate_results: rows(&pool, &duplicates, run).await?,
        audit: rows(&pool, AUDIT, |row| {
            Ok(AuditRow {
                partition: row.try_get(0)?,
                offset: row.try_get(1)?,
                row: Columns::of_row(row, 2)?,
            })
        })
        .await?,
        attempts: rows(&pool, attempts, |row| {
            Ok(AttemptRow {
                attempt_id: row.try_get(0)?,
                phase: row.try_get(1)?,
                estimate: row.try_get(2)?,
                cost: row.try_get(3)?,
            })
        })
        .await?,
        dead_letters: rows(&pool, DEAD_LETTERS, |row| {
            Ok((row.try_get(0)?, Columns::of_row(row, 1)?))
        })
        .await?,
        gaps: rows(&pool, gaps, |row| Ok(row.try_get(0)?)).await?,
        quarantine: rows(&pool, quarantine, |row| Ok((row.try_get(0)?, row.try_get(1)?))).await?,
    };
    pool.close().await;
    Ok(tables)
}

/// One after the other: only what is kept of them is in memory.
async fn rows<T>(
    pool: &PgPool,
    query: &str,
    mut keep: impl FnMut(&PgRow) -> anyhow::Result<T>,
) -> anyhow::Result<Vec<T>> {
    let mut kept = Vec::new();
    let mut stream = sqlx::query(sqlx::AssertSqlSafe(query.to_owned())).fetch(pool);
    while let Some(row) = stream
        .try_next()
        .await
        .with_context(|| format!("cannot ask Postgres: {query}"))?
    {
        kept.push(keep(&row)?);
    }
    Ok(kept)
}

//! The results of the last minutes, counted by time and by chain.

use serde::Serialize;
use sqlx::{Row, postgres::PgRow};

use super::History;
use crate::problem::Problem;

/// What is counted: seconds since the epoch, `to` excluded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Span {
    pub tenant: String,
    /// `name` or `name@version`
    pub chain: Option<String>,
    pub from: i64,
    pub to: i64,
    /// Seconds in a bucket; `from` is a multiple of it.
    pub every: i64,
}

/// `StatsTotal` of `schemas/openapi.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Counted {
    pub results: i64,
    /// Failed and cancelled.
    pub errors: i64,
    /// Wait for a decision: neither failed nor completed.
    pub waiting: i64,
    pub p50_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub cost_nano_dollars: i64,
}

/// `StatsChain`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct OfChain {
    pub chain: String,
    #[serde(flatten)]
    pub counted: Counted,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    /// By the begin of the bucket; those without results are absent.
    pub buckets: Vec<(i64, Counted)>,
    /// The busiest first.
    pub chains: Vec<OfChain>,
    pub total: Counted,
    /// Completion of the newest result of the tenant, in microseconds since the epoch.
    pub newest_us: Option<i64>,
    /// How far that is behind the newest result on the stream, in milliseconds; filled in by who knows the stream.
    pub lag_ms: Option<i64>,
}

/// One pass over the results of the time, counted three ways.
const SELECT: &str = "
    WITH ended AS (
        SELECT floor(extract(epoch FROM completed_at) / $5)::bigint * $5 AS bucket,
               split_part(coalesce(chain, ''), '#', 1) AS chain, status,
               (queued_us + ran_us) / 1000.0::float8 AS latency, input_tokens, output_tokens, cost_nanos
        FROM runs
        WHERE tenant = $1 AND completed_at >= to_timestamp($3) AND completed_at < to_timestamp($4)
          AND ($2::text IS NULL OR split_part(chain, CASE WHEN $2 LIKE '%@%' THEN '#' ELSE '@' END, 1) = $2)
    )
    SELECT bucket, chain, grouping(bucket, chain) AS way, count(*) AS results,
           count(*) FILTER (WHERE status NOT IN ('completed', 'interrupted')) AS errors,
           count(*) FILTER (WHERE status = 'interrupted') AS waiting,
           percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY latency) AS latencies,
           coalesce(sum(input_tokens), 0)::bigint AS input_tokens,
           coalesce(sum(output_tokens), 0)::bigint AS output_tokens,
           coalesce(sum(cost_nanos), 0)::bigint AS cost_nanos
    FROM ended GROUP BY GROUPING SETS ((bucket), (chain), ())
    ORDER BY bucket, results DESC";

const NEWEST: &str = "SELECT (extract(epoch FROM max(completed_at)) * 1000000)::bigint FROM runs WHERE tenant = $1 AND completed_at IS NOT NULL";

impl History {
    /// # Errors
    /// 503 when Postgres cannot be read.
    pub async fn counts(&self, span: &Span) -> Result<Counts, Problem> {
        self.told(self.count(span).await).await
    }

    async fn count(&self, span: &Span) -> Result<Counts, sqlx::Error> {
        let rows = sqlx::query(SELECT)
            .bind(&span.tenant)
            .bind(&span.chain)
            .bind(span.from as f64)
            .bind(span.to as f64)
            .bind(span.every)
            .fetch_all(&self.pool)
            .await?;
        let mut counts = Counts {
            newest_us: sqlx::query_scalar(NEWEST)
                .bind(&span.tenant)
                .fetch_one(&self.pool)
                .await?,
            ..Counts::default()
        };
        for row in &rows {
            // Bits of what a row is not grouped by: bucket is the higher one.
            match row.try_get::<i32, _>("way")? {
                0b01 => counts.buckets.push((row.try_get("bucket")?, counted(row)?)),
                0b10 => counts.chains.push(OfChain {
                    chain: row.try_get("chain")?,
                    counted: counted(row)?,
                }),
                _ => counts.total = counted(row)?,
            }
        }
        Ok(counts)
    }
}

fn counted(row: &PgRow) -> Result<Counted, sqlx::Error> {
    let latencies: Option<Vec<Option<f64>>> = row.try_get("latencies")?;
    let latency = |index: usize| latencies.as_ref()?.get(index).copied().flatten();
    Ok(Counted {
        results: row.try_get("results")?,
        errors: row.try_get("errors")?,
        waiting: row.try_get("waiting")?,
        p50_ms: latency(0),
        p95_ms: latency(1),
        p99_ms: latency(2),
        input_tokens: row.try_get("input_tokens")?,
        output_tokens: row.try_get("output_tokens")?,
        cost_nano_dollars: row.try_get("cost_nanos")?,
    })
}

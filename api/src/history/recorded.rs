//! A row of `runs` as a [`Run`]. Times are read as microseconds, which needs no calendar.

use schemas::{RunError, Timestamp, Timings, Usage};
use sqlx::{Postgres, QueryBuilder, Row, postgres::PgRow};

use crate::run::{self, End, Run};

/// Whether a queued run has made its first paid call: as much as the books can tell of its progress.
pub(super) const HAS_BEGUN: &str = "EXISTS (SELECT FROM attempts WHERE attempts.tenant = runs.tenant \
     AND attempts.request_id = runs.request_id AND attempts.accepted_at = runs.accepted_at AND attempts.turn = runs.turn)";

/// `SELECT … FROM runs`, with the inputs and outputs or (they may be large) without.
pub(super) fn select(with_payloads: bool) -> QueryBuilder<Postgres> {
    let payloads = if with_payloads {
        // A resume's own input is what was decided.
        "CASE WHEN runs.kind = 'resume' THEN (SELECT first.input FROM runs AS first WHERE first.tenant = runs.tenant \
         AND first.request_id = runs.request_id AND first.accepted_at = runs.accepted_at AND first.turn = 0) \
         ELSE runs.input END AS input, CASE WHEN runs.kind = 'resume' THEN runs.input END AS decisions, \
         runs.output, runs.params, EXISTS (SELECT FROM dead_letters WHERE dead_letters.tenant = runs.tenant \
         AND dead_letters.request_id = runs.request_id AND dead_letters.accepted_at = runs.accepted_at) AS is_dead"
    } else {
        "NULL AS input, NULL AS decisions, NULL AS output, NULL AS params, false AS is_dead"
    };
    QueryBuilder::new(format!(
        "SELECT runs.tenant, runs.request_id, runs.turn, runs.metadata, \
         CASE WHEN runs.status = 'queued' AND {HAS_BEGUN} THEN 'in_progress' ELSE runs.status END AS status, \
         coalesce(runs.chain, runs.requested_chain) AS chain, \
         runs.error_class, runs.error_message, runs.error_step, runs.input_tokens, runs.output_tokens, \
         runs.request_src, runs.result_src, runs.trace_id, runs.conversation, runs.usage_source, runs.cost_nanos, runs.queued_us, runs.ran_us, runs.attempts, \
         (extract(epoch FROM runs.accepted_at) * 1000000)::bigint AS accepted_us, \
         (extract(epoch FROM runs.completed_at) * 1000000)::bigint AS completed_us, \
         (extract(epoch FROM runs.deadline) * 1000000)::bigint AS deadline_us, \
         (extract(epoch FROM runs.created_at) * 1000000)::bigint AS created_us, \
         {payloads} FROM runs"
    ))
}

pub(super) fn run(row: &PgRow) -> Result<Run, sqlx::Error> {
    let text = |column| row.try_get::<Option<String>, _>(column);
    let time = |column| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(column)?.map(Timestamp));
    let id: String = row.try_get("request_id")?;
    let dead_letter = row
        .try_get::<bool, _>("is_dead")?
        .then(|| format!("/runs/{id}/dead-letter"));
    Ok(Run {
        id,
        tenant: row.try_get("tenant")?,
        turn: row.try_get("turn")?,
        status: row.try_get("status")?,
        chain: text("chain")?,
        input: text("input")?.as_deref().map(run::json),
        decisions: text("decisions")?.as_deref().map(run::json),
        metadata: text("metadata")?.and_then(|text| serde_json::from_str(&text).ok()),
        params: text("params")?
            .filter(|text| !text.is_empty())
            .as_deref()
            .map(run::json),
        conversation: text("conversation")?,
        request_src: text("request_src")?.or(text("result_src")?),
        trace_id: text("trace_id")?,
        deadline: time("deadline_us")?,
        created_at: time("created_us")?,
        accepted_at: Some(Timestamp(row.try_get("accepted_us")?)),
        dead_letter,
        end: end(row)?,
    })
}

/// `None` until the result is recorded.
fn end(row: &PgRow) -> Result<Option<End>, sqlx::Error> {
    let Some(completed_us) = row.try_get("completed_us")? else {
        return Ok(None);
    };
    let text = |column| row.try_get::<Option<String>, _>(column);
    let number = |column| Ok::<i64, sqlx::Error>(row.try_get::<Option<i64>, _>(column)?.unwrap_or_default());
    let error = match text("error_class")? {
        Some(class) => Some(RunError {
            class,
            message: text("error_message")?.unwrap_or_default(),
            step: text("error_step")?,
        }),
        None => None,
    };
    Ok(Some(End {
        output: text("output")?.as_deref().map(run::json),
        error,
        usage: Usage {
            input_tokens: number("input_tokens")?,
            output_tokens: number("output_tokens")?,
            source: text("usage_source")?.unwrap_or_default(),
        },
        cost_nano_dollars: number("cost_nanos")?,
        timings: Timings {
            queued_us: number("queued_us")?,
            ran_us: number("ran_us")?,
        },
        attempts: row.try_get::<Option<i32>, _>("attempts")?.unwrap_or_default(),
        completed_at: Timestamp(completed_us),
    }))
}

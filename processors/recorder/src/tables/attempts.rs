use schemas::{Attempt, phase};
use sqlx::PgConnection;

use super::{column, dates};
use crate::failure::Failure;

#[derive(Clone, Copy)]
pub(crate) struct AttemptRow<'e> {
    pub attempt: &'e Attempt,
    pub mended: Option<&'e str>,
}

/// What was announced goes in before what became of it: one statement cannot touch a row twice.
pub(crate) async fn upsert(connection: &mut PgConnection, rows: &[AttemptRow<'_>]) -> Result<(), Failure> {
    let (started, ended): (Vec<AttemptRow<'_>>, Vec<AttemptRow<'_>>) = rows
        .iter()
        .copied()
        .partition(|row| row.attempt.phase == phase::STARTED);
    for rows in [started, ended].into_iter().filter(|rows| !rows.is_empty()) {
        upsert_phase(connection, &rows).await?;
    }
    Ok(())
}

async fn upsert_phase(connection: &mut PgConnection, rows: &[AttemptRow<'_>]) -> Result<(), Failure> {
    sqlx::query(
        r"WITH input AS (
              SELECT DISTINCT ON (tenant, request_id, attempt_id, accepted_at) *, phase = 'started' AS is_start
              FROM UNNEST($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::int[], $6::text[], $7::text[],
                  $8::text[], $9::text[], $10::text[], $11::text[], $12::int[], $13::text[], $14::timestamptz[],
                  $15::bigint[], $16::bigint[], $17::bigint[], $18::text[], $19::text[], $20::text[])
              WITH ORDINALITY AS input (tenant, request_id, attempt_id, accepted_at, turn, src, chain, step, provider,
                  model, route_reason, attempt, phase, at, cost_nanos, input_tokens, output_tokens, usage_source, trace_id,
                  mended, position)
              ORDER BY tenant, request_id, attempt_id, accepted_at, position
          )
          INSERT INTO attempts AS known (tenant, request_id, attempt_id, accepted_at, turn, src, chain, step, provider,
              model, route_reason, attempt, phase, started_at, estimate_nanos, ended_at, cost_nanos, input_tokens,
              output_tokens, usage_source, trace_id, mended)
          SELECT tenant, request_id, attempt_id, accepted_at, turn, src, chain, step, provider, model, route_reason, attempt,
              phase, CASE WHEN is_start THEN at END, CASE WHEN is_start THEN cost_nanos END,
              CASE WHEN NOT is_start THEN at END, CASE WHEN NOT is_start THEN cost_nanos END,
              CASE WHEN NOT is_start THEN input_tokens END, CASE WHEN NOT is_start THEN output_tokens END,
              CASE WHEN NOT is_start THEN usage_source END, trace_id, string_to_array(mended, ',')
          FROM input
          ON CONFLICT (tenant, request_id, attempt_id, accepted_at) DO UPDATE SET
              phase = CASE WHEN known.phase = 'started' THEN excluded.phase ELSE known.phase END,
              started_at = COALESCE(known.started_at, excluded.started_at),
              estimate_nanos = COALESCE(known.estimate_nanos, excluded.estimate_nanos),
              ended_at = COALESCE(known.ended_at, excluded.ended_at),
              cost_nanos = COALESCE(known.cost_nanos, excluded.cost_nanos),
              input_tokens = COALESCE(known.input_tokens, excluded.input_tokens),
              output_tokens = COALESCE(known.output_tokens, excluded.output_tokens),
              usage_source = COALESCE(known.usage_source, excluded.usage_source),
              mended = COALESCE(known.mended, excluded.mended)",
    )
    .bind(column(rows, |row| row.attempt.tenant.as_str()))
    .bind(column(rows, |row| row.attempt.request_id.as_str()))
    .bind(column(rows, |row| row.attempt.attempt_id.as_str()))
    .bind(dates(rows, |row| row.attempt.accepted_at)?)
    .bind(column(rows, |row| row.attempt.turn))
    .bind(column(rows, |row| row.attempt.src.as_str()))
    .bind(column(rows, |row| row.attempt.chain.as_deref()))
    .bind(column(rows, |row| row.attempt.step.as_str()))
    .bind(column(rows, |row| row.attempt.provider.as_str()))
    .bind(column(rows, |row| row.attempt.model.as_str()))
    .bind(column(rows, |row| row.attempt.route_reason.as_str()))
    .bind(column(rows, |row| row.attempt.attempt))
    .bind(column(rows, |row| row.attempt.phase.as_str()))
    .bind(dates(rows, |row| row.attempt.at)?)
    .bind(column(rows, |row| row.attempt.cost.0))
    .bind(column(rows, |row| row.attempt.usage.input_tokens))
    .bind(column(rows, |row| row.attempt.usage.output_tokens))
    .bind(column(rows, |row| row.attempt.usage.source.as_str()))
    .bind(column(rows, |row| row.attempt.trace_id.as_deref()))
    .bind(column(rows, |row| row.mended))
    .execute(connection)
    .await?;
    Ok(())
}

//! Requests and results meet in one row, in whichever order they come: each fills in its own columns.

use schemas::{RunResult, Timestamp};
use sqlx::PgConnection;
use topics::Record;

use super::{column, dates, optional_dates};
use crate::{
    entry::{RequestRow, Said},
    failure::Failure,
};

/// A result, and where it lies in its topic.
pub(crate) struct ResultRow<'e> {
    pub record: &'e Record,
    pub result: &'e RunResult,
    pub mended: Option<&'e str>,
}

#[derive(Clone, Copy)]
pub(crate) struct Asked<'e> {
    pub request: &'e RequestRow,
    pub mended: Option<&'e str>,
}

/// Says where the runs lie: the first record of a run decides. A statement of its own, so that the next one sees what
/// another recorder has just committed.
pub(crate) async fn index(
    connection: &mut PgConnection,
    requests: &[Asked<'_>],
    results: &[ResultRow<'_>],
) -> Result<(), Failure> {
    let runs: Vec<(&str, &str, Timestamp)> =
        requests
            .iter()
            .map(|Asked { request, .. }| {
                (
                    request.identity.tenant.as_str(),
                    request.identity.request_id.as_str(),
                    request.accepted_at,
                )
            })
            .chain(results.iter().map(|ResultRow { result, .. }| {
                (result.tenant.as_str(), result.request_id.as_str(), result.accepted_at)
            }))
            .collect();
    sqlx::query(
        r"INSERT INTO run_index (tenant, request_id, accepted_at)
          SELECT DISTINCT ON (tenant, request_id) tenant, request_id, accepted_at
          FROM UNNEST($1::text[], $2::text[], $3::timestamptz[]) WITH ORDINALITY
              AS run (tenant, request_id, accepted_at, position)
          ORDER BY tenant, request_id, position
          ON CONFLICT DO NOTHING",
    )
    .bind(column(&runs, |(tenant, ..)| *tenant))
    .bind(column(&runs, |(_, request_id, _)| *request_id))
    .bind(dates(&runs, |(.., accepted_at)| *accepted_at)?)
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) async fn upsert_requests(connection: &mut PgConnection, rows: &[Asked<'_>]) -> Result<(), Failure> {
    sqlx::query(
        r"WITH input AS (
              SELECT DISTINCT ON (tenant, request_id, turn) *
              FROM UNNEST($1::text[], $2::text[], $3::int[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                  $9::timestamptz[], $10::text[], $11::text[], $12::timestamptz[], $13::text[], $14::text[], $15::bytea[], $16::text[]) WITH ORDINALITY
                  AS input (tenant, request_id, turn, request_src, kind, requested_chain, input, params, deadline,
                      conversation, metadata, created_at, trace_id, key, key_bytes, mended, position)
              ORDER BY tenant, request_id, turn, position
          )
          INSERT INTO runs AS run (tenant, request_id, turn, accepted_at, request_src, kind, requested_chain, input, params,
              deadline, conversation, metadata, created_at, trace_id, key, key_bytes, mended)
          SELECT tenant, request_id, turn, accepted_at, request_src, kind, requested_chain, input, params, deadline,
              conversation, metadata, created_at, trace_id, key, key_bytes, string_to_array(mended, ',')
          FROM input JOIN run_index USING (tenant, request_id)
          ORDER BY tenant, request_id, turn
          ON CONFLICT (tenant, request_id, turn, accepted_at) DO UPDATE SET
              request_src = excluded.request_src, kind = excluded.kind, requested_chain = excluded.requested_chain,
              input = excluded.input, params = excluded.params, deadline = excluded.deadline,
              conversation = excluded.conversation, metadata = excluded.metadata, created_at = excluded.created_at,
              trace_id = excluded.trace_id, key = excluded.key, key_bytes = excluded.key_bytes,
              mended = run.mended || excluded.mended
          WHERE run.request_src IS NULL",
    )
    .bind(column(rows, |row| row.request.identity.tenant.as_str()))
    .bind(column(rows, |row| row.request.identity.request_id.as_str()))
    .bind(column(rows, |row| row.request.turn))
    .bind(column(rows, |row| row.request.identity.src.as_str()))
    .bind(said(rows, |said| said.kind.as_str()))
    .bind(said(rows, |said| said.chain.as_str()))
    .bind(said(rows, |said| said.input.as_str()))
    .bind(said(rows, |said| said.params.as_str()))
    .bind(optional_dates(rows, |row| row.request.said.as_ref()?.deadline)?)
    .bind(column(rows, |row| row.request.said.as_ref()?.conversation.as_deref()))
    .bind(said(rows, |said| said.metadata.as_str()))
    .bind(optional_dates(rows, |row| row.request.said.as_ref()?.created_at)?)
    .bind(column(rows, |row| row.request.trace_id.as_deref()))
    .bind(column(rows, |row| Some(row.request.key.as_ref()?.text.as_str())))
    .bind(column(rows, |row| row.request.key.as_ref()?.bytes.as_deref()))
    .bind(column(rows, |row| row.mended))
    .execute(connection)
    .await?;
    Ok(())
}

/// A column of requests that can be read.
fn said<'e, T>(rows: &[Asked<'e>], value: impl Fn(&'e Said) -> T) -> Vec<Option<T>> {
    rows.iter().map(|row| row.request.said.as_ref().map(&value)).collect()
}

/// The first result of a run is its result. Another one, of a request that was produced again, is kept beside it.
/// Returns how many of those there were.
pub(crate) async fn upsert_results(connection: &mut PgConnection, rows: &[ResultRow<'_>]) -> Result<u64, Failure> {
    let duplicates = sqlx::query(
        r"WITH input AS (
              SELECT * FROM UNNEST($1::text[], $2::text[], $3::int[], $4::text[], $5::timestamptz[], $6::text[], $7::text[],
                  $8::text[], $9::text[], $10::text[], $11::text[], $12::bigint[], $13::bigint[], $14::text[],
                  $15::bigint[], $16::bigint[], $17::bigint[], $18::int[], $19::text[], $20::timestamptz[], $21::int[],
                  $22::bigint[], $23::text[])
                  WITH ORDINALITY AS input (tenant, request_id, turn, src, own_accepted_at, status, chain, output,
                      error_class, error_message, error_step, input_tokens, output_tokens, usage_source, cost_nanos,
                      queued_us, ran_us, attempts, state, completed_at, result_partition, result_offset,
                      mended, position)
          ), first AS (
              SELECT DISTINCT ON (tenant, request_id, turn) * FROM input ORDER BY tenant, request_id, turn, position
          ), recorded AS (
              INSERT INTO runs AS run (tenant, request_id, turn, accepted_at, status, result_src, chain, output, error_class,
                  error_message, error_step, input_tokens, output_tokens, usage_source, cost_nanos, queued_us, ran_us,
                  attempts, state, completed_at, result_partition, result_offset, mended)
              SELECT tenant, request_id, turn, accepted_at, status, src, chain, output, error_class, error_message,
                  error_step, input_tokens, output_tokens, usage_source, cost_nanos, queued_us, ran_us, attempts, state,
                  completed_at, result_partition, result_offset, string_to_array(mended, ',')
              FROM first JOIN run_index USING (tenant, request_id)
              ORDER BY tenant, request_id, turn
              ON CONFLICT (tenant, request_id, turn, accepted_at) DO UPDATE SET
                  status = excluded.status, result_src = excluded.result_src, chain = excluded.chain,
                  output = excluded.output, error_class = excluded.error_class, error_message = excluded.error_message,
                  error_step = excluded.error_step, input_tokens = excluded.input_tokens,
                  output_tokens = excluded.output_tokens, usage_source = excluded.usage_source,
                  cost_nanos = excluded.cost_nanos, queued_us = excluded.queued_us, ran_us = excluded.ran_us,
                  attempts = excluded.attempts, state = excluded.state, completed_at = excluded.completed_at,
                  result_partition = excluded.result_partition, result_offset = excluded.result_offset,
                  mended = CASE WHEN run.result_src IS NULL THEN run.mended || excluded.mended ELSE run.mended END
              WHERE run.result_src IS NULL OR run.result_src = excluded.result_src
              RETURNING tenant, request_id, turn, result_src
          )
          INSERT INTO duplicate_results (tenant, request_id, turn, src, accepted_at, status, chain, output, error_class,
              error_message, error_step, input_tokens, output_tokens, usage_source, cost_nanos, queued_us, ran_us,
              attempts, state, completed_at, mended)
          SELECT tenant, request_id, turn, src, own_accepted_at, status, chain, output, error_class, error_message,
              error_step, input_tokens, output_tokens, usage_source, cost_nanos, queued_us, ran_us, attempts, state,
              completed_at, string_to_array(mended, ',')
          FROM input LEFT JOIN recorded USING (tenant, request_id, turn)
          WHERE recorded.result_src IS DISTINCT FROM input.src
          ON CONFLICT DO NOTHING",
    )
    .bind(column(rows, |row| row.result.tenant.as_str()))
    .bind(column(rows, |row| row.result.request_id.as_str()))
    .bind(column(rows, |row| row.result.turn))
    .bind(column(rows, |row| row.result.src.as_str()))
    .bind(dates(rows, |row| row.result.accepted_at)?)
    .bind(column(rows, |row| row.result.status.as_str()))
    .bind(column(rows, |row| row.result.chain.as_deref()))
    .bind(column(rows, |row| row.result.output.as_deref()))
    .bind(column(rows, |row| row.result.error.as_ref().map(|error| error.class.as_str())))
    .bind(column(rows, |row| row.result.error.as_ref().map(|error| error.message.as_str())))
    .bind(column(rows, |row| row.result.error.as_ref().and_then(|error| error.step.as_deref())))
    .bind(column(rows, |row| row.result.usage.input_tokens))
    .bind(column(rows, |row| row.result.usage.output_tokens))
    .bind(column(rows, |row| row.result.usage.source.as_str()))
    .bind(column(rows, |row| row.result.cost.0))
    .bind(column(rows, |row| row.result.timings.queued_us))
    .bind(column(rows, |row| row.result.timings.ran_us))
    .bind(column(rows, |row| row.result.attempts))
    .bind(column(rows, |row| row.result.state.as_deref()))
    .bind(dates(rows, |row| row.result.completed_at)?)
    .bind(column(rows, |row| row.record.partition))
    .bind(column(rows, |row| row.record.offset))
    .bind(column(rows, |row| row.mended))
    .execute(connection)
    .await?;
    Ok(duplicates.rows_affected())
}

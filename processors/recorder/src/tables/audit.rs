use schemas::Audit;
use serde_json::json;
use sqlx::PgConnection;
use topics::Record;

use super::{column, dates};
use crate::failure::Failure;

/// An audit record, and where it lies in its topic.
pub(crate) struct AuditRow<'e> {
    pub record: &'e Record,
    pub audit: &'e Audit,
    pub mended: Option<&'e str>,
}

pub(crate) async fn insert(connection: &mut PgConnection, rows: &[AuditRow<'_>]) -> Result<(), Failure> {
    sqlx::query(
        r"INSERT INTO audit (tenant, request_id, accepted_at, topic_partition, topic_offset, kind, attempt_id, turn, src,
              chain, step, provider, model, route_reason, attempt, outcome, input_tokens, output_tokens, usage_source,
              cost_nanos, queue_us, connect_us, first_token_us, total_us, prompt, response, prompt_sha256,
              response_sha256, documents, trace_id, started_at, trail, trail_left_out,
              mended)
          SELECT tenant, request_id, accepted_at, topic_partition, topic_offset, kind, attempt_id, turn, src,
              chain, step, provider, model, route_reason, attempt, outcome, input_tokens, output_tokens, usage_source,
              cost_nanos, queue_us, connect_us, first_token_us, total_us, prompt, response, prompt_sha256,
              response_sha256, documents, trace_id, started_at, trail, trail_left_out,
              string_to_array(mended, ',')
          FROM UNNEST($1::text[], $2::text[], $3::timestamptz[], $4::int[], $5::bigint[], $6::text[], $7::text[],
              $8::int[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::int[],
              $16::text[], $17::bigint[], $18::bigint[], $19::text[], $20::bigint[], $21::bigint[], $22::bigint[],
              $23::bigint[], $24::bigint[], $25::text[], $26::text[], $27::text[], $28::text[], $29::text[], $30::text[],
              $31::timestamptz[], $32::text[], $33::int[], $34::text[])
              AS input (tenant, request_id, accepted_at, topic_partition, topic_offset, kind, attempt_id, turn, src,
              chain, step, provider, model, route_reason, attempt, outcome, input_tokens, output_tokens, usage_source,
              cost_nanos, queue_us, connect_us, first_token_us, total_us, prompt, response, prompt_sha256,
              response_sha256, documents, trace_id, started_at, trail, trail_left_out, mended)
          ON CONFLICT DO NOTHING",
    )
    .bind(column(rows, |row| row.audit.tenant.as_str()))
    .bind(column(rows, |row| row.audit.request_id.as_str()))
    .bind(dates(rows, |row| row.audit.accepted_at)?)
    .bind(column(rows, |row| row.record.partition))
    .bind(column(rows, |row| row.record.offset))
    .bind(column(rows, |row| row.audit.kind.as_str()))
    .bind(column(rows, |row| row.audit.attempt_id.as_deref()))
    .bind(column(rows, |row| row.audit.turn))
    .bind(column(rows, |row| row.audit.src.as_str()))
    .bind(column(rows, |row| row.audit.chain.as_deref()))
    .bind(column(rows, |row| row.audit.step.as_str()))
    .bind(column(rows, |row| row.audit.provider.as_str()))
    .bind(column(rows, |row| row.audit.model.as_str()))
    .bind(column(rows, |row| row.audit.route_reason.as_str()))
    .bind(column(rows, |row| row.audit.attempt))
    .bind(column(rows, |row| row.audit.outcome.as_str()))
    .bind(column(rows, |row| row.audit.usage.input_tokens))
    .bind(column(rows, |row| row.audit.usage.output_tokens))
    .bind(column(rows, |row| row.audit.usage.source.as_str()))
    .bind(column(rows, |row| row.audit.cost.0))
    .bind(column(rows, |row| row.audit.queue_us))
    .bind(column(rows, |row| row.audit.connect_us))
    .bind(column(rows, |row| row.audit.first_token_us))
    .bind(column(rows, |row| row.audit.total_us))
    .bind(column(rows, |row| row.audit.prompt.as_deref()))
    .bind(column(rows, |row| row.audit.response.as_deref()))
    .bind(column(rows, |row| row.audit.prompt_sha256.as_str()))
    .bind(column(rows, |row| row.audit.response_sha256.as_str()))
    .bind(column(rows, |row| json!(row.audit.documents).to_string()))
    .bind(column(rows, |row| row.audit.trace_id.as_deref()))
    .bind(dates(rows, |row| row.audit.started_at)?)
    .bind(column(rows, |row| json!(row.audit.trail).to_string()))
    .bind(column(rows, |row| row.audit.trail_left_out))
    .bind(column(rows, |row| row.mended))
    .execute(connection)
    .await?;
    Ok(())
}

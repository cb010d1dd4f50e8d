//! A paid call of a run: what was written before it, and what the audit says of it afterwards.

use schemas::{Timestamp, Usage, phase};
use serde::Serialize;
use serde_json::Value;
use sqlx::{Row, postgres::PgRow};

use super::Place;
use crate::run;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Step {
    pub attempt_id: String,
    pub turn: i32,
    /// The id of the step in its chain.
    pub step: String,
    pub provider: String,
    pub model: String,
    pub route_reason: String,
    /// 1 for the first attempt.
    pub attempt: i32,
    /// `ok` or the class of the error. Until the result of the run is committed: `started`, `settled` or `abandoned`.
    pub outcome: String,
    pub usage: Usage,
    /// 10⁻⁹ dollars; an estimate as long as the outcome is `started`.
    pub cost_nano_dollars: i64,
    #[serde(serialize_with = "run::rfc_3339")]
    pub started_at: Option<Timestamp>,
    /// When it was over; none as long as that is not known.
    #[serde(serialize_with = "run::rfc_3339")]
    pub ended_at: Option<Timestamp>,
    #[serde(flatten)]
    pub audited: Option<Audited>,
}

/// What only the audit says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Audited {
    pub queue_us: i64,
    pub connect_us: i64,
    pub first_token_us: Option<i64>,
    pub total_us: i64,
    /// Absent when the audit is set to keep hashes only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<String>,
    pub prompt_sha256: String,
    pub response_sha256: String,
    /// What was retrieved for it: `[{index, namespace, id, score}]`.
    pub documents: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// Where the audit record lies.
    pub record: Place,
}

/// Parameters: tenant, request id, and whether with prompts and responses. An attempt is in the books before it is in the audit; one that lost its
/// write-ahead is not thinkable, but the audit alone must do.
pub(super) const SELECT: &str = "
    WITH run AS (SELECT * FROM run_index WHERE tenant = $1 AND request_id = $2),
         booked AS (SELECT attempts.* FROM attempts JOIN run USING (tenant, request_id, accepted_at)),
         audited AS (SELECT audit.* FROM audit JOIN run USING (tenant, request_id, accepted_at) WHERE kind = 'attempt')
    SELECT coalesce(a.attempt_id, b.attempt_id, '') AS attempt_id,
           coalesce(a.turn, b.turn) AS turn, coalesce(a.step, b.step) AS step,
           coalesce(a.provider, b.provider) AS provider, coalesce(a.model, b.model) AS model,
           coalesce(a.route_reason, b.route_reason) AS route_reason, coalesce(a.attempt, b.attempt) AS attempt,
           coalesce(a.outcome, b.phase) AS outcome,
           coalesce(a.input_tokens, b.input_tokens, 0) AS input_tokens,
           coalesce(a.output_tokens, b.output_tokens, 0) AS output_tokens,
           coalesce(a.usage_source, b.usage_source, '') AS usage_source,
           coalesce(a.cost_nanos, b.cost_nanos, b.estimate_nanos, 0) AS cost_nanos,
           (extract(epoch FROM coalesce(b.started_at, a.started_at)) * 1000000)::bigint AS started_us,
           (extract(epoch FROM coalesce(b.ended_at, a.started_at + a.total_us * interval '1 microsecond')) * 1000000)::bigint
               AS ended_us,
           a.queue_us, a.connect_us, a.first_token_us, a.total_us, a.topic_partition, a.topic_offset,
           CASE WHEN $3 THEN a.prompt END AS prompt, CASE WHEN $3 THEN a.response END AS response,
           a.prompt_sha256, a.response_sha256, a.documents, a.trace_id
    FROM audited a FULL JOIN booked b ON a.attempt_id = b.attempt_id
    ORDER BY coalesce(b.started_at, a.started_at), attempt_id";

/// Parameters: tenant and request id. The audit record of each turn has all that was retrieved, and what its steps did.
pub(super) const TURNS: &str = "
    SELECT DISTINCT ON (turn) turn, documents, trail, trail_left_out
    FROM audit JOIN run_index USING (tenant, request_id, accepted_at)
    WHERE tenant = $1 AND request_id = $2 AND kind = 'run' ORDER BY turn, topic_partition, topic_offset";

/// What the audit of a turn says of its steps.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct TurnTaken {
    pub turn: i32,
    /// `[{step, kind, outcome, attempts, began_us, took_us}]`, in the order of their ends.
    pub trail: Value,
    /// Steps that are not in it, because there were too many.
    pub left_out: i32,
    /// Everything that was retrieved: `[{index, namespace, id, score}]`.
    pub documents: Value,
}

impl TurnTaken {
    pub(super) fn of(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            turn: row.try_get("turn")?,
            trail: run::json(row.try_get("trail")?),
            left_out: row.try_get("trail_left_out")?,
            documents: run::json(row.try_get("documents")?),
        })
    }
}

impl Step {
    /// Whether it is over: settled or abandoned in the books, or audited.
    pub fn has_ended(&self) -> bool {
        self.outcome != phase::STARTED
    }

    pub(super) fn of(row: &PgRow, audit_topic: &str) -> Result<Self, sqlx::Error> {
        Ok(Self {
            attempt_id: row.try_get("attempt_id")?,
            turn: row.try_get("turn")?,
            step: row.try_get("step")?,
            provider: row.try_get("provider")?,
            model: row.try_get("model")?,
            route_reason: row.try_get("route_reason")?,
            attempt: row.try_get("attempt")?,
            outcome: row.try_get("outcome")?,
            usage: Usage {
                input_tokens: row.try_get("input_tokens")?,
                output_tokens: row.try_get("output_tokens")?,
                source: row.try_get("usage_source")?,
            },
            cost_nano_dollars: row.try_get("cost_nanos")?,
            started_at: row.try_get::<Option<i64>, _>("started_us")?.map(Timestamp),
            ended_at: row.try_get::<Option<i64>, _>("ended_us")?.map(Timestamp),
            audited: audited(row, audit_topic)?,
        })
    }
}

fn audited(row: &PgRow, audit_topic: &str) -> Result<Option<Audited>, sqlx::Error> {
    let Some(total_us) = row.try_get("total_us")? else {
        return Ok(None);
    };
    Ok(Some(Audited {
        queue_us: row.try_get("queue_us")?,
        connect_us: row.try_get("connect_us")?,
        first_token_us: row.try_get("first_token_us")?,
        total_us,
        prompt: row.try_get("prompt")?,
        response: row.try_get("response")?,
        prompt_sha256: row.try_get("prompt_sha256")?,
        response_sha256: row.try_get("response_sha256")?,
        documents: run::json(row.try_get("documents")?),
        trace_id: row.try_get("trace_id")?,
        record: Place {
            topic: audit_topic.to_owned(),
            partition: row.try_get("topic_partition")?,
            offset: row.try_get("topic_offset")?,
        },
    }))
}

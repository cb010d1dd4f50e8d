//! Records as evidence: decoded, looked at, and reduced to what the checks need.

use std::collections::BTreeMap;

use schemas::{
    Attempt, Audit, DeadLetter, DecodeError, Decoder, Registry, Request, RunResult, Shape, audit_kind, headers,
    identity::{Claims, identify},
    request_kind, status,
};
use serde_json::{Value, json};

use super::{columns::Columns, patience::patiently, scan::Scanned};
use crate::chaos::check::evidence::{
    AttemptRecord, AuditRecord, DeadLetterRecord, EmittedRecord, Form, Identity, RequestRecord, ResultRecord,
    fingerprint, json_fingerprint,
};

/// Reads the request topics.
pub(super) struct Requests {
    decoder: Decoder<Request>,
    /// Topics that begin with it hold Millrace's own requests.
    own: String,
}

impl Requests {
    pub(super) fn new(registry: &Registry, prefix: &str) -> anyhow::Result<Self> {
        Ok(Self {
            decoder: registry.decoder()?,
            own: format!("{prefix}requests"),
        })
    }

    pub(super) async fn read(&self, topic: &str, record: &Scanned) -> anyhow::Result<RequestRecord> {
        let (request, form) = if !topic.starts_with(&self.own) {
            (None, Form::Plain)
        } else {
            match decode(&self.decoder, record).await? {
                Ok(request) => {
                    let form = form(&request);
                    (Some(request), form)
                }
                Err(_) => (None, Form::Undecodable),
            }
        };
        let claims = Claims {
            topic,
            partition: record.partition,
            offset: record.offset,
            request_id_header: record.header(headers::REQUEST_ID),
            tenant_header: record.header(headers::TENANT),
            request_id_field: request.as_ref().and_then(|request| request.request_id.as_deref()),
            tenant_field: request.as_ref().map(|request| request.tenant.as_str()),
            topic_tenant: None,
        };
        let (identity, form) = match identify(&claims) {
            Ok(identity) => (identity, form),
            Err(invalid) if form == Form::Undecodable => (invalid.identity, form),
            Err(invalid) => (invalid.identity, Form::Invalid),
        };
        Ok(RequestRecord {
            topic: topic.to_owned(),
            partition: record.partition,
            offset: record.offset,
            key: key(record),
            bytes: bytes(record.key.as_deref(), record.value.as_deref(), &record.headers),
            request_id: identity.request_id,
            tenant: identity.tenant,
            form,
        })
    }
}

fn form(request: &Request) -> Form {
    let is_json = |text: &str| text.is_empty() || serde_json::from_str::<Value>(text).is_ok();
    let is_kind = [request_kind::RUN, request_kind::RESUME].contains(&request.kind.as_str());
    if is_kind && is_json(&request.input) && is_json(&request.params) {
        Form::Request
    } else {
        Form::Invalid
    }
}

/// The inner error: these bytes are no such record, and never will be.
pub(super) async fn decode<S: Shape>(decoder: &Decoder<S>, record: &Scanned) -> anyhow::Result<Result<S, DecodeError>> {
    let bytes = record.value.as_deref().unwrap_or_default();
    patiently("the schema registry", async || match decoder.decode(bytes).await {
        Err(error) if error.is_transient() => Err(error.into()),
        decoded => Ok(decoded),
    })
    .await
}

/// `emits`: the chains that emit, and where to.
pub(super) fn result(record: &Scanned, result: &RunResult, emits: &BTreeMap<String, String>) -> ResultRecord {
    let error = result.error.as_ref();
    let row = Columns::default()
        .text(result.status.as_str())
        .text(result.chain.as_deref())
        .text(result.output.as_deref())
        .text(error.map(|error| error.class.as_str()))
        .text(error.map(|error| error.message.as_str()))
        .text(error.and_then(|error| error.step.as_deref()))
        .number(result.usage.input_tokens)
        .number(result.usage.output_tokens)
        .text(result.usage.source.as_str())
        .number(result.cost.0)
        .number(result.timings.queued_us)
        .number(result.timings.ran_us)
        .number(i64::from(result.attempts))
        .text(result.state.as_deref())
        .number(result.completed_at.0);
    let chain = result.chain.as_deref().and_then(|chain| chain.split('@').next());
    let emits = chain.and_then(|chain| emits.get(chain));
    ResultRecord {
        partition: record.partition,
        offset: record.offset,
        key: key(record),
        at_ms: record.at_ms,
        header: Identity {
            src: record.text(headers::SRC),
            request_id: record.text(headers::REQUEST_ID),
            tenant: record.text(headers::TENANT),
        },
        body: Identity {
            src: result.src.clone(),
            request_id: result.request_id.clone(),
            tenant: result.tenant.clone(),
        },
        turn: result.turn,
        status: result.status.clone(),
        has_chain: result.chain.is_some(),
        attempts: result.attempts,
        cost: result.cost.0,
        output: result.output.as_deref().map(of_json),
        emits_to: emits.filter(|_| result.status == status::COMPLETED).cloned(),
        row: row.fingerprint(),
    }
}

pub(super) fn audit(record: &Scanned, audit: &Audit) -> AuditRecord {
    let row = Columns::default()
        .text(audit.kind.as_str())
        .text(audit.attempt_id.as_deref())
        .text(audit.tenant.as_str())
        .text(audit.request_id.as_str())
        .number(i64::from(audit.turn))
        .text(audit.src.as_str())
        .number(audit.accepted_at.0)
        .text(audit.chain.as_deref())
        .text(audit.step.as_str())
        .text(audit.provider.as_str())
        .text(audit.model.as_str())
        .text(audit.route_reason.as_str())
        .number(i64::from(audit.attempt))
        .text(audit.outcome.as_str())
        .number(audit.usage.input_tokens)
        .number(audit.usage.output_tokens)
        .text(audit.usage.source.as_str())
        .number(audit.cost.0)
        .number(audit.queue_us)
        .number(audit.connect_us)
        .number(audit.first_token_us)
        .number(audit.total_us)
        .text(audit.prompt.as_deref())
        .text(audit.response.as_deref())
        .text(audit.prompt_sha256.as_str())
        .text(audit.response_sha256.as_str())
        .text(json!(audit.documents).to_string().as_str())
        .text(audit.trace_id.as_deref())
        .number(audit.started_at.0)
        .text(json!(audit.trail).to_string().as_str())
        .number(i64::from(audit.trail_left_out));
    AuditRecord {
        partition: record.partition,
        offset: record.offset,
        is_run: audit.kind == audit_kind::RUN,
        attempt_id: audit.attempt_id.clone(),
        src: audit.src.clone(),
        request_id: audit.request_id.clone(),
        turn: audit.turn,
        cost: audit.cost.0,
        row: row.fingerprint(),
    }
}

pub(super) fn attempt(record: &Scanned, attempt: Attempt) -> AttemptRecord {
    AttemptRecord {
        partition: record.partition,
        offset: record.offset,
        attempt_id: attempt.attempt_id,
        phase: attempt.phase,
        src: attempt.src,
        request_id: attempt.request_id,
        cost: attempt.cost.0,
        at: attempt.at.0,
    }
}

pub(super) fn dead_letter(record: &Scanned, letter: DeadLetter) -> DeadLetterRecord {
    let row = Columns::default()
        .text(letter.request_id.as_str())
        .text(letter.tenant.as_str())
        .number(letter.accepted_at.0)
        .bytes(letter.key.as_deref())
        .bytes(letter.value.as_deref())
        .text(letter.class.as_str())
        .text(letter.message.as_str())
        .text(letter.chain.as_deref())
        .number(letter.failed_at.0);
    let headers: Vec<_> = letter
        .headers
        .into_iter()
        .map(|header| (header.raw_name().to_vec(), header.value))
        .collect();
    DeadLetterRecord {
        partition: record.partition,
        offset: record.offset,
        src: format!("{}/{}/{}", letter.topic, letter.partition, letter.offset),
        bytes: bytes(letter.key.as_deref(), letter.value.as_deref(), &headers),
        row: row.fingerprint(),
    }
}

/// What Millrace wrote into a topic of an owner's.
pub(super) fn emitted(topic: &str, record: &Scanned) -> EmittedRecord {
    let value = std::str::from_utf8(record.value.as_deref().unwrap_or_default()).unwrap_or_default();
    EmittedRecord {
        topic: topic.to_owned(),
        partition: record.partition,
        offset: record.offset,
        key: key(record),
        identity: Identity {
            src: record.text(headers::SRC),
            request_id: record.text(headers::REQUEST_ID),
            tenant: record.text(headers::TENANT),
        },
        output: of_json(value),
    }
}

/// The fingerprint of a text that should be JSON.
fn of_json(text: &str) -> u64 {
    serde_json::from_str::<Value>(text).map_or_else(|_| fingerprint(&text), |value| json_fingerprint(&value))
}

fn key(record: &Scanned) -> Option<u64> {
    record.key.as_ref().map(fingerprint)
}

fn bytes(key: Option<&[u8]>, value: Option<&[u8]>, headers: &[(Vec<u8>, Option<Vec<u8>>)]) -> u64 {
    fingerprint(&(key, value, headers))
}

//! The records that tell what became of a request: its result, and its audit.

use base64::prelude::{BASE64_STANDARD, Engine};
use schemas::{Audit, RunError, RunResult, Timestamp, Timings, audit_kind, brief, identity::Identity, status};
use serde_json::json;
use sha2::{Digest, Sha256};
use topics::{Record, engine::Rejection};

use crate::{
    chain::{Ending, Failure, Outcome},
    node::{Work, trace_id},
    request::Sender,
};

pub(crate) struct Report {
    pub(crate) result: RunResult,
    /// One row per attempt of a paid call.
    pub(crate) attempts: Vec<Audit>,
    /// The row that is there for every result.
    pub(crate) run: Audit,
}

impl Report {
    /// Of a run that began at `started_at` and has just ended.
    pub(crate) fn of_run(work: &Work, record: &Record, outcome: Outcome, started_at: Timestamp) -> Self {
        let Outcome { ending, bill, trail } = outcome;
        let completed_at = Timestamp::now();
        let asked_at = Timestamp::from_millis(record.accepted_ms());
        let mut state = None;
        let (status, output, error) = match ending {
            Ending::Completed(output) => (status::COMPLETED, Some(output.to_string()), None),
            Ending::Interrupted(interrupted) => {
                let key = record.key.as_ref().map(|key| BASE64_STANDARD.encode(key));
                let waiting = json!({"approvals": interrupted.approvals});
                state = Some(json!(interrupted.with_key(key)).to_string());
                (status::INTERRUPTED, Some(waiting.to_string()), None)
            }
            Ending::Failed(failure) => (status::FAILED, None, Some(run_error(failure))),
            Ending::Cancelled(failure) => (status::CANCELLED, None, Some(run_error(failure))),
        };
        let result = RunResult {
            turn: work.turn,
            chain: Some(work.chain.id.clone()),
            status: status.to_owned(),
            output,
            error,
            usage: bill.usage,
            cost: bill.cost,
            timings: Timings {
                queued_us: started_at.micros_since(asked_at),
                ran_us: completed_at.micros_since(started_at),
            },
            attempts: i32::try_from(bill.attempts.len()).unwrap_or(i32::MAX),
            state,
            completed_at,
            ..result_for(&work.identity, work.accepted_at)
        };
        let run = Audit {
            // The texts are in the request and in the result: this holds them to it.
            prompt_sha256: sha256(&work.accepted.input.to_string()),
            response_sha256: result.output.as_deref().map(sha256).unwrap_or_default(),
            documents: bill.documents,
            trail: trail.steps,
            trail_left_out: trail.left_out,
            started_at,
            ..run_row(&result, record)
        };
        Self {
            result,
            attempts: bill.attempts,
            run,
        }
    }

    /// Of a request that never ran, or whose outputs were refused; `chain` as far as it is known.
    pub(crate) fn of_rejected(sender: &Sender, chain: Option<String>, record: &Record, rejection: &Rejection) -> Self {
        let now = Timestamp::now();
        let asked_at = Timestamp::from_millis(record.timestamp_ms);
        let result = RunResult {
            turn: sender.turn,
            chain,
            timings: Timings {
                queued_us: now.micros_since(Timestamp::from_millis(record.accepted_ms())),
                ran_us: 0,
            },
            completed_at: now,
            ..result_for(&sender.identity, sender.accepted_at.unwrap_or(asked_at))
        };
        let run = Audit {
            started_at: now,
            ..run_row(&result, record)
        };
        Self {
            result,
            attempts: Vec::new(),
            run,
        }
        .rejected(rejection)
    }

    /// The same, as a failure.
    pub(crate) fn rejected(self, Rejection { class, message }: &Rejection) -> Self {
        let error = RunError {
            class: class.clone(),
            message: brief(message).into_owned(),
            step: None,
        };
        let status = status::FAILED.to_owned();
        Self {
            result: RunResult {
                status,
                output: None,
                state: None,
                error: Some(error),
                ..self.result
            },
            run: Audit {
                outcome: class.clone(),
                response_sha256: String::new(),
                ..self.run
            },
            ..self
        }
    }
}

fn result_for(identity: &Identity, accepted_at: Timestamp) -> RunResult {
    RunResult {
        request_id: identity.request_id.clone(),
        tenant: identity.tenant.clone(),
        src: identity.src.clone(),
        accepted_at,
        ..RunResult::default()
    }
}

fn run_row(result: &RunResult, record: &Record) -> Audit {
    Audit {
        kind: audit_kind::RUN.to_owned(),
        request_id: result.request_id.clone(),
        tenant: result.tenant.clone(),
        src: result.src.clone(),
        accepted_at: result.accepted_at,
        turn: result.turn,
        chain: result.chain.clone(),
        outcome: result
            .error
            .as_ref()
            .map_or_else(|| "ok".to_owned(), |error| error.class.clone()),
        usage: result.usage.clone(),
        cost: result.cost,
        queue_us: result.timings.queued_us,
        total_us: result.timings.ran_us,
        trace_id: trace_id(record),
        ..Audit::default()
    }
}

fn run_error(failure: Failure) -> RunError {
    RunError {
        class: failure.class,
        message: brief(&failure.message).into_owned(),
        step: failure.step,
    }
}

fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

//! The records that tell how a run ended: its result, and its audit.

use schemas::{Audit, RunError, RunResult, Timestamp, Timings, audit_kind, status};
use sha2::{Digest, Sha256};
use topics::Record;

use crate::{
    chain::{Ending, Failure, Outcome},
    node::{Work, trace_id},
};

/// The result of a run that began at `started_at` and has just ended, and its audit: a row for each attempt of a paid
/// call, and one for the run.
pub(crate) fn report(work: &Work, record: &Record, outcome: Outcome, started_at: Timestamp) -> (RunResult, Vec<Audit>) {
    let Outcome { ending, bill } = outcome;
    let completed_at = Timestamp::now();
    let accepted_at = Timestamp::from_millis(record.timestamp_ms);
    let (status, output, error) = match ending {
        Ending::Completed(output) => (status::COMPLETED, Some(output.to_string()), None),
        Ending::Failed(failure) => (status::FAILED, None, Some(run_error(failure))),
        Ending::Cancelled(failure) => (status::CANCELLED, None, Some(run_error(failure))),
    };
    let result = RunResult {
        request_id: work.identity.request_id.clone(),
        tenant: work.identity.tenant.clone(),
        src: work.identity.src.clone(),
        accepted_at,
        turn: work.turn,
        chain: Some(work.chain.id.clone()),
        status: status.to_owned(),
        output,
        error,
        usage: bill.usage,
        cost: bill.cost,
        timings: Timings {
            queued_us: started_at.micros_since(accepted_at),
            ran_us: completed_at.micros_since(started_at),
        },
        attempts: i32::try_from(bill.attempts.len()).unwrap_or(i32::MAX),
        state: None,
        completed_at,
    };
    let run = Audit {
        kind: audit_kind::RUN.to_owned(),
        request_id: result.request_id.clone(),
        tenant: result.tenant.clone(),
        src: result.src.clone(),
        accepted_at,
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
        // The texts are in the request and in the result: here is what holds them to it.
        prompt_sha256: sha256(&work.accepted.input.to_string()),
        response_sha256: result.output.as_deref().map(sha256).unwrap_or_default(),
        documents: bill.documents,
        trace_id: trace_id(record),
        started_at,
        ..Audit::default()
    };
    let mut audit = bill.attempts;
    audit.push(run);
    (result, audit)
}

fn run_error(failure: Failure) -> RunError {
    RunError {
        class: failure.class,
        message: failure.message,
        step: failure.step,
    }
}

fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

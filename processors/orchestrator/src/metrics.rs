//! What the orchestrator counts. The engine counts what is consumed, committed and left to do.

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use schemas::RunResult;

const RUNS: &str = "millrace_runs_total";
const RUN_SECONDS: &str = "millrace_run_seconds";
const IN_FLIGHT: &str = "millrace_runs_in_flight";
const UNUSABLE: &str = "millrace_chain_unusable";
const REJECTED: &str = "millrace_requests_rejected_total";

pub(crate) fn describe() {
    describe_counter!(RUNS, "Runs that ended, by chain and status");
    describe_histogram!(
        RUN_SECONDS,
        Unit::Seconds,
        "From the acceptance of a request to its outcome, by chain"
    );
    describe_gauge!(IN_FLIGHT, "Runs under way");
    describe_gauge!(
        UNUSABLE,
        "1 for a published chain that cannot run here, by name@version"
    );
    describe_counter!(REJECTED, "Requests that became dead letters, by error class");
}

pub(crate) fn ended(chain: &str, result: &RunResult) {
    let chain = chain.to_owned();
    counter!(RUNS, "chain" => chain.clone(), "status" => result.status.clone()).increment(1);
    let latency = (result.timings.queued_us + result.timings.ran_us).max(0);
    histogram!(RUN_SECONDS, "chain" => chain).record(latency as f64 / 1e6);
}

pub(crate) fn rejected(class: &str) {
    counter!(REJECTED, "class" => class.to_owned()).increment(1);
}

pub(crate) fn unusable(chain: &str, is_unusable: bool) {
    gauge!(UNUSABLE, "chain" => chain.to_owned()).set(f64::from(u8::from(is_unusable)));
}

/// Counts a run while it lives, also when it is dropped in the middle.
pub(crate) struct InFlight(());

impl InFlight {
    pub(crate) fn enter() -> Self {
        gauge!(IN_FLIGHT).increment(1);
        Self(())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        gauge!(IN_FLIGHT).decrement(1);
    }
}

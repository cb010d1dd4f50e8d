//! What an operator sees of model calls. Labels are names from the models file, so their number is bounded by it.

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use schemas::Audit;

const CALLS: &str = "millrace_model_calls_total";
const TOKENS: &str = "millrace_model_tokens_total";
const COST: &str = "millrace_model_cost_nano_dollars_total";
const LATENCY: &str = "millrace_model_call_seconds";
const QUEUED: &str = "millrace_model_queue_seconds";
const FIRST_TOKEN: &str = "millrace_model_first_token_seconds";
const IN_FLIGHT: &str = "millrace_model_calls_in_flight";
const WAITING: &str = "millrace_model_calls_waiting";
const CONCURRENCY: &str = "millrace_model_calls_concurrency";

pub(crate) fn describe() {
    describe_counter!(CALLS, "Attempts by outcome: ok or the class of the error");
    describe_counter!(TOKENS, "Tokens, reported or estimated");
    describe_counter!(COST, "Cost in billionths of a dollar");
    describe_histogram!(
        LATENCY,
        Unit::Seconds,
        "Time of an attempt, the wait for limits included"
    );
    describe_histogram!(QUEUED, Unit::Seconds, "Time an attempt waited for limits");
    describe_histogram!(
        FIRST_TOKEN,
        Unit::Seconds,
        "Time to the first token of a streamed answer"
    );
    describe_gauge!(IN_FLIGHT, "Attempts that are on their way");
    describe_gauge!(WAITING, "Attempts that wait for a limit");
    describe_gauge!(
        CONCURRENCY,
        "Most attempts on their way at once, of a provider with such a limit"
    );
}

/// An attempt ended.
pub(crate) fn record(audit: &Audit) {
    let labels = [("provider", audit.provider.clone()), ("model", audit.model.clone())];
    let seconds = |micros: i64| micros as f64 / 1e6;
    let positive = |number: i64| u64::try_from(number).unwrap_or(0);
    counter!(CALLS, "provider" => audit.provider.clone(), "model" => audit.model.clone(),
        "outcome" => audit.outcome.clone())
    .increment(1);
    for (direction, tokens) in [
        ("input", audit.usage.input_tokens),
        ("output", audit.usage.output_tokens),
    ] {
        counter!(TOKENS, "provider" => audit.provider.clone(), "model" => audit.model.clone(),
            "direction" => direction)
        .increment(positive(tokens));
    }
    counter!(COST, &labels).increment(positive(audit.cost.0));
    histogram!(LATENCY, &labels).record(seconds(audit.total_us));
    histogram!(QUEUED, &labels).record(seconds(audit.queue_us));
    if let Some(first_token) = audit.first_token_us {
        histogram!(FIRST_TOKEN, &labels).record(seconds(first_token));
    }
}

pub(crate) fn limited(provider: &str, concurrency: u32) {
    gauge!(CONCURRENCY, "provider" => provider.to_owned()).set(concurrency);
}

/// Counted while it lives: the gauge goes down again also when the call is dropped.
pub(crate) struct Counted(metrics::Gauge);

pub(crate) fn in_flight(provider: &str) -> Counted {
    Counted::up(gauge!(IN_FLIGHT, "provider" => provider.to_owned()))
}

pub(crate) fn waiting(provider: &str) -> Counted {
    Counted::up(gauge!(WAITING, "provider" => provider.to_owned()))
}

impl Counted {
    fn up(gauge: metrics::Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

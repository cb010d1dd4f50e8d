//! What an operator sees of model calls. Labels are names from the models file, so their number is bounded by it.

use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use schemas::Audit;
use std::fmt;

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

/// Of one model. A series is looked up once, not for each call: that took 6 µs of a call.
pub(crate) struct Meters {
    provider: String,
    model: String,
    ok: Counter,
    input: Counter,
    output: Counter,
    cost: Counter,
    latency: Histogram,
    queued: Histogram,
    first_token: Histogram,
    in_flight: Gauge,
    waiting: Gauge,
}

impl Meters {
    pub(crate) fn of(provider: &str, model: &str) -> Self {
        let labels = [("provider", provider.to_owned()), ("model", model.to_owned())];
        let tokens = |direction: &'static str| counter!(TOKENS, "provider" => provider.to_owned(), "model" => model.to_owned(), "direction" => direction);
        Self {
            ok: calls(provider, model, "ok"),
            input: tokens("input"),
            output: tokens("output"),
            cost: counter!(COST, &labels),
            latency: histogram!(LATENCY, &labels),
            queued: histogram!(QUEUED, &labels),
            first_token: histogram!(FIRST_TOKEN, &labels),
            in_flight: gauge!(IN_FLIGHT, "provider" => provider.to_owned()),
            waiting: gauge!(WAITING, "provider" => provider.to_owned()),
            provider: provider.to_owned(),
            model: model.to_owned(),
        }
    }

    /// An attempt ended.
    pub(crate) fn record(&self, audit: &Audit) {
        let seconds = |micros: i64| micros as f64 / 1e6;
        let positive = |number: i64| u64::try_from(number).unwrap_or(0);
        match audit.outcome.as_str() {
            "ok" => self.ok.increment(1),
            failed => calls(&self.provider, &self.model, failed).increment(1),
        }
        self.input.increment(positive(audit.usage.input_tokens));
        self.output.increment(positive(audit.usage.output_tokens));
        self.cost.increment(positive(audit.cost.0));
        self.latency.record(seconds(audit.total_us));
        self.queued.record(seconds(audit.queue_us));
        if let Some(first_token) = audit.first_token_us {
            self.first_token.record(seconds(first_token));
        }
    }

    pub(crate) fn in_flight(&self) -> Counted {
        Counted::up(self.in_flight.clone())
    }

    pub(crate) fn waiting(&self) -> Counted {
        Counted::up(self.waiting.clone())
    }
}

impl fmt::Debug for Meters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meters").finish_non_exhaustive()
    }
}

fn calls(provider: &str, model: &str, outcome: &str) -> Counter {
    counter!(CALLS, "provider" => provider.to_owned(), "model" => model.to_owned(), "outcome" => outcome.to_owned())
}

pub(crate) fn limited(provider: &str, concurrency: u32) {
    gauge!(CONCURRENCY, "provider" => provider.to_owned()).set(concurrency);
}

/// Counted while it lives: the gauge goes down again also when the call is dropped.
pub(crate) struct Counted(Gauge);

impl Counted {
    fn up(gauge: Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

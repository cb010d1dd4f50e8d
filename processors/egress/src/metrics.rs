//! What an operator sees of the calls of chains. The number of labels is bounded by the list of hosts.

use metrics::{Unit, describe_histogram, histogram};
use tokio::time::Instant;

const SECONDS: &str = "millrace_http_call_seconds";

pub(crate) fn describe() {
    describe_histogram!(
        SECONDS,
        Unit::Seconds,
        "Time of a call of a chain, by host and outcome: ok, the class of the error, or abandoned"
    );
}

/// A call that is under way. Where nobody waits for its end, at a deadline for example, it was abandoned.
pub(crate) struct Timed {
    host: String,
    began: Instant,
    outcome: &'static str,
}

impl Timed {
    pub(crate) fn begin(host: String) -> Self {
        Self {
            host,
            began: Instant::now(),
            outcome: "abandoned",
        }
    }

    pub(crate) fn end(mut self, outcome: &'static str) {
        self.outcome = outcome;
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        let host = self.host.clone();
        histogram!(SECONDS, "host" => host, "outcome" => self.outcome).record(self.began.elapsed().as_secs_f64());
    }
}

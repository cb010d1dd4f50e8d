//! What this crate counts.

use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use warp::http::{Method, StatusCode};

/// Sorts recorded values into their buckets; without it they pile up between scrapes. Runs until it is dropped.
pub(crate) async fn upkeep(handle: &PrometheusHandle) {
    let mut every = tokio::time::interval(Duration::from_secs(5));
    loop {
        every.tick().await;
        handle.run_upkeep();
    }
}

pub(crate) fn describe() {
    metrics::describe_counter!(
        "millrace_http_requests_total",
        "HTTP requests answered, by route, method and status"
    );
    metrics::describe_histogram!(
        "millrace_http_request_seconds",
        "Time from the request's head to its answer, by route"
    );
    metrics::describe_gauge!("millrace_waiters", "Callers that wait for a result");
    metrics::describe_gauge!("millrace_ring_results", "Recent results in memory");
    metrics::describe_gauge!("millrace_ring_bytes", "Bytes of the recent results in memory");
    metrics::describe_counter!(
        "millrace_tail_results_total",
        "Results seen on the tail, by whether somebody waited"
    );
    metrics::describe_gauge!(
        "millrace_tail_lag_seconds",
        "Age of the result that the tail saw last, when it saw it"
    );
}

pub(crate) fn answered(route: &'static str, method: &Method, status: StatusCode, took: Duration) {
    let status = status.as_str().to_owned();
    metrics::counter!("millrace_http_requests_total", "route" => route, "method" => known(method), "status" => status)
        .increment(1);
    metrics::histogram!("millrace_http_request_seconds", "route" => route).record(took.as_secs_f64());
}

/// A caller may invent methods; a label may not grow with them.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

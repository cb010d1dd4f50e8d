//! Logs on standard error: lines for people on a terminal, JSON elsewhere. `MILLRACE_LOG` filters (`info,topics=debug`).
//! Payloads, prompts and secrets are never logged; what a request said is on the audit topic.

mod json;

use std::{
    env,
    error::Error,
    io::{self, IsTerminal},
    iter,
};

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{
    EnvFilter,
    fmt::{self, format::JsonFields},
    prelude::*,
};

use crate::{
    command::{Arguments, LogFormat},
    telemetry::json::JsonLines,
};

/// warp's server calls it an error of its own when a caller sends garbage or hangs up.
const DEFAULT_FILTER: &str = "info,sqlx=warn,hyper=warn,reqwest=warn,warp::server=off";

/// An error on one line. librdkafka's, reqwest's and sqlx's errors say their cause themselves; it is not said twice.
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut told = error.to_string();
    for cause in iter::successors(error.source(), |error| <dyn Error>::source(*error)) {
        let cause = cause.to_string();
        if !told.ends_with(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    told
}

pub fn start(arguments: &Arguments) {
    let filter = env::var("MILLRACE_LOG").map_or_else(
        |_| EnvFilter::new(DEFAULT_FILTER),
        |asked| {
            EnvFilter::try_new(&asked).unwrap_or_else(|error| {
                eprintln!("MILLRACE_LOG={asked} is no filter ({error}); using {DEFAULT_FILTER}");
                EnvFilter::new(DEFAULT_FILTER)
            })
        },
    );
    let format = arguments.log_format.unwrap_or(match io::stderr().is_terminal() {
        true => LogFormat::Pretty,
        false => LogFormat::Json,
    });
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        LogFormat::Pretty => registry
            .with(fmt::layer().with_writer(io::stderr).with_target(false))
            .init(),
        LogFormat::Json => {
            registry
                .with(
                    fmt::layer()
                        .event_format(JsonLines)
                        .fmt_fields(JsonFields::new())
                        .with_writer(io::stderr),
                )
                .init();
        }
    }
}

/// Latencies in seconds: from a no-op chain to the longest model call.
const SECONDS: [f64; 16] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];

/// The recorder of all metrics of this process; the api or the admin server renders it.
pub fn metrics() -> anyhow::Result<PrometheusHandle> {
    Ok(PrometheusBuilder::new()
        .set_buckets_for_metric(
            metrics_exporter_prometheus::Matcher::Suffix("_seconds".to_owned()),
            &SECONDS,
        )?
        .install_recorder()?)
}

//! `/healthz`: the process turns. `/readyz`: its roles do their work. `/metrics`: what they counted.

use std::collections::BTreeMap;

use serde::Serialize;
use warp::{
    Filter,
    filters::BoxedFilter,
    http::{HeaderValue, StatusCode},
    reply::Response,
};

use super::{Answer, Path, json, reading, with};
use crate::{
    health::Health,
    problem::{Kind, Problem},
};

pub(super) const PATHS: &[Path] = &[
    Path::new("/healthz", "GET, HEAD"),
    Path::new("/readyz", "GET, HEAD"),
    Path::new("/metrics", "GET, HEAD"),
];

pub(super) fn routes(health: Health) -> BoxedFilter<(Answer,)> {
    let alive = warp::path!("healthz")
        .and(reading())
        .map(|| json(&BTreeMap::from([("status", "ok")])));
    let ready = warp::path!("readyz")
        .and(reading())
        .and(with(&health))
        .map(|health: Health| readiness(&health));
    let metrics = warp::path!("metrics")
        .and(reading())
        .and(with(&health))
        .map(|health: Health| exposition(&health));
    alive.or(ready).unify().or(metrics).unify().boxed()
}

#[derive(Serialize)]
struct Ready {
    status: &'static str,
    roles: Vec<&'static str>,
}

fn readiness(health: &Health) -> Answer {
    let missing = health.not_ready();
    if missing.is_empty() {
        let roles = health.roles.iter().map(|(name, _)| *name).collect();
        return json(&Ready { status: "ready", roles });
    }
    let reasons: Vec<String> = missing
        .into_iter()
        .map(|(role, reason)| format!("{role}: {reason}"))
        .collect();
    Err(Problem::new(Kind::NotReady, reasons.join("; ")).retry_after(1))
}

/// The Prometheus text format, version 0.0.4.
fn exposition(health: &Health) -> Answer {
    let mut response = Response::new(health.metrics.render().into());
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(
        "content-type",
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    Ok(response)
}

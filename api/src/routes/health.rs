//! `/healthz`: the process turns. `/readyz`: its roles do their work. `/metrics`: what they counted.

use std::collections::BTreeMap;

use serde::Serialize;
use warp::{Filter, filters::BoxedFilter, http::HeaderValue, reply::Response};

use super::{Answer, Path, json, reading, with};
use crate::{
    health::Health,
    history::History,
    problem::{Kind, Problem},
};

pub(super) const PATHS: &[Path] = &[
    Path::new("/healthz", "GET, HEAD"),
    Path::new("/readyz", "GET, HEAD"),
    Path::new("/metrics", "GET, HEAD"),
];

/// Roles whose work waits for them in topics. Where callers are answered too, their trouble must not keep callers away: a
/// database that is down for a minute would take every process out of its load balancer.
const BEHIND: [&str; 2] = ["recorder", "indexer"];

/// With a history, `/readyz` says whether it can be read; it is no condition.
pub(super) fn routes(health: &Health, history: Option<&History>) -> BoxedFilter<(Answer,)> {
    let alive = warp::path!("healthz")
        .and(reading())
        .map(|| json(&BTreeMap::from([("status", "ok")])));
    let ready = warp::path!("readyz")
        .and(reading())
        .and(with(health))
        .and(with(&history.cloned()))
        .then(|health: Health, history: Option<History>| async move { readiness(&health, history.as_ref()).await });
    let metrics = warp::path!("metrics")
        .and(reading())
        .and(with(health))
        .map(|health: Health| exposition(&health));
    alive.or(ready).unify().or(metrics).unify().boxed()
}

#[derive(Serialize)]
struct Ready {
    status: &'static str,
    roles: Vec<&'static str>,
    /// What does not work at the moment and yet keeps nobody from calling.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    degraded: Vec<String>,
}

async fn readiness(health: &Health, history: Option<&History>) -> Answer {
    let (behind, missing): (Vec<_>, Vec<_>) = health
        .not_ready()
        .into_iter()
        .partition(|(role, _)| history.is_some() && BEHIND.contains(role));
    if !missing.is_empty() {
        return Err(Problem::new(Kind::NotReady, reasons(missing).join("; ")).retry_after(1));
    }
    let mut degraded = reasons(behind);
    degraded.extend(topics::engine::hindrances());
    if let Some(history) = history
        && let Err(reason) = history.reach().await
    {
        degraded.push(format!("history: {reason}"));
    }
    json(&Ready {
        status: "ready",
        roles: health.roles.iter().map(|(name, _)| *name).collect(),
        degraded,
    })
}

fn reasons(roles: Vec<(&'static str, String)>) -> Vec<String> {
    roles
        .into_iter()
        .map(|(role, reason)| format!("{role}: {reason}"))
        .collect()
}

/// The Prometheus text format, version 0.0.4.
fn exposition(health: &Health) -> Answer {
    let mut response = Response::new(health.metrics.render().into());
    response.headers_mut().insert(
        "content-type",
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    Ok(response)
}

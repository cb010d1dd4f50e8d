//! Which path leads to which handler.
//!
//! A filter matches a path and a method and nothing else; handlers are plain async functions whose errors are
//! [`Problem`]s. So no filter rejects a request that belongs to it, and what none of them took is 404 or 405, read from
//! the table of paths.

mod chains;
mod contract;
mod events;
mod evidence;
mod feed;
mod health;
mod invoke;
mod overview;
mod page;
mod records;
mod resume;
mod runs;
mod stats;

use std::{convert::Infallible, sync::Arc, time::Instant};

use uuid::Uuid;
use warp::{
    Filter, Rejection,
    filters::BoxedFilter,
    http::{HeaderMap, HeaderValue, Method},
    path::FullPath,
    reply::Response,
};

use crate::{
    api::Api,
    health::Health,
    metrics,
    origin::Names,
    problem::{Kind, Problem},
    ring::is_name,
};

/// What a handler gives.
pub(crate) type Answer = Result<Response, Problem>;

/// A path and the methods that it takes: the source of 404, of 405's `Allow` and of the `route` label of metrics.
#[derive(Clone, Copy)]
struct Path {
    /// `/runs/{id}`; a part in braces stands for one segment.
    template: &'static str,
    allow: &'static str,
}

/// The paths of a server, one list per resource.
type Paths = &'static [&'static [Path]];

impl Path {
    const fn new(template: &'static str, allow: &'static str) -> Self {
        Self { template, allow }
    }

    fn find(paths: Paths, path: &str) -> Option<&'static Self> {
        paths
            .iter()
            .copied()
            .flatten()
            .find(|candidate| candidate.matches(path))
    }

    /// One slash at the end makes no difference, as in warp's filters. `{path}` stands for any number of segments.
    fn matches(&self, path: &str) -> bool {
        if let Some(before) = self.template.strip_suffix("/{path}") {
            return path
                .strip_prefix(before)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        }
        if self.template == "/" {
            return path == "/";
        }
        let mut segments = path.strip_suffix('/').unwrap_or(path).split('/');
        self.template.split('/').all(|part| match segments.next() {
            Some(segment) if part.starts_with('{') => !segment.is_empty(),
            Some(segment) => segment == part,
            None => false,
        }) && segments.next().is_none()
    }
}

const ALL: Paths = &[
    invoke::PATHS,
    runs::PATHS,
    resume::PATHS,
    evidence::PATHS,
    records::PATHS,
    events::PATHS,
    chains::PATHS,
    feed::PATHS,
    stats::PATHS,
    overview::PATHS,
    health::PATHS,
    contract::PATHS,
    page::PATHS,
];

/// Everything the api answers.
pub(crate) fn all(api: &Arc<Api>, health: &Health) -> BoxedFilter<(Response,)> {
    let routes = invoke::routes(api)
        .or(runs::routes(api))
        .unify()
        .or(resume::routes(api))
        .unify()
        .or(evidence::routes(api))
        .unify()
        .or(records::routes(api))
        .unify()
        .or(events::routes(api))
        .unify()
        .or(chains::routes(api))
        .unify()
        .or(feed::routes(api))
        .unify()
        .or(stats::routes(api))
        .unify()
        .or(contract::routes())
        .unify()
        .or(page::routes())
        .unify()
        .or(overview::routes(api, health))
        .unify()
        .or(health::routes(health, Some(&api.history)))
        .unify();
    answer(ALL, Names::new(&api.settings.hosts), routes.boxed())
}

/// `/healthz`, `/readyz`, `/metrics`: what a process without the api answers.
pub(crate) fn admin(health: &Health) -> BoxedFilter<(Response,)> {
    answer(&[health::PATHS], Names::default(), health::routes(health, None))
}

/// Everything around the routes: the names it may be called by, the request id, the problem for what no route took, and the metrics.
fn answer(paths: Paths, names: Names, routes: BoxedFilter<(Answer,)>) -> BoxedFilter<(Response,)> {
    let foreign = warp::header::headers_cloned().and_then(move |headers: HeaderMap| {
        let checked = names.check(&headers);
        async move { checked.map_or_else(|problem| Ok(Err(problem)), |()| Err(warp::reject())) }
    });
    let unrouted = path().map(move |path: String| Err(unrouted(paths, &path)));
    warp::any()
        .map(Instant::now)
        .and(warp::method())
        .and(path())
        .and(warp::header::headers_cloned())
        .and(foreign.or(routes).unify().or(unrouted).unify())
        .map(
            move |started: Instant, method: Method, path: String, headers: HeaderMap, answer: Answer| {
                let mut response = answer.unwrap_or_else(|problem| problem.into_response(&path));
                response.headers_mut().insert("x-request-id", request_id(&headers));
                let route = Path::find(paths, &path).map_or("none", |path| path.template);
                metrics::answered(route, &method, response.status(), started.elapsed());
                let (status, took) = (response.status().as_u16(), started.elapsed());
                tracing::debug!(route, %method, status, ?took, "answered");
                response
            },
        )
        .boxed()
}

fn unrouted(paths: Paths, path: &str) -> Problem {
    match Path::find(paths, path) {
        Some(known) => Problem::method_not_allowed(known.allow),
        None => Problem::new(Kind::NoSuchPath, format!("no route leads to {path}")),
    }
}

/// The caller's id of this HTTP exchange when it is one that can be repeated safely, else a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let given = headers.get("x-request-id").filter(|id| is_name(id.as_bytes()));
    match given {
        Some(id) => id.clone(),
        None => HeaderValue::try_from(Uuid::now_v7().to_string()).unwrap_or(HeaderValue::from_static("none")),
    }
}

/// GET, and HEAD wherever there is GET (RFC 9110 §9.1); hyper leaves the body out.
fn reading() -> impl Filter<Extract = (), Error = Rejection> + Copy {
    warp::get().or(warp::head()).unify()
}

/// The path; empty for CONNECT, which has none: warp's own filter panics on it.
fn path() -> impl Filter<Extract = (String,), Error = Infallible> + Clone {
    let is_there = async |method: Method| match method {
        Method::CONNECT => Err(warp::reject()),
        _ => Ok(()),
    };
    let full = warp::path::full().map(|path: FullPath| path.as_str().to_owned());
    warp::method()
        .and_then(is_there)
        .untuple_one()
        .and(full)
        .or(warp::any().map(String::new))
        .unify()
}

/// The query, undecoded; empty when there is none.
fn query() -> impl Filter<Extract = (String,), Error = Infallible> + Copy {
    warp::query::raw().or(warp::any().map(String::new)).unify()
}

/// A segment of the path as it was meant: `answer%402` is `answer@2`.
pub(crate) fn segment(encoded: &str) -> String {
    percent_encoding::percent_decode_str(encoded)
        .decode_utf8_lossy()
        .into_owned()
}

fn with<T: Clone + Send>(value: &T) -> impl Filter<Extract = (T,), Error = Infallible> + Clone + use<T> {
    let value = value.clone();
    warp::any().map(move || value.clone())
}

fn json<T: serde::Serialize>(value: &T) -> Answer {
    serde_json::to_string(value)
        .map(|text| {
            let mut response = Response::new(text.into());
            response
                .headers_mut()
                .insert("content-type", HeaderValue::from_static("application/json"));
            response
        })
        .map_err(|error| {
            tracing::error!(%error, "an answer could not be written as JSON");
            Problem::new(Kind::Internal, "the answer could not be written as JSON")
        })
}

#[cfg(test)]
mod tests;

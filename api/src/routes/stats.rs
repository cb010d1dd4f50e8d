//! `GET /stats`: the last minutes in numbers, for charts.

use std::sync::Arc;

use schemas::Timestamp;
use serde::Serialize;
use warp::{Filter, filters::BoxedFilter};

use super::{Answer, Path, json, query, reading, with};
use crate::{
    api::Api,
    cluster::Sample,
    history::{Counted, Counts, OfChain, Span},
    problem::Problem,
    query::Query,
    run::rfc_3339_of,
};

pub(super) const PATHS: &[Path] = &[Path::new("/stats", "GET, HEAD")];

const MINUTES: i64 = 5;
const MOST_BUCKETS: i64 = 600;
/// A sample stands for the seconds after it, as long as the next one may be late.
const STANDS_FOR: i64 = 3;

pub(super) fn routes(api: &Arc<Api>) -> BoxedFilter<(Answer,)> {
    warp::path!("stats")
        .and(reading())
        .and(query())
        .and(with(api))
        .then(|query: String, api: Arc<Api>| async move { stats(&api, &query).await })
        .boxed()
}

/// `Stats` of `schemas/openapi.json`: one item per bucket in each array.
#[derive(Serialize)]
struct Stats {
    #[serde(serialize_with = "rfc_3339_of")]
    from: Timestamp,
    #[serde(serialize_with = "rfc_3339_of")]
    to: Timestamp,
    every_seconds: i64,
    at: Vec<i64>,
    results: Vec<i64>,
    errors: Vec<i64>,
    waiting: Vec<i64>,
    p50_ms: Vec<Option<f64>>,
    p95_ms: Vec<Option<f64>>,
    p99_ms: Vec<Option<f64>>,
    input_tokens: Vec<i64>,
    output_tokens: Vec<i64>,
    cost_nano_dollars: Vec<i64>,
    lag: Vec<Option<i64>>,
    in_flight: Vec<Option<i64>>,
    total: Counted,
    chains: Vec<OfChain>,
    recorder_lag_ms: Option<i64>,
}

async fn stats(api: &Api, query: &str) -> Answer {
    let span = span(api, query)?;
    let counts = api.counts(&span).await?;
    let samples = api.cluster.samples_from(span.from - STANDS_FOR);
    let buckets: Vec<(i64, Counted)> = buckets(&span, &counts);
    let column = |value: fn(&Counted) -> i64| buckets.iter().map(|(_, it)| value(it)).collect();
    let latency = |value: fn(&Counted) -> Option<f64>| buckets.iter().map(|(_, it)| value(it)).collect();
    let sampled = |value: fn(&Sample) -> Option<i64>| {
        let last = |at: i64| samples.iter().rev().find(|sample| sample.at < at + span.every);
        let fresh = |at: i64| last(at).filter(|sample| sample.at > at + span.every - 1 - STANDS_FOR);
        buckets.iter().map(|(at, _)| fresh(*at).and_then(value)).collect()
    };
    json(&Stats {
        from: Timestamp(span.from * 1_000_000),
        to: Timestamp(span.to * 1_000_000),
        every_seconds: span.every,
        at: buckets.iter().map(|(at, _)| *at).collect(),
        results: column(|it| it.results),
        errors: column(|it| it.errors),
        waiting: column(|it| it.waiting),
        p50_ms: latency(|it| it.p50_ms),
        p95_ms: latency(|it| it.p95_ms),
        p99_ms: latency(|it| it.p99_ms),
        input_tokens: column(|it| it.input_tokens),
        output_tokens: column(|it| it.output_tokens),
        cost_nano_dollars: column(|it| it.cost_nano_dollars),
        lag: sampled(|it| it.lag),
        in_flight: sampled(|it| it.in_flight),
        total: counts.total.clone(),
        chains: counts.chains.clone(),
        recorder_lag_ms: counts.lag_ms,
    })
}

/// The minutes that have passed; the second that runs is left out.
fn span(api: &Api, query: &str) -> Result<Span, Problem> {
    let mut query = Query::of(query);
    let tenant = api.tenant(&mut query);
    let chain = query.text("chain");
    let minutes = query.number("minutes", 1..=60).unwrap_or(MINUTES);
    let every = query.number("every", 1..=60).unwrap_or(1);
    if minutes * 60 / every > MOST_BUCKETS {
        query.mistake(
            "every",
            &format!("too short for {minutes} minutes: at most {MOST_BUCKETS} buckets"),
            "value_error",
        );
    }
    query.finish()?;
    let to = Timestamp::now().0.div_euclid(1_000_000).div_euclid(every) * every;
    Ok(Span {
        tenant,
        chain,
        from: to - (minutes * 60).div_euclid(every) * every,
        to,
        every,
    })
}

/// With those in which nothing ended.
fn buckets(span: &Span, counts: &Counts) -> Vec<(i64, Counted)> {
    let mut known = counts.buckets.iter().peekable();
    let starts = (span.from..span.to).step_by(usize::try_from(span.every).unwrap_or(1));
    starts
        .map(|at| match known.next_if(|(begin, _)| *begin == at) {
            Some(bucket) => bucket.clone(),
            None => (at, Counted::default()),
        })
        .collect()
}

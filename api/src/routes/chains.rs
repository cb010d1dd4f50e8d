//! `GET /chains`: what can be called. `GET /chains/{chain}`: one of them, with its source and schemas.

use std::sync::Arc;

use schemas::ChainRecord;
use serde::Serialize;
use serde_json::Value;
use warp::{Filter, filters::BoxedFilter};

use super::{Answer, Path, json, query, reading, segment, with};
use crate::{api::Api, query::Query, run};

pub(super) const PATHS: &[Path] = &[
    Path::new("/chains", "GET, HEAD"),
    Path::new("/chains/{chain}", "GET, HEAD"),
];

pub(super) fn routes(api: &Arc<Api>) -> BoxedFilter<(Answer,)> {
    let list = warp::path!("chains")
        .and(reading())
        .and(query())
        .and(with(api))
        .map(|query: String, api: Arc<Api>| list(&api, &query));
    let show = warp::path!("chains" / String)
        .and(reading())
        .and(query())
        .and(with(api))
        .map(|chain: String, query: String, api: Arc<Api>| show(&api, &chain, &query));
    list.or(show).unify().boxed()
}

#[derive(Serialize)]
struct Chains {
    /// Every version, by name and version.
    chains: Vec<Summary>,
}

#[derive(Serialize)]
struct Summary {
    name: String,
    version: i32,
    /// SHA-256, lower-case hex.
    digest: String,
    published_at: String,
}

#[derive(Serialize)]
struct Chain {
    #[serde(flatten)]
    summary: Summary,
    /// The file, verbatim.
    source: String,
    /// The steps and what each waits for.
    graph: Value,
    input_schema: Value,
    output_schema: Value,
    /// All that were published under this name, the highest first.
    versions: Vec<Summary>,
}

fn list(api: &Api, query: &str) -> Answer {
    Query::of(query).finish()?;
    json(&Chains {
        chains: api.all_chains()?.iter().map(|chain| summary(&chain.record)).collect(),
    })
}

fn show(api: &Api, chain: &str, query: &str) -> Answer {
    Query::of(query).finish()?;
    let chain = segment(chain);
    let found = api.chain(&chain)?;
    let record = &found.record;
    json(&Chain {
        summary: summary(record),
        source: record.source.clone(),
        graph: run::json(&record.graph),
        input_schema: run::json(&record.input_schema),
        output_schema: run::json(&record.output_schema),
        versions: api
            .chains
            .versions(&record.name)
            .iter()
            .map(|it| summary(&it.record))
            .collect(),
    })
}

fn summary(record: &ChainRecord) -> Summary {
    Summary {
        name: record.name.clone(),
        version: record.version,
        digest: record.digest.clone(),
        published_at: record.published_at.to_string(),
    }
}

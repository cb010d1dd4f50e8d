//! The records of a run in Kafka: `GET /runs/{id}/records`, where they lie; `GET
//! /runs/{id}/records/{topic}/{partition}/{offset}`, what lies there.

use std::sync::Arc;

use serde::Serialize;
use tokio::time::Instant;
use warp::{Filter, filters::BoxedFilter};

use super::{Answer, Path, json, query, reading, runs, segment, with};
use crate::{
    api::Api,
    history::{Place, RecordPlace},
    problem::{Kind, Problem},
    query::Query,
    ring::RunKey,
};

pub(super) const PATHS: &[Path] = &[
    Path::new("/runs/{id}/records", "GET, HEAD"),
    Path::new("/runs/{id}/records/{topic}/{partition}/{offset}", "GET, HEAD"),
];

pub(super) fn routes(api: &Arc<Api>) -> BoxedFilter<(Answer,)> {
    let places = warp::path!("runs" / String / "records")
        .and(reading())
        .and(query())
        .and(with(api))
        .then(|id: String, query: String, api: Arc<Api>| async move { places(&api, &id, &query).await });
    let record = warp::path!("runs" / String / "records" / String / String / String)
        .and(reading())
        .and(query())
        .and(with(api))
        .then(
            |id: String, topic: String, partition: String, offset: String, query: String, api: Arc<Api>| async move {
                let place = format!("{}/{partition}/{offset}", segment(&topic));
                record(&api, &id, &place, &query).await
            },
        );
    places.or(record).unify().boxed()
}

#[derive(Serialize)]
struct Records {
    run_id: String,
    /// The request, the result, and what is in the audit.
    records: Vec<RecordPlace>,
}

async fn places(api: &Api, id: &str, query: &str) -> Answer {
    let run = api.asked_for(id, Query::of(query))?;
    let records = known(api, &run).await?;
    json(&Records {
        run_id: run.request_id,
        records,
    })
}

/// Only what is the run's: this is no way to read any topic.
async fn record(api: &Api, id: &str, place: &str, query: &str) -> Answer {
    let run = api.asked_for(id, Query::of(query))?;
    let wanted = Place::parse(place);
    let known = known(api, &run).await?;
    let found = known.into_iter().find(|record| Some(&record.place) == wanted.as_ref());
    let found = found.ok_or_else(|| {
        let detail = format!(
            "no record of run {id} is known to lie at {place}; /runs/{id}/records lists those that are",
            id = run.request_id
        );
        Problem::new(Kind::NoRecord, detail)
    })?;
    json(&api.records.at(&found.place).await?)
}

/// Where the records of a run lie, as far as Postgres and this instance know.
///
/// # Errors
/// 404 when there is no such run, 503 when Postgres cannot be read.
async fn known(api: &Api, run: &RunKey) -> Result<Vec<RecordPlace>, Problem> {
    let mut records = api.history.records(run).await?;
    let is_recorded = records.iter().any(|record| record.what == "result");
    if let Some(result) = api.bridge.ring.find(run, None).filter(|_| !is_recorded) {
        records.push(RecordPlace {
            what: "result".to_owned(),
            place: Place {
                topic: result.topic.to_string(),
                partition: result.partition,
                offset: result.offset,
            },
            attempt_id: None,
        });
    }
    if records.is_empty() {
        runs::look(api, run, None, Instant::now()).await?;
    }
    Ok(records)
}

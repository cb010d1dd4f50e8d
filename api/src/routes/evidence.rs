//! What a run has left: `GET /runs/{id}/steps`, its paid calls from the books; `GET /runs/{id}/dead-letter`, the record that
//! could not be processed.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;
use warp::{Filter, filters::BoxedFilter};

use super::{Answer, Path, json, query, reading, runs, with};
use crate::{
    api::Api,
    history::{Step, TurnTaken},
    problem::{Kind, Problem},
    query::Query,
};

pub(super) const PATHS: &[Path] = &[
    Path::new("/runs/{id}/steps", "GET, HEAD"),
    Path::new("/runs/{id}/dead-letter", "GET, HEAD"),
];

pub(super) fn routes(api: &Arc<Api>) -> BoxedFilter<(Answer,)> {
    let steps = warp::path!("runs" / String / "steps")
        .and(reading())
        .and(query())
        .and(with(api))
        .then(|id: String, query: String, api: Arc<Api>| async move { steps(&api, &id, &query).await });
    let dead_letter = warp::path!("runs" / String / "dead-letter")
        .and(reading())
        .and(query())
        .and(with(api))
        .then(|id: String, query: String, api: Arc<Api>| async move { dead_letter(&api, &id, &query).await });
    steps.or(dead_letter).unify().boxed()
}

#[derive(Serialize)]
struct Steps {
    run_id: String,
    /// One per call, in the order in which they left.
    steps: Vec<Step>,
    /// Everything that was retrieved in its last turn: `[{index, namespace, id, score}]`.
    documents: Value,
    /// Of each turn that is over.
    turns: Vec<TurnTaken>,
}

async fn steps(api: &Api, id: &str, query: &str) -> Answer {
    let run = api.asked_for(id, Query::of(query))?;
    let steps = api.history.steps(&run, true).await?;
    if steps.is_empty() {
        // Without calls there is nothing to tell a run that made none from one that never was.
        runs::look(api, &run, None, Instant::now()).await?;
    }
    let turns = api.history.turns(&run).await?;
    let documents = turns.last().map(|turn| turn.documents.clone());
    json(&Steps {
        documents: documents.unwrap_or_else(|| Value::Array(Vec::new())),
        run_id: run.request_id,
        steps,
        turns,
    })
}

async fn dead_letter(api: &Api, id: &str, query: &str) -> Answer {
    let run = api.asked_for(id, Query::of(query))?;
    match api.history.dead_letter(&run).await? {
        Some(found) => json(&found),
        None => Err(Problem::new(
            Kind::NoDeadLetter,
            format!("no request of run {} is recorded as a dead letter", run.request_id),
        )),
    }
}

//! `GET /runs/{id}/steps`: the paid calls of a run, from its books.

use std::sync::Arc;

use serde::Serialize;
use tokio::time::Instant;
use warp::{Filter, filters::BoxedFilter};

use super::{Answer, Path, json, query, reading, runs, with};
use crate::{api::Api, history::Step, query::Query};

pub(super) const PATHS: &[Path] = &[Path::new("/runs/{id}/steps", "GET, HEAD")];

pub(super) fn routes(api: &Arc<Api>) -> BoxedFilter<(Answer,)> {
    warp::path!("runs" / String / "steps")
        .and(reading())
        .and(query())
        .and(with(api))
        .then(|id: String, query: String, api: Arc<Api>| async move { steps(&api, &id, &query).await })
        .boxed()
}

#[derive(Serialize)]
struct Steps {
    run_id: String,
    /// One per call, in the order in which they left.
    steps: Vec<Step>,
}

async fn steps(api: &Api, id: &str, query: &str) -> Answer {
    let run = api.asked_for(id, Query::of(query))?;
    let steps = api.history.steps(&run).await?;
    if steps.is_empty() {
        // Without calls there is nothing to tell a run that made none from one that never was.
        runs::look(api, &run, Instant::now()).await?;
    }
    json(&Steps {
        run_id: run.request_id,
        steps,
    })
}

//! `GET /runs/{id}/events`: what becomes of a run, as server-sent events.

use std::sync::Arc;

use tokio::time::Instant;
use warp::{Filter, filters::BoxedFilter, http::HeaderMap};

use super::{Answer, Path, feed::last_event_id, query, reading, runs, with};
use crate::{
    api::Api,
    progress::{Follower, Told},
    query::Query,
    sse,
};

pub(super) const PATHS: &[Path] = &[Path::new("/runs/{id}/events", "GET, HEAD")];

pub(super) fn routes(api: &Arc<Api>) -> BoxedFilter<(Answer,)> {
    warp::path!("runs" / String / "events")
        .and(reading())
        .and(query())
        .and(warp::header::headers_cloned())
        .and(with(api))
        .then(|id: String, query: String, headers, api: Arc<Api>| async move {
            events(&api, &id, &query, &headers).await
        })
        .boxed()
}

/// Registers before it looks, so that no result slips between.
async fn events(api: &Arc<Api>, id: &str, query: &str, headers: &HeaderMap) -> Answer {
    let mut query = Query::of(query);
    let last: Option<Told> = last_event_id(headers, &mut query).and_then(|id| id.parse().ok());
    let turn = query.number("turn", 0..=i32::MAX);
    let run = api.asked_for(id, query)?;
    if last.is_some_and(|told| told.result) {
        return Ok(sse::over());
    }
    let waiter = api.wait_for(&run)?;
    let known = runs::look(api, &run, turn, Instant::now()).await?;
    let (response, out) = api.stream()?;
    let follower = Follower {
        api: Arc::clone(api),
        run,
        waiter,
        turn: known.turn,
        told: last.unwrap_or_default(),
        out,
    };
    tokio::spawn(follower.run(known, last.is_none()));
    Ok(response)
}

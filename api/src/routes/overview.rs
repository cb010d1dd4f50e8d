//! `GET /health`: roles, partitions, parts and limits in one picture, for people. `/readyz` is for load balancers.

use std::sync::Arc;

use warp::{Filter, filters::BoxedFilter};

use super::{Answer, Path, json, query, reading, with};
use crate::{api::Api, health::Health, overview::Picture, query::Query};

pub(super) const PATHS: &[Path] = &[Path::new("/health", "GET, HEAD")];

pub(super) fn routes(api: &Arc<Api>, health: &Health) -> BoxedFilter<(Answer,)> {
    warp::path!("health")
        .and(reading())
        .and(query())
        .and(with(api))
        .and(with(health))
        .then(|query: String, api: Arc<Api>, health: Health| async move { overview(&api, &health, &query).await })
        .boxed()
}

async fn overview(api: &Api, health: &Health, query: &str) -> Answer {
    Query::of(query).finish()?;
    json(&Picture::take(api, health).await.overview())
}

//! `GET /feed`: every result as it commits, as server-sent events.

use std::sync::Arc;

use schemas::status;
use warp::{Filter, filters::BoxedFilter, http::HeaderMap};

use super::{Answer, Path, query, reading, with};
use crate::{
    api::Api,
    feed::{self, From, Reader},
    query::Query,
    ring::Positions,
};

pub(super) const PATHS: &[Path] = &[Path::new("/feed", "GET, HEAD")];

/// How a result can be.
const ENDS: [&str; 4] = [
    status::COMPLETED,
    status::FAILED,
    status::CANCELLED,
    status::INTERRUPTED,
];
/// The most that a new reader can ask for of what went by already.
const RECENT: u64 = 1_000;

pub(super) fn routes(api: &Arc<Api>) -> BoxedFilter<(Answer,)> {
    warp::path!("feed")
        .and(reading())
        .and(query())
        .and(warp::header::headers_cloned())
        .and(with(api))
        .map(|query: String, headers: HeaderMap, api: Arc<Api>| feed(&api, &query, &headers))
        .boxed()
}

fn feed(api: &Arc<Api>, query: &str, headers: &HeaderMap) -> Answer {
    let mut query = Query::of(query);
    let filter = feed::Filter {
        tenant: api.tenant(&mut query),
        chain: query.text("chain"),
        status: query.one_of("status", &ENDS),
        key: query.text("key"),
    };
    let recent = query.number("recent", 0..=RECENT).unwrap_or_default();
    let last = last_event_id(headers, &mut query);
    query.finish()?;
    let from = match last {
        Some(id) => From::Seen(Positions::parse(&id)),
        None => From::Recent(recent),
    };
    let (response, out) = api.stream()?;
    tokio::spawn(Reader::run(Arc::clone(api), filter, from, out));
    Ok(response)
}

/// What an EventSource sends when it connects again; the query is for clients that cannot set headers.
pub(super) fn last_event_id(headers: &HeaderMap, query: &mut Query) -> Option<String> {
    let asked = query.text("last_event_id");
    let header = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    header.map(str::to_owned).or(asked).filter(|id| !id.is_empty())
}

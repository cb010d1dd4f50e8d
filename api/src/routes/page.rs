//! `/ui/`: the page. It has a prefix of its own, because its paths (`/runs/…`) would be those of the api. `/` leads there.

use warp::{
    Filter,
    filters::{BoxedFilter, path::Tail},
    http::{HeaderMap, HeaderValue, StatusCode, header::LOCATION},
    reply::Response,
};

use super::{Answer, Path, reading, segment};
use crate::{
    assets,
    problem::{Kind, Problem},
};

pub(super) const PATHS: &[Path] = &[Path::new("/", "GET, HEAD"), Path::new("/ui/{path}", "GET, HEAD")];

pub(super) fn routes() -> BoxedFilter<(Answer,)> {
    let root = warp::path::end().and(reading()).map(|| Ok(redirect()));
    let page = warp::path("ui")
        .and(warp::path::tail())
        .and(reading())
        .and(warp::header::headers_cloned())
        .and(warp::path::full())
        .map(
            |tail: Tail, headers: HeaderMap, full: warp::path::FullPath| match full.as_str() {
                // What the page refers to is relative to the slash.
                "/ui" => Ok(redirect()),
                _ => page(tail.as_str(), &headers),
            },
        );
    root.or(page).unify().boxed()
}

fn redirect() -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::FOUND;
    response
        .headers_mut()
        .insert(LOCATION, HeaderValue::from_static("/ui/"));
    response
}

fn page(path: &str, headers: &HeaderMap) -> Answer {
    assets::find(&segment(path), headers)
        .ok_or_else(|| Problem::new(Kind::NoSuchPath, format!("the page has no file {path}")))
}

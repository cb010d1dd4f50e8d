//! `GET /openapi.json`: what this api answers, for programs. A test holds it to the routes and to their answers.

use warp::{Filter, filters::BoxedFilter, http::HeaderValue, reply::Response};

use super::{Answer, Path, reading};

pub(super) const PATHS: &[Path] = &[Path::new("/openapi.json", "GET, HEAD")];

pub(super) const CONTRACT: &str = include_str!("../../../schemas/openapi.json");

pub(super) fn routes() -> BoxedFilter<(Answer,)> {
    let answer = || {
        let mut response = Response::new(CONTRACT.into());
        let headers = response.headers_mut();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        Ok(response)
    };
    warp::path!("openapi.json").and(reading()).map(answer).boxed()
}

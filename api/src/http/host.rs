//! Which host a request is for (RFC 9112 §3.2), before anything looks at it: HTTP/1.1 says it exactly once, and a target
//! that names its host itself (`GET http://host/path`) is right where `Host` says something else.

use hyper::{Request, Version};
use warp::http::{HeaderValue, header::HOST};

use crate::problem::{Kind, Problem};

/// # Errors
/// 400 for no `Host`, or several.
pub(super) fn settle<B>(request: &mut Request<B>) -> Result<(), Problem> {
    let hosts = request.headers().get_all(HOST).iter().count();
    if hosts > 1 {
        let detail = format!("Host is there {hosts} times; send it once");
        return Err(Problem::new(Kind::MalformedRequest, detail));
    }
    if hosts == 0 && request.version() >= Version::HTTP_11 {
        let detail = "HTTP/1.1 needs the header Host: the name and port by which you call";
        return Err(Problem::new(Kind::MalformedRequest, detail));
    }
    let target = request.uri();
    let named = target
        .scheme()
        .and(target.authority())
        .map(|host| host.as_str().to_owned());
    if let Some(named) = named {
        // An authority that is no header value is no name of ours either.
        let named = HeaderValue::try_from(named).unwrap_or(HeaderValue::from_static(""));
        request.headers_mut().insert(HOST, named);
    }
    Ok(())
}

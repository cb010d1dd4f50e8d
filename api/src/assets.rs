//! The page: what `make web` has built into `web/dist`. A debug build reads it from there at each request, a release build
//! carries it. Without it, there is a text that says how to come by it.

use std::borrow::Cow;

use rust_embed::{EmbeddedFile, RustEmbed};
use warp::{
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{
            ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
            IF_NONE_MATCH, REFERRER_POLICY, VARY,
        },
    },
    reply::Response,
};

#[derive(RustEmbed)]
#[folder = "$PAGE_FOLDER"]
#[allow_missing = true]
struct Dist;

const INDEX: &str = "index.html";
/// Names in there contain a hash of what is in the file.
const HASHED: &str = "assets/";
const MISSING: &str =
    "The page is not built. `make web` builds it; what it shows is also at /feed, /runs, /stats and /health.\n";
/// Everything the page needs comes from here, and nothing may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// What lies at a path below `/ui/`; `None`: nothing. A path whose last part has no extension is one of the page's own.
pub(crate) fn find(path: &str, headers: &HeaderMap) -> Option<Response> {
    if path.split('/').any(|part| part == "..") {
        return None;
    }
    let last = path.rsplit('/').next().unwrap_or_default();
    let name = if last.contains('.') { path } else { INDEX };
    match read(name, headers) {
        None if name == INDEX => Some(missing()),
        found => found,
    }
}

fn read(name: &str, headers: &HeaderMap) -> Option<Response> {
    let plain = Dist::get(name)?;
    let (coding, file) = smallest(name, headers).map_or((None, plain.clone()), |(coding, file)| (Some(coding), file));
    let tag = tag(&file);
    let is_known = headers
        .get(IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == tag.as_bytes() || known == "*");
    let mut response = if is_known {
        let mut response = Response::default();
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        Response::new(match file.data {
            Cow::Borrowed(bytes) => bytes.into(),
            Cow::Owned(bytes) => bytes.into(),
        })
    };
    let cache = if name.starts_with(HASHED) {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let out = response.headers_mut();
    protect(out);
    out.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    out.insert(VARY, HeaderValue::from_static("accept-encoding"));
    out.insert(CONTENT_TYPE, content_type(&plain));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        out.insert(ETAG, tag);
    }
    if let Some(coding) = coding {
        out.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    Some(response)
}

/// The variant that was compressed when the page was built, if the caller takes it.
fn smallest(name: &str, headers: &HeaderMap) -> Option<(&'static str, EmbeddedFile)> {
    let accepted = headers.get(ACCEPT_ENCODING)?.to_str().ok()?;
    [("br", ".br"), ("gzip", ".gz")]
        .into_iter()
        .filter(|(coding, _)| accepts(accepted, coding))
        .find_map(|(coding, extension)| Some((coding, Dist::get(&format!("{name}{extension}"))?)))
}

/// Whether an `Accept-Encoding` (RFC 9110 §12.5.3) names the coding with a weight above 0.
fn accepts(accepted: &str, coding: &str) -> bool {
    accepted.split(',').any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let is_named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(coding));
        let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok());
        is_named && weight.unwrap_or(1.0) > 0.0
    })
}

fn content_type(file: &EmbeddedFile) -> HeaderValue {
    let kind = file.metadata.mimetype();
    let is_text = kind.starts_with("text/") || kind.ends_with("javascript");
    let charset = if is_text { "; charset=utf-8" } else { "" };
    HeaderValue::try_from(format!("{kind}{charset}")).unwrap_or(HeaderValue::from_static("application/octet-stream"))
}

fn tag(file: &EmbeddedFile) -> String {
    let hash = file.metadata.sha256_hash();
    let digits: String = hash[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"{digits}\"")
}

fn protect(headers: &mut HeaderMap) {
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}

fn missing() -> Response {
    let mut response = Response::new(MISSING.into());
    protect(response.headers_mut());
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coding_is_accepted_by_name_and_weight() {
        assert!(accepts("gzip, deflate, br;q=0.9", "br"));
        assert!(accepts("GZIP", "gzip"));
        assert!(!accepts("gzip;q=0, br", "gzip"));
        assert!(!accepts("brotli, x-gzip", "gzip"));
    }

    #[test]
    fn every_answer_of_the_page_is_protected_and_nothing_lies_outside() {
        let headers = HeaderMap::new();
        for path in ["", "live", "runs/a", "index.html"] {
            let Some(response) = find(path, &headers) else {
                assert_eq!(path, "index.html", "the page's own paths always give something");
                continue;
            };
            assert_eq!(response.headers()["content-security-policy"], POLICY);
            assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        }
        for path in ["assets/none.js", "../Cargo.toml", "assets/../../package.json"] {
            assert!(find(path, &headers).is_none(), "{path}");
        }
    }
}

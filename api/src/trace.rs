//! W3C Trace Context, version 00: which trace a request belongs to.

use uuid::Uuid;
use warp::http::HeaderMap;

/// A `traceparent`: the caller's, or a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Traceparent(String);

impl Traceparent {
    /// The caller's is passed on as it is; one that is absent or malformed starts a new trace, as the specification has
    /// it (§2.2.2).
    pub fn of(headers: &HeaderMap) -> Self {
        let given = headers
            .get("traceparent")
            .and_then(|value| value.to_str().ok())
            .filter(|text| is_valid(text));
        given.map_or_else(Self::new, |text| Self(text.to_owned()))
    }

    fn new() -> Self {
        let (trace, span) = (Uuid::new_v4().simple().to_string(), Uuid::new_v4().simple().to_string());
        Self(format!("00-{trace}-{}-01", &span[..16]))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// 32 hexadecimal digits
    pub fn trace_id(&self) -> &str {
        &self.0[3..35]
    }
}

fn is_valid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_hex = |part: &str, length: usize| {
        part.len() == length
            && part
                .bytes()
                .all(|it| it.is_ascii_digit() || (b'a'..=b'f').contains(&it))
    };
    let is_zero = |part: &str| part.bytes().all(|it| it == b'0');
    matches!(parts[..], ["00", trace, span, flags]
        if is_hex(trace, 32) && is_hex(span, 16) && is_hex(flags, 2) && !is_zero(trace) && !is_zero(span))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(given: &str) -> Traceparent {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", given.parse().unwrap());
        Traceparent::of(&headers)
    }

    #[test]
    fn a_valid_one_is_passed_on_and_any_other_starts_a_new_trace() {
        let given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(of(given).as_str(), given);
        assert_eq!(of(given).trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        for broken in [
            "",
            "00-4bf9-00f0-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            &given[1..],
        ] {
            let new = of(broken);
            assert_ne!(new.as_str(), broken);
            assert!(is_valid(new.as_str()));
        }
    }
}

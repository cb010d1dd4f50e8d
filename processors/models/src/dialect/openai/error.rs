//! What an error answer means. Sources: <https://platform.openai.com/docs/guides/error-codes>, and for the headers
//! `_should_retry` and `_calculate_retry_timeout` of openai-python.

use crate::ErrorClass;
use crate::dialect::Failure;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::Value;
use std::time::{Duration, SystemTime};

/// An answer whose status is not a success. `now` is what dates in `Retry-After` are counted from.
pub(crate) fn classify(status: StatusCode, headers: &HeaderMap, body: &[u8], now: SystemTime) -> Failure {
    let error = Described::in_body(body);
    let class = match status.as_u16() {
        300..=399 => ErrorClass::NotFound,
        401 | 403 => ErrorClass::Auth,
        402 => ErrorClass::QuotaExhausted,
        404 => ErrorClass::NotFound,
        408 => ErrorClass::Timeout,
        409 | 503 | 529 => ErrorClass::Overloaded,
        413 => ErrorClass::ContextOverflow,
        429 if error.is_about_money() => ErrorClass::QuotaExhausted,
        429 => ErrorClass::RateLimited,
        500..=599 => ErrorClass::Server,
        _ => error.class().unwrap_or(ErrorClass::BadRequest),
    };
    let message = match status.as_u16() {
        300..=399 => "redirects are not followed: mend `base_url`",
        // What the provider says here may quote the key.
        401 => "the key is missing or wrong: see `api_key_env` or `api_key_file` of the provider",
        _ => &error.message,
    };
    let mut failure = Failure::new(class, format!("{status}: {message}"));
    failure.retry_after = retry_after(headers, now);
    failure.should_retry = match headers.get("x-should-retry").map(|value| value.as_bytes()) {
        Some(b"true") => Some(true),
        Some(b"false") => Some(false),
        Some(_) | None => None,
    };
    failure
}

/// An error that arrived as an event of a stream, after a status of success.
pub(super) fn in_stream(error: &Value) -> Failure {
    let error = Described::of(error);
    let class = if error.is_about_money() {
        ErrorClass::QuotaExhausted
    } else {
        error.class().unwrap_or(ErrorClass::Server)
    };
    Failure::new(class, error.message)
}

/// The provider's description, from whichever shape it chose.
struct Described {
    message: String,
    code: String,
    kind: String,
}

impl Described {
    /// `{"error": {message, type, code}}` (OpenAI), `{"error": "text"}` (Ollama), `{"message": …}` (vLLM),
    /// `{"detail": …}` (FastAPI), or plain text.
    fn in_body(body: &[u8]) -> Self {
        match serde_json::from_slice::<Value>(body) {
            Ok(value) => Self::of(value.get("error").unwrap_or(&value)),
            Err(_) => Self::plain(String::from_utf8_lossy(body).trim().to_owned()),
        }
    }

    fn of(error: &Value) -> Self {
        let field = |name: &str| match error.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(_) | None => String::new(),
        };
        let message = match error {
            Value::String(text) => text.clone(),
            _ => [field("message"), field("detail")].concat(),
        };
        Self {
            code: field("code"),
            kind: field("type"),
            ..Self::plain(message)
        }
    }

    fn plain(message: String) -> Self {
        let message = if message.is_empty() {
            "no reason given".to_owned()
        } else {
            message
        };
        Self {
            message,
            code: String::new(),
            kind: String::new(),
        }
    }

    fn is_about_money(&self) -> bool {
        ["insufficient_quota", "billing_hard_limit_reached"]
            .iter()
            .any(|word| self.code == *word || self.kind == *word)
    }

    fn class(&self) -> Option<ErrorClass> {
        let says = |words: &[&str]| words.iter().any(|word| self.message.contains(word));
        match (self.code.as_str(), self.kind.as_str()) {
            ("context_length_exceeded", _) => Some(ErrorClass::ContextOverflow),
            ("content_filter" | "content_policy_violation", _) => Some(ErrorClass::ContentFilter),
            ("model_not_found", _) => Some(ErrorClass::NotFound),
            ("invalid_api_key", _) => Some(ErrorClass::Auth),
            ("rate_limit_exceeded", _) => Some(ErrorClass::RateLimited),
            (_, "server_error") => Some(ErrorClass::Server),
            (_, "overloaded_error") => Some(ErrorClass::Overloaded),
            // Servers other than OpenAI's say it in words only.
            _ if says(&["maximum context length", "context window", "context length"]) => {
                Some(ErrorClass::ContextOverflow)
            }
            (_, "invalid_request_error") => Some(ErrorClass::BadRequest),
            _ => None,
        }
    }
}

/// Longer waits than this are not told apart.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);

/// `retry-after-ms` (OpenAI, Azure), else `Retry-After` in seconds or as a date (RFC 9110 §10.2.3).
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let seconds = |text: &str, unit: f64| Duration::try_from_secs_f64(text.parse::<f64>().ok()? * unit).ok();
    let until = |text: &str| {
        let date = httpdate::parse_http_date(text).ok()?;
        Some(date.duration_since(now).unwrap_or(Duration::ZERO))
    };
    let in_millis = text("retry-after-ms").and_then(|text| seconds(text, 0.001));
    let wait =
        in_millis.or_else(|| text(RETRY_AFTER.as_str()).and_then(|text| seconds(text, 1.0).or_else(|| until(text))));
    Some(wait?.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn classified(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Failure {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        let now = httpdate::parse_http_date("Mon, 23 Nov 2026 09:00:00 GMT").unwrap();
        classify(StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes(), now)
    }

    #[test]
    fn the_body_tells_apart_what_the_status_does_not() {
        let quota = r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#;
        let rate = r#"{"error":{"message":"Rate limit reached","type":"requests","code":"rate_limit_exceeded"}}"#;
        let long =
            r#"{"error":{"message":"too long","type":"invalid_request_error","code":"context_length_exceeded"}}"#;
        let vllm = r#"{"object":"error","message":"This model's maximum context length is 4096 tokens.","type":"BadRequestError","code":400}"#;
        let filter = r#"{"error":{"message":"The response was filtered","code":"content_filter"}}"#;
        let cases = [
            (429, quota, ErrorClass::QuotaExhausted),
            (429, rate, ErrorClass::RateLimited),
            (429, "", ErrorClass::RateLimited),
            (400, long, ErrorClass::ContextOverflow),
            (400, vllm, ErrorClass::ContextOverflow),
            (400, filter, ErrorClass::ContentFilter),
            (400, "<html>", ErrorClass::BadRequest),
            (422, r#"{"detail":"no"}"#, ErrorClass::BadRequest),
            (401, "", ErrorClass::Auth),
            (402, "", ErrorClass::QuotaExhausted),
            (404, r#"{"error":"model 'x' not found"}"#, ErrorClass::NotFound),
            (302, "", ErrorClass::NotFound),
            (500, "oops", ErrorClass::Server),
            (503, "", ErrorClass::Overloaded),
            (529, "", ErrorClass::Overloaded),
        ];
        for (status, body, class) in cases {
            assert_eq!(classified(status, &[], body).class, class, "{status} {body}");
        }
    }

    #[test]
    fn the_message_says_what_the_provider_said_and_no_more() {
        assert_eq!(
            classified(404, &[], r#"{"error":"no model"}"#).message,
            "404 Not Found: no model"
        );
        assert_eq!(
            classified(500, &[], "").message,
            "500 Internal Server Error: no reason given"
        );
        assert!(classified(400, &[], &"é".repeat(9_000)).message.len() < 600);
    }

    #[test]
    fn the_wait_is_read_in_every_form() {
        let wait = |headers: &[(&'static str, &'static str)]| classified(429, headers, "").retry_after;
        assert_eq!(wait(&[("retry-after", "7")]), Some(Duration::from_secs(7)));
        assert_eq!(
            wait(&[("retry-after-ms", "250"), ("retry-after", "7")]),
            Some(Duration::from_millis(250))
        );
        assert_eq!(
            wait(&[("retry-after", "Mon, 23 Nov 2026 09:00:30 GMT")]),
            Some(Duration::from_secs(30))
        );
        assert_eq!(
            wait(&[("retry-after", "Mon, 23 Nov 2026 08:00:00 GMT")]),
            Some(Duration::ZERO)
        );
        assert_eq!(wait(&[("retry-after", "1e300")]), None);
        assert_eq!(wait(&[("retry-after", "99999999")]), Some(LONGEST_WAIT));
        assert_eq!(wait(&[("retry-after", "-1")]), None);
        assert_eq!(wait(&[]), None);
    }

    #[test]
    fn the_providers_word_on_retrying_is_kept() {
        assert_eq!(
            classified(500, &[("x-should-retry", "false")], "").should_retry,
            Some(false)
        );
        assert_eq!(
            classified(400, &[("x-should-retry", "true")], "").should_retry,
            Some(true)
        );
        assert_eq!(classified(400, &[], "").should_retry, None);
    }

    proptest! {
        #[test]
        fn any_answer_has_a_class(status in 300u16..600, body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let status = StatusCode::from_u16(status).unwrap();
            let failure = classify(status, &HeaderMap::new(), &body, SystemTime::UNIX_EPOCH);
            prop_assert!(!failure.message.is_empty());
        }
    }
}

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::{
    Response,
    header::{HeaderMap, RETRY_AFTER},
};
use serde_json::Value;

use crate::EgressError;

/// Of the body of an error so much is read as its message can need.
const ERROR_BYTES: usize = 4_096;
const MESSAGE_CHARS: usize = 500;

/// What came back, with a status that is fine.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    host: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    pub(crate) async fn read(mut response: Response, host: String, most: usize) -> Result<Self, EgressError> {
        let too_large = |host| EgressError::TooLarge { host, most };
        if response.content_length().is_some_and(|length| length > most as u64) {
            return Err(too_large(host));
        }
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > most => return Err(too_large(host)),
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(error) => return Err(EgressError::transport(host, error)),
            }
        }
        Ok(Self {
            status: response.status().as_u16(),
            host,
            headers: response.headers().clone(),
            body: body.into(),
        })
    }

    /// The first of this name; `None` if there is none, or if it is no text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// # Errors
    /// It is no UTF-8.
    pub fn text(&self) -> Result<String, EgressError> {
        String::from_utf8(self.body.to_vec()).map_err(|_| self.malformed("is no text in UTF-8"))
    }

    /// # Errors
    /// It is no JSON that can be taken as it is written.
    pub fn json(&self) -> Result<Value, EgressError> {
        schemas::json::read(&self.body)
            .map_err(|mistake| self.malformed(&format!("cannot be taken as JSON: {mistake}")))
    }

    fn malformed(&self, what: &str) -> EgressError {
        EgressError::Malformed {
            host: self.host.clone(),
            what: what.to_owned(),
        }
    }
}

/// An answer whose status is not fine.
pub(crate) async fn refusal(mut response: Response, host: String) -> EgressError {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > ERROR_BYTES {
            break;
        }
    }
    let status = response.status();
    let text = String::from_utf8_lossy(&body);
    let message = match text.trim() {
        "" => status.canonical_reason().unwrap_or("no reason given").to_owned(),
        text => text.chars().take(MESSAGE_CHARS).collect(),
    };
    EgressError::Status {
        host,
        status: status.as_u16(),
        message,
        retry_after: retry_after(response.headers(), SystemTime::now()),
    }
}

/// Seconds or a date (RFC 9110 §10.2.3).
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Some(
            httpdate::parse_http_date(text)
                .ok()?
                .duration_since(now)
                .unwrap_or_default(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_in_seconds_or_as_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        for (text, seconds) in [
            ("7", Some(7)),
            ("Sun, 06 Nov 1994 08:49:39 GMT", Some(2)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            assert_eq!(retry_after(&headers, now), seconds.map(Duration::from_secs), "{text}");
        }
    }
}

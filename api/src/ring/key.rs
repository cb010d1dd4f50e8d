//! Which run a record is about.

use std::time::{Duration, SystemTime};

use schemas::headers;
use topics::Headers;
use uuid::Uuid;

/// Which run: what a result says of itself in its headers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RunKey {
    pub tenant: String,
    pub request_id: String,
}

impl RunKey {
    /// `None` for a record that names no run: it was not written by an orchestrator, and nobody can wait for it.
    pub fn of(headers: &Headers) -> Option<Self> {
        Some(Self {
            tenant: headers.text(headers::TENANT)?.to_owned(),
            request_id: headers.text(headers::REQUEST_ID)?.to_owned(),
        })
    }
}

/// A request may be on the stream this long before Postgres knows it.
const YOUNG: Duration = Duration::from_secs(60);

impl RunKey {
    /// Whether there can be such a run.
    pub fn is_possible(&self) -> bool {
        [&self.tenant, &self.request_id]
            .into_iter()
            .all(|name| is_name(name.as_bytes()))
    }

    /// Whether the id was made within the last minute: a UUIDv7 (RFC 9562 §5.7) says when.
    pub fn is_young(&self) -> bool {
        let id = Uuid::try_parse(&self.request_id).ok();
        let Some(made) = id
            .filter(|id| id.get_version_num() == 7)
            .and_then(|id| id.get_timestamp())
        else {
            return false;
        };
        let (seconds, nanos) = made.to_unix();
        let made = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos);
        match SystemTime::now().duration_since(made) {
            Ok(age) => age < YOUNG,
            Err(ahead) => ahead.duration() < YOUNG,
        }
    }
}

/// 1–128 of `[A-Za-z0-9._:-]`: what can stand in a header, a key, a URL and a log line as it is.
pub(crate) fn is_name(text: &[u8]) -> bool {
    (1..=128).contains(&text.len())
        && text
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._:-".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::tests::run;

    #[test]
    fn only_a_fresh_uuid_v7_is_young() {
        let at = |age: Duration| {
            let made = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap() - age;
            Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, made.as_secs(), 0)).to_string()
        };
        let young = [at(Duration::ZERO), at(Duration::from_secs(30))];
        let others = [
            at(Duration::from_secs(90)),
            Uuid::new_v4().to_string(),
            "order-7".to_owned(),
        ];
        assert!(young.iter().all(|id| run(id).is_young()));
        assert!(!others.iter().any(|id| run(id).is_young()));
    }
}

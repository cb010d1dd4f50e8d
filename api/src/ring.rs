//! The last results that went by, as they lay in the topic: for whoever asks a moment late.
//!
//! Undecoded, because nearly all of them are never asked for.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use schemas::headers;
use topics::{Headers, Record};
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

/// Whether a result belongs to the request record at `src`; `None` stands for any.
pub(crate) fn is_from(result: &Record, src: Option<&str>) -> bool {
    src.is_none_or(|src| result.headers.text(headers::SRC) == Some(src))
}

/// Bounded by number and by bytes; the oldest go first.
pub(crate) struct Ring {
    max_results: usize,
    max_bytes: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    oldest_first: VecDeque<RunKey>,
    /// In the order of their arrival. More than one per run only if a request was produced twice.
    by_run: HashMap<RunKey, VecDeque<Arc<Record>>>,
    bytes: usize,
}

impl Ring {
    pub fn new(max_results: usize, max_bytes: usize) -> Self {
        Self {
            max_results,
            max_bytes,
            kept: Mutex::default(),
        }
    }

    pub fn insert(&self, run: RunKey, result: Arc<Record>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += result.size();
        kept.oldest_first.push_back(run.clone());
        kept.by_run.entry(run).or_default().push_back(result);
        while kept.oldest_first.len() > self.max_results || kept.bytes > self.max_bytes {
            kept.drop_oldest();
        }
        metrics::gauge!("millrace_ring_results").set(kept.oldest_first.len() as f64);
        metrics::gauge!("millrace_ring_bytes").set(kept.bytes as f64);
    }

    /// The first result of the run that is still here, from the request at `src` if given.
    pub fn find(&self, run: &RunKey, src: Option<&str>) -> Option<Arc<Record>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.by_run
            .get(run)?
            .iter()
            .find(|result| is_from(result, src))
            .cloned()
    }
}

impl Kept {
    fn drop_oldest(&mut self) {
        let Some(run) = self.oldest_first.pop_front() else {
            return;
        };
        let Some(results) = self.by_run.get_mut(&run) else {
            return;
        };
        self.bytes -= results.pop_front().map_or(0, |result| result.size());
        if results.is_empty() {
            self.by_run.remove(&run);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn run(request_id: &str) -> RunKey {
        RunKey {
            tenant: "acme".to_owned(),
            request_id: request_id.to_owned(),
        }
    }

    pub(crate) fn result(run: &RunKey, src: &str, value: &str) -> Arc<Record> {
        let headers = Headers::new()
            .with(headers::TENANT, run.tenant.clone())
            .with(headers::REQUEST_ID, run.request_id.clone())
            .with(headers::SRC, src.to_owned());
        Arc::new(Record {
            topic: "results".into(),
            partition: 0,
            offset: 0,
            timestamp_ms: 0,
            key: None,
            value: Some(value.to_owned().into()),
            headers,
        })
    }

    #[test]
    fn the_oldest_go_first_by_number_and_by_bytes() {
        let [a, b, c] = ["a", "b", "c"].map(run);
        let ring = Ring::new(2, 10_000);
        for key in [&a, &b, &c] {
            ring.insert(key.clone(), result(key, "t/0/1", "short"));
        }
        assert!(ring.find(&a, None).is_none());
        assert!(ring.find(&b, None).is_some() && ring.find(&c, None).is_some());

        let large = result(&a, "t/0/2", &"x".repeat(9_990));
        ring.insert(a, large);
        assert!(
            ring.find(&b, None).is_none() && ring.find(&c, None).is_none(),
            "it needs all the bytes for itself"
        );
        ring.insert(b.clone(), result(&b, "t/0/3", &"x".repeat(20_000)));
        let kept = ring.kept.lock().unwrap();
        assert_eq!(
            (kept.bytes, kept.oldest_first.len(), kept.by_run.len()),
            (0, 0, 0),
            "what never fits leaves nothing"
        );
    }

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

    #[test]
    fn a_run_that_was_produced_twice_is_told_apart_by_src() {
        let key = run("twice");
        let ring = Ring::new(10, 10_000);
        ring.insert(key.clone(), result(&key, "t/0/1", "first"));
        ring.insert(key.clone(), result(&key, "t/0/2", "second"));
        let found = |src| ring.find(&key, src).and_then(|it| it.value.clone());
        assert_eq!(found(None).unwrap(), "first");
        assert_eq!(found(Some("t/0/2")).unwrap(), "second");
        assert!(found(Some("t/0/3")).is_none());
    }
}

//! The memory of the server: who called how often, what runs now, when it began and ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::Usage;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The header `x-request-id`; empty without one.
    pub request_id: String,
    /// What stands in the path before `/v1`: callers that must be told apart have base URLs of their own.
    pub door: String,
    /// `/chat/completions` or `/embeddings`.
    pub path: String,
    pub model: String,
    /// A digest of path and body.
    pub body: u64,
    /// 1 for the first call with the same body under the same request id.
    pub attempt: u32,
    /// Whether the script says that it is not to succeed.
    pub to_fail: bool,
    /// Microseconds since 1970, as all times here.
    pub started_at: i64,
    pub finished_at: Option<i64>,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Running,
    /// With an HTTP status; for `cut` and `malformed` it was 200.
    Answered(u16),
    /// The caller went away first.
    Abandoned,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub calls: u64,
    pub request_ids: u64,
    /// Calls beyond the first of each request id and body.
    pub repeated: u64,
    pub in_flight: u64,
    pub most_in_flight: u64,
    /// Of this process; only where `/proc` tells it.
    pub resident_bytes: Option<u64>,
}

#[derive(Debug, Clone, Default)]
pub struct Calls(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    /// Calls by request id and digest of the body.
    attempts: HashMap<String, HashMap<u64, u32>>,
    /// In flight, by door.
    doors: HashMap<String, u64>,
    list: Vec<Call>,
    summary: Summary,
    /// Calls that began before the last reset do not come back into an empty book.
    epoch: u64,
}

/// One call, from its request to the end of its answer. Dropped unfinished, it was abandoned.
#[derive(Debug)]
pub struct Running {
    calls: Calls,
    epoch: u64,
    door: String,
    place: Option<usize>,
    pub attempt: u32,
    ended: bool,
}

impl Calls {
    pub fn begin(&self, door: &str, request_id: &str, path: &str, model: &str, body: u64, list: bool) -> Running {
        let mut book = self.book();
        let attempt = book
            .attempts
            .entry(request_id.to_owned())
            .or_default()
            .entry(body)
            .or_default();
        *attempt += 1;
        let attempt = *attempt;
        book.summary.calls += 1;
        book.summary.repeated += u64::from(attempt > 1);
        book.summary.in_flight += 1;
        *book.doors.entry(door.to_owned()).or_default() += 1;
        book.summary.most_in_flight = book.summary.most_in_flight.max(book.summary.in_flight);
        let place = list.then(|| {
            book.list.push(Call {
                request_id: request_id.to_owned(),
                door: door.to_owned(),
                path: path.to_owned(),
                model: model.to_owned(),
                body,
                attempt,
                to_fail: false,
                started_at: now(),
                finished_at: None,
                outcome: Outcome::Running,
            });
            book.list.len() - 1
        });
        Running {
            calls: self.clone(),
            epoch: book.epoch,
            door: door.to_owned(),
            place,
            attempt,
            ended: false,
        }
    }

    pub fn list(&self) -> Vec<Call> {
        self.book().list.clone()
    }

    /// Calls under one request id, whatever their bodies.
    pub fn count(&self, request_id: &str) -> u32 {
        self.book()
            .attempts
            .get(request_id)
            .map_or(0, |bodies| bodies.values().sum())
    }

    /// Calls that came through `door` and run now.
    pub fn in_flight(&self, door: &str) -> u64 {
        self.book().doors.get(door).copied().unwrap_or_default()
    }

    pub fn summary(&self) -> Summary {
        let book = self.book();
        let resident_bytes = Usage::of(std::process::id()).map(|usage| usage.resident_bytes);
        let request_ids = book.attempts.len().try_into().unwrap_or(u64::MAX);
        Summary {
            request_ids,
            resident_bytes,
            ..book.summary
        }
    }

    pub fn reset(&self) {
        let mut book = self.book();
        *book = Book {
            epoch: book.epoch + 1,
            ..Book::default()
        };
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    pub fn is_to_fail(&self) {
        let mut book = self.calls.book();
        if book.epoch == self.epoch
            && let Some(call) = self.place.and_then(|place| book.list.get_mut(place))
        {
            call.to_fail = true;
        }
    }

    pub fn answered(mut self, status: u16) {
        self.end(Outcome::Answered(status));
    }

    fn end(&mut self, outcome: Outcome) {
        self.ended = true;
        let mut book = self.calls.book();
        if book.epoch != self.epoch {
            return;
        }
        book.summary.in_flight -= 1;
        if let Some(count) = book.doors.get_mut(&self.door) {
            *count -= 1;
        }
        if let Some(call) = self.place.and_then(|place| book.list.get_mut(place)) {
            call.finished_at = Some(now());
            call.outcome = outcome;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            self.end(Outcome::Abandoned);
        }
    }
}

pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_micros().try_into().unwrap_or(i64::MAX)
}

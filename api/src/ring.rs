//! The last results that went by, as they lay in the topic: for whoever asks a moment late, and for the feed, whose
//! readers are places in it.
//!
//! Undecoded, because nearly all of them are never asked for. What a reader of the feed needs of a result is made when the
//! first one comes to it, and shared by all.

mod key;
mod positions;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use schemas::headers;
use tokio::sync::{OnceCell, watch};
use topics::{Record, TopicPartition};

pub(crate) use key::{RunKey, is_name};
pub(crate) use positions::Positions;

use crate::{feed::Row, history::Stretch};

/// Whether a result belongs to the request record at `src`; `None` stands for any.
pub(crate) fn is_from(result: &Record, src: Option<&str>) -> bool {
    src.is_none_or(|src| result.headers.text(headers::SRC) == Some(src))
}

/// A result that went by.
pub(crate) struct Arrived {
    pub run: RunKey,
    pub record: Arc<Record>,
    /// `None` inside: it cannot be decoded.
    pub row: OnceCell<Option<Row>>,
}

/// Bounded by number and by bytes; the oldest go first.
pub(crate) struct Ring {
    max_results: usize,
    max_bytes: usize,
    kept: Mutex<Kept>,
    /// How many results have ever arrived: the number of the next one.
    arrived: watch::Sender<u64>,
}

#[derive(Default)]
struct Kept {
    oldest_first: VecDeque<Arc<Arrived>>,
    /// The number of the oldest.
    first: u64,
    /// In the order of their arrival. More than one per run only if a request was produced twice.
    by_run: HashMap<RunKey, VecDeque<Arc<Arrived>>>,
    bytes: usize,
    /// From where on everything that was committed is here.
    from: Positions,
    /// Everything has arrived that was committed when the reading began.
    is_whole: bool,
    /// The next offset of each partition.
    to: Positions,
}

/// What a reader that is at some place gets.
pub(crate) enum Ahead {
    /// It is at the end.
    Nothing,
    /// The results from there on, or the first of them.
    Results(Vec<Arc<Arrived>>),
    /// This many are not here any more; it goes on at the end.
    Gap { missed: u64, end: Place },
}

/// The place of a reader: everything before it has been seen or is given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The number of the next result.
    pub next: u64,
    pub positions: Positions,
}

impl Ring {
    pub fn new(max_results: usize, max_bytes: usize) -> Self {
        Self {
            max_results,
            max_bytes,
            kept: Mutex::default(),
            arrived: watch::Sender::new(0),
        }
    }

    /// Reading began there: from these offsets on, nothing is missing. What is known already is not changed.
    pub fn adopt(&self, begun: &BTreeMap<TopicPartition, i64>) {
        let mut kept = self.lock();
        for (partition, offset) in begun {
            if kept.from.get(partition.partition).is_none() {
                kept.from.set(partition.partition, *offset);
                kept.to.set(partition.partition, *offset);
            }
        }
    }

    /// Everything has arrived that was committed when the reading began.
    pub fn caught_up(&self) {
        self.lock().is_whole = true;
    }

    /// From where on every result is here; `None` as long as it is not known what is.
    pub fn begins(&self) -> Option<Positions> {
        let kept = self.lock();
        kept.is_whole.then(|| kept.from.clone())
    }

    /// Results were lost, or the topic was made anew: forgets everything, and readers are told of a gap.
    pub fn restart(&self) {
        let mut kept = self.lock();
        let first = *self.arrived.borrow() + 1;
        *kept = Kept {
            first,
            ..Kept::default()
        };
        drop(kept);
        self.arrived.send_replace(first);
    }

    pub fn insert(&self, run: RunKey, record: Arc<Record>) {
        let mut kept = self.lock();
        kept.bytes += record.size();
        kept.to.set(record.partition, record.offset + 1);
        let arrived = Arc::new(Arrived {
            run: run.clone(),
            record,
            row: OnceCell::new(),
        });
        kept.oldest_first.push_back(Arc::clone(&arrived));
        kept.by_run.entry(run).or_default().push_back(arrived);
        while kept.oldest_first.len() > self.max_results || kept.bytes > self.max_bytes {
            kept.drop_oldest();
        }
        metrics::gauge!("millrace_ring_results").set(kept.oldest_first.len() as f64);
        metrics::gauge!("millrace_ring_bytes").set(kept.bytes as f64);
        drop(kept);
        self.arrived.send_modify(|arrived| *arrived += 1);
    }

    /// The first result of the run that is still here, from the request at `src` if given.
    pub fn find(&self, run: &RunKey, src: Option<&str>) -> Option<Arc<Record>> {
        let kept = self.lock();
        let found = kept.by_run.get(run)?.iter().find(|it| is_from(&it.record, src))?;
        Some(Arc::clone(&found.record))
    }

    /// All results of the run that are still here, the first first.
    pub fn of(&self, run: &RunKey) -> Vec<Arc<Record>> {
        let kept = self.lock();
        let results = kept.by_run.get(run).into_iter().flatten();
        results.map(|it| Arc::clone(&it.record)).collect()
    }

    /// Kafka timestamp of the newest result of a tenant, in milliseconds.
    pub fn newest(&self, tenant: &str) -> Option<i64> {
        let kept = self.lock();
        let newest = kept.oldest_first.iter().rev().find(|it| it.run.tenant == tenant)?;
        Some(newest.record.timestamp_ms)
    }

    /// Changes whenever a result arrives.
    pub fn arrivals(&self) -> watch::Receiver<u64> {
        self.arrived.subscribe()
    }

    /// The end, less this many results.
    pub fn end(&self, recent: u64) -> Place {
        let kept = self.lock();
        let mut place = self.end_of(&kept);
        let recent = recent.min(kept.oldest_first.len() as u64);
        place.next -= recent;
        for arrived in kept.oldest_first.iter().rev().take(recent as usize) {
            place.positions.lower(arrived.record.partition, arrived.record.offset);
        }
        place
    }

    /// Where a reader goes on that has seen everything below `seen`; `None` if not all that followed is here.
    pub fn resume(&self, seen: &Positions) -> Option<Place> {
        let kept = self.lock();
        seen.covers(&kept.from).then(|| Place {
            next: kept.first,
            positions: seen.clone(),
        })
    }

    /// What a reader that has seen everything below `seen` does not find here any more.
    pub fn lacks(&self, seen: &Positions) -> Vec<Stretch> {
        seen.until(&self.lock().from)
    }

    /// Whether everything below `seen` has arrived.
    pub fn has_reached(&self, seen: &Positions) -> bool {
        self.lock().to.covers(seen)
    }

    /// At most `limit` results from a place on.
    pub fn after(&self, place: &Place, limit: usize) -> Ahead {
        let kept = self.lock();
        if place.next < kept.first {
            let end = self.end_of(&kept);
            return Ahead::Gap {
                missed: end.next - place.next,
                end,
            };
        }
        let skipped = (place.next - kept.first) as usize;
        let results: Vec<_> = kept.oldest_first.iter().skip(skipped).take(limit).cloned().collect();
        if results.is_empty() {
            Ahead::Nothing
        } else {
            Ahead::Results(results)
        }
    }

    fn end_of(&self, kept: &Kept) -> Place {
        Place {
            next: kept.first + kept.oldest_first.len() as u64,
            positions: kept.to.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn drop_oldest(&mut self) {
        let Some(oldest) = self.oldest_first.pop_front() else {
            return;
        };
        self.first += 1;
        self.bytes -= oldest.record.size();
        self.from.set(oldest.record.partition, oldest.record.offset + 1);
        let Some(results) = self.by_run.get_mut(&oldest.run) else {
            return;
        };
        results.pop_front();
        if results.is_empty() {
            self.by_run.remove(&oldest.run);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;

//! Callers that wait for results, by run.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::mpsc;
use topics::Record;

use crate::ring::{RunKey, is_from};

/// Clones share the callers. Their number is bounded.
#[derive(Clone)]
pub(crate) struct Waiters {
    shared: Arc<Shared>,
}

struct Shared {
    limit: usize,
    next_id: AtomicU64,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    count: usize,
    by_run: HashMap<RunKey, Vec<Caller>>,
}

/// Where a caller listens, under the id of its [`Waiter`].
struct Caller {
    id: u64,
    results: mpsc::UnboundedSender<Arc<Record>>,
}

/// One caller. It hears every result of its run from the moment it was registered, and is forgotten when dropped, which
/// is what happens when its caller hangs up.
pub(crate) struct Waiter {
    id: u64,
    run: RunKey,
    /// Unbounded, and yet small: a run has as many results as requests under its id, nearly always one.
    results: mpsc::UnboundedReceiver<Arc<Record>>,
    shared: Arc<Shared>,
}

/// As many callers wait as may.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{limit} callers are waiting already")]
pub(crate) struct Full {
    pub limit: usize,
}

impl Waiters {
    pub fn new(limit: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                limit,
                next_id: AtomicU64::new(0),
                waiting: Mutex::default(),
            }),
        }
    }

    /// # Errors
    /// [`Full`]
    pub fn register(&self, run: RunKey) -> Result<Waiter, Full> {
        let (sender, results) = mpsc::unbounded_channel();
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let mut waiting = self.shared.lock();
        if waiting.count >= self.shared.limit {
            return Err(Full {
                limit: self.shared.limit,
            });
        }
        waiting
            .by_run
            .entry(run.clone())
            .or_default()
            .push(Caller { id, results: sender });
        waiting.counted(1);
        drop(waiting);
        Ok(Waiter {
            id,
            run,
            results,
            shared: Arc::clone(&self.shared),
        })
    }

    /// Hands a result to all who wait for its run; false if nobody does.
    pub fn deliver(&self, run: &RunKey, result: &Arc<Record>) -> bool {
        let waiting = self.shared.lock();
        let Some(callers) = waiting.by_run.get(run) else {
            return false;
        };
        for caller in callers {
            // A caller that is just leaving does not want it any more.
            let _ = caller.results.send(Arc::clone(result));
        }
        true
    }
}

impl Waiter {
    pub fn run(&self) -> &RunKey {
        &self.run
    }

    /// The next result of the run, from the request at `src` if given. Safe to cancel.
    pub async fn result(&mut self, src: Option<&str>) -> Arc<Record> {
        loop {
            match self.results.recv().await {
                Some(result) if is_from(&result, src) => return result,
                Some(_) => {}
                // The sender lies in the map until this waiter is dropped.
                None => std::future::pending().await,
            }
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut waiting = self.shared.lock();
        if let Some(callers) = waiting.by_run.get_mut(&self.run) {
            callers.retain(|caller| caller.id != self.id);
            if callers.is_empty() {
                waiting.by_run.remove(&self.run);
            }
        }
        waiting.counted(-1);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn counted(&mut self, change: isize) {
        self.count = self.count.saturating_add_signed(change);
        metrics::gauge!("millrace_waiters").set(self.count as f64);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::ring::{
        Ring,
        tests::{result, run},
    };

    /// What the tail does with a result, and what a caller does to get it, in their orders.
    #[derive(Debug, Clone, Copy)]
    enum Step {
        IntoRing,
        ToWaiters,
        Register,
        LookIntoRing,
    }

    /// All ways to shuffle two sequences into one another.
    fn interleavings(left: &[Step], right: &[Step]) -> Vec<Vec<Step>> {
        let (Some((first_left, rest_left)), Some((first_right, rest_right))) =
            (left.split_first(), right.split_first())
        else {
            return vec![[left, right].concat()];
        };
        let starting = |first: &Step, rest: Vec<Vec<Step>>| {
            rest.into_iter()
                .map(|tail| [vec![*first], tail].concat())
                .collect::<Vec<_>>()
        };
        let mut all = starting(first_left, interleavings(rest_left, right));
        all.extend(starting(first_right, interleavings(left, rest_right)));
        all
    }

    #[test]
    fn no_result_slips_between_the_look_into_the_ring_and_the_wait() {
        let orders = interleavings(
            &[Step::IntoRing, Step::ToWaiters],
            &[Step::Register, Step::LookIntoRing],
        );
        assert_eq!(orders.len(), 6);
        for src in [None, Some("t/0/1")] {
            for order in &orders {
                let (ring, waiters, key) = (Ring::new(1, 10_000), Waiters::new(1), run("a"));
                let record = result(&key, "t/0/1", "done");
                let (mut waiter, mut found) = (None, None);
                for step in order {
                    match step {
                        Step::IntoRing => ring.insert(key.clone(), Arc::clone(&record)),
                        Step::ToWaiters => {
                            waiters.deliver(&key, &record);
                        }
                        Step::Register => waiter = Some(waiters.register(key.clone()).unwrap()),
                        Step::LookIntoRing => found = ring.find(&key, src),
                    }
                }
                let heard = waiter.as_mut().and_then(|waiter| waiter.result(src).now_or_never());
                assert!(found.or(heard).is_some(), "lost by {order:?}");
            }
        }
    }

    #[test]
    fn a_caller_that_registered_before_it_produced_needs_no_ring() {
        let (waiters, key) = (Waiters::new(1), run("a"));
        let mut waiter = waiters.register(key.clone()).unwrap();
        waiters.deliver(&key, &result(&key, "t/0/7", "of somebody who used the same id"));
        waiters.deliver(&key, &result(&key, "t/0/8", "mine"));
        let mine = waiter.result(Some("t/0/8")).now_or_never().unwrap();
        assert_eq!(mine.value.as_deref(), Some(b"mine".as_slice()));
        assert!(waiter.result(Some("t/0/8")).now_or_never().is_none());
    }

    #[test]
    fn who_hangs_up_is_forgotten_and_makes_room() {
        let (waiters, key) = (Waiters::new(2), run("a"));
        let first = waiters.register(key.clone()).unwrap();
        let mut second = waiters.register(key.clone()).unwrap();
        assert_eq!(waiters.register(run("b")).err(), Some(Full { limit: 2 }));
        drop(first);
        let third = waiters.register(run("b")).unwrap();
        assert!(waiters.deliver(&key, &result(&key, "t/0/1", "done")));
        assert!(second.result(None).now_or_never().is_some());
        drop((second, third));
        assert!(!waiters.deliver(&key, &result(&key, "t/0/1", "done")));
        let left = waiters.shared.lock();
        assert_eq!((left.count, left.by_run.len()), (0, 0));
    }
}

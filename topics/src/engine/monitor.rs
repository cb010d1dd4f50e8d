//! What the threads of an engine share: the member under one lock, and who is woken when it changes.

use std::{
    collections::HashMap,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use super::core::{Assignment, Batch, Member};
use crate::{TopicPartition, queues::Bell};

/// How often offsets without records are committed of partitions that have no results.
const SKIPS_EVERY: Duration = Duration::from_secs(2);

pub(super) struct Monitor {
    member: Mutex<Member>,
    /// Rung for the committer (a result is ready) and for a revocation that waits until all is committed.
    changed: Condvar,
    /// Rung for the poll thread.
    pub(super) bell: Bell,
    /// The poll thread left records unread because there was no room for them.
    starved: AtomicBool,
    tokens: Mutex<HashMap<Assignment, CancellationToken>>,
    trouble: Mutex<Trouble>,
    /// A partition that is assigned is not claimed: brokers could not be asked, or it was forgotten.
    unclaimed: AtomicBool,
    /// It stops, and was given partitions that others wait for.
    wanted_elsewhere: AtomicBool,
    ended: AtomicBool,
    /// When offsets without records were last to be committed.
    skips_at: Mutex<Instant>,
}

/// What the committer is to do.
pub(super) enum Next {
    Batch(Batch),
    /// There was nothing for a while.
    Nothing,
    End,
}

/// What keeps this member from working, in words for `/readyz`. Each has one place that sets and clears it.
#[derive(Debug, Clone, Default)]
pub(super) struct Trouble {
    pub(super) joining: Option<String>,
    pub(super) committing: Option<String>,
    pub(super) stalled: Option<String>,
    pub(super) fetching: Option<String>,
}

impl Monitor {
    pub(super) fn new(member: Member) -> Self {
        Self {
            member: Mutex::new(member),
            changed: Condvar::new(),
            bell: Bell::default(),
            starved: AtomicBool::new(false),
            tokens: Mutex::default(),
            trouble: Mutex::default(),
            unclaimed: AtomicBool::new(false),
            wanted_elsewhere: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            skips_at: Mutex::new(Instant::now()),
        }
    }

    pub(super) fn member(&self) -> MutexGuard<'_, Member> {
        self.member.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn trouble(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The member changed in a way that the committer or a waiting revocation must see.
    pub(super) fn announce(&self) {
        self.changed.notify_all();
        if self.starved.load(Ordering::Acquire) && self.member().is_hungry() {
            self.starved.store(false, Ordering::Release);
            self.bell.ring();
        }
    }

    /// Whether there is room for a record of this partition. If not, the poll thread is woken when there may be.
    pub(super) fn wants(&self, partition: &TopicPartition) -> bool {
        let mut member = self.member();
        let wants = member.wants(partition);
        if !wants && member.holds(partition) {
            self.starved.store(true, Ordering::Release);
        }
        wants
    }

    /// The next batch, as soon as there is one. What is worth no commit of its own has one from time to time.
    pub(super) fn next(&self, patience: Duration) -> Next {
        let until = Instant::now() + patience;
        let mut member = self.member();
        if self.is_time_for_skips() {
            member.commit_skips();
        }
        while !self.ended.load(Ordering::Acquire) {
            if let Some(batch) = member.batch() {
                return Next::Batch(batch);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Next::Nothing;
            }
            member = self
                .changed
                .wait_timeout(member, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        Next::End
    }

    fn is_time_for_skips(&self) -> bool {
        let mut last = self.skips_at.lock().unwrap_or_else(PoisonError::into_inner);
        let is_time = last.elapsed() >= SKIPS_EVERY;
        if is_time {
            *last = Instant::now();
        }
        is_time
    }

    pub(super) fn ask_to_claim(&self) {
        self.unclaimed.store(true, Ordering::Release);
        self.bell.ring();
    }

    pub(super) fn must_claim(&self) -> bool {
        self.unclaimed.load(Ordering::Acquire)
    }

    pub(super) fn claims(&self) {
        self.unclaimed.store(false, Ordering::Release);
    }

    pub(super) fn ask_to_leave(&self) {
        self.wanted_elsewhere.store(true, Ordering::Release);
        self.bell.ring();
    }

    pub(super) fn must_leave(&self) -> bool {
        self.wanted_elsewhere.load(Ordering::Acquire)
    }

    pub(super) fn leaves(&self) {
        self.wanted_elsewhere.store(false, Ordering::Release);
    }

    /// Waits until it is so, at most for `deadline`.
    pub(super) fn wait_until(&self, deadline: Duration, is_so: impl Fn(&Member) -> bool) -> bool {
        let until = Instant::now() + deadline;
        let mut member = self.member();
        while !is_so(&member) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.ended.load(Ordering::Acquire) {
                return false;
            }
            member = self
                .changed
                .wait_timeout(member, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }

    /// The engine's threads are to return.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        // Under the lock, so that no thread is between its look and its wait.
        drop(self.member());
        self.changed.notify_all();
        self.bell.ring();
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Pauses a thread for long, unless the engine ends meanwhile.
    pub(super) fn pause(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut member = self.member();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.ended.load(Ordering::Acquire) {
                return;
            }
            member = self
                .changed
                .wait_timeout(member, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    pub(super) fn open(&self, assignment: Assignment) {
        self.tokens().insert(assignment, CancellationToken::new());
    }

    /// Fires for the runs of this assignment; has fired already if the assignment is over.
    pub(super) fn token(&self, assignment: &Assignment) -> CancellationToken {
        self.tokens().get(assignment).cloned().unwrap_or_else(|| {
            let over = CancellationToken::new();
            over.cancel();
            over
        })
    }

    pub(super) fn cancel(&self, assignments: Vec<Assignment>) {
        let mut tokens = self.tokens();
        for assignment in assignments {
            if let Some(token) = tokens.remove(&assignment) {
                token.cancel();
            }
        }
    }

    fn tokens(&self) -> MutexGuard<'_, HashMap<Assignment, CancellationToken>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

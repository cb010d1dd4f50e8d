//! Who still waits for a result, and how long nobody got one.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::world::now;

/// In the ids of requests whose model answers late: they are no sign of a stall.
pub const SLOW: &str = "-slow";
/// At the end of the ids of requests whose chain waits for a person.
pub const ASKS: &str = "-asks";
/// Behind such an id: what comes after the decision.
const GOES_ON: &str = "/1";

pub struct Board(Mutex<State>);

struct State {
    /// Acknowledged by a broker: ids, and places of requests whose id nobody has given.
    acknowledged: HashSet<String>,
    /// Of them, without a result.
    waiting: HashSet<String>,
    with_result: HashSet<String>,
    /// Results that wait for a person, as they lie in their topic.
    to_decide: VecDeque<Vec<u8>>,
    /// By topic and partition: behind the last record that somebody knows of.
    ends: BTreeMap<(String, i32), i64>,
    is_loading: bool,
    /// Reasons for which nothing can be seen.
    outages: u32,
    /// When something was seen, or when it began to be possible.
    since: Instant,
    longest_stall: Duration,
    /// By partition of the results: how far readers of read_committed can read, and since when no further.
    stable: BTreeMap<i32, (i64, Instant)>,
    longest_held: Duration,
    away: Vec<TimeAway>,
}

/// When a broker, the network to it, or the registry was away, in microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeAway {
    pub from: i64,
    pub to: i64,
    pub is_brokers: bool,
}

/// Something that a takeover needs is away while this lives.
pub struct Away<'b> {
    board: &'b Board,
    since: i64,
    is_brokers: bool,
}

/// Nothing can be expected to move while this lives.
pub struct Outage<'b>(Away<'b>);

impl Board {
    pub fn new() -> Self {
        Self(Mutex::new(State {
            acknowledged: HashSet::new(),
            waiting: HashSet::new(),
            with_result: HashSet::new(),
            to_decide: VecDeque::new(),
            ends: BTreeMap::new(),
            is_loading: false,
            outages: 0,
            since: Instant::now(),
            longest_stall: Duration::ZERO,
            stable: BTreeMap::new(),
            longest_held: Duration::ZERO,
            away: Vec::new(),
        }))
    }

    pub fn load_begins(&self) {
        let mut state = self.state();
        (state.is_loading, state.since) = (true, Instant::now());
    }

    pub fn load_ends(&self) {
        self.state().is_loading = false;
    }

    pub fn acknowledged(&self, id: &str) {
        let mut state = self.state();
        if !state.with_result.contains(id) {
            if state.hurry() == 0 {
                state.since = Instant::now();
            }
            state.waiting.insert(id.to_owned());
        }
        state.acknowledged.insert(id.to_owned());
    }

    pub fn seen(&self, id: &str) {
        let mut state = self.state();
        state.look();
        state.since = Instant::now();
        state.waiting.remove(id);
        state.with_result.insert(id.to_owned());
    }

    /// The same, with the result itself: the first one of a run that asks is to be decided about, the next one follows that.
    pub fn seen_result(&self, id: &str, result: &[u8]) {
        if !id.ends_with(ASKS) {
            return self.seen(id);
        }
        let mut state = self.state();
        if state.with_result.contains(id) {
            drop(state);
            return self.seen(&format!("{id}{GOES_ON}"));
        }
        state.to_decide.push_back(result.to_vec());
        drop(state);
        self.seen(id);
    }

    /// A run that waits, and that nobody has been given.
    pub fn to_decide(&self) -> Option<Vec<u8>> {
        self.state().to_decide.pop_front()
    }

    /// Runs that ask, as far as they have not asked yet.
    pub fn to_ask(&self) -> usize {
        let state = self.state();
        let waiting = state.waiting.iter();
        waiting.filter(|id| id.ends_with(ASKS)).count() + state.to_decide.len()
    }

    /// Somebody has decided: the run goes on.
    pub fn decided(&self, id: &str) {
        self.acknowledged(&format!("{id}{GOES_ON}"));
    }

    /// A record lies there.
    pub fn lies(&self, topic: &str, partition: i32, offset: i64) {
        let mut state = self.state();
        let end = state.ends.entry((topic.to_owned(), partition)).or_default();
        *end = (offset + 1).max(*end);
    }

    /// Topic, partition, and what lies behind the last record there.
    pub fn ends(&self) -> Vec<(String, i32, i64)> {
        let state = self.state();
        let ends = state.ends.iter();
        ends.map(|((topic, partition), end)| (topic.clone(), *partition, *end))
            .collect()
    }

    /// Readers of read_committed can read a partition of the results up to `stable`; written it is up to `end`.
    pub fn readable(&self, partition: i32, stable: i64, end: i64) {
        let mut state = self.state();
        let now = Instant::now();
        let (before, since) = *state.stable.entry(partition).or_insert((stable, now));
        if stable > before || stable >= end {
            state.stable.insert(partition, (stable, now));
        } else if state.outages == 0 {
            state.longest_held = state.longest_held.max(since.elapsed());
        }
    }

    /// The longest time for which an open transaction kept readers from what lies behind it in a partition.
    pub fn longest_held(&self) -> Duration {
        self.state().longest_held
    }

    pub fn outage(&self) -> Outage<'_> {
        let mut state = self.state();
        state.look();
        state.outages += 1;
        drop(state);
        Outage(self.away(true))
    }

    pub fn registry_away(&self) -> Away<'_> {
        self.away(false)
    }

    fn away(&self, is_brokers: bool) -> Away<'_> {
        Away {
            board: self,
            since: now(),
            is_brokers,
        }
    }

    /// In order.
    pub fn was_away(&self) -> Vec<TimeAway> {
        let mut away = self.state().away.clone();
        away.sort_unstable();
        away
    }

    /// To be called now and then: a stall is measured while it lasts.
    pub fn look(&self) {
        self.state().look();
    }

    /// Acknowledged, and acknowledged without a result.
    pub fn counts(&self) -> (usize, usize) {
        let state = self.state();
        (state.acknowledged.len(), state.waiting.len())
    }

    /// Some of those that wait.
    pub fn some_waiting(&self) -> Vec<String> {
        self.state().waiting.iter().take(10).cloned().collect()
    }

    pub fn longest_stall(&self) -> Duration {
        self.state().longest_stall
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// How many wait for a model that is quick.
    fn hurry(&self) -> usize {
        self.waiting.iter().filter(|id| !id.ends_with(SLOW)).take(1).count()
    }

    fn look(&mut self) {
        if self.is_loading && self.outages == 0 && self.hurry() > 0 {
            self.longest_stall = self.longest_stall.max(self.since.elapsed());
        }
    }
}

impl Drop for Outage<'_> {
    fn drop(&mut self) {
        let mut state = self.0.board.state();
        state.outages -= 1;
        state.since = Instant::now();
        state.stable.clear();
    }
}

impl Drop for Away<'_> {
    fn drop(&mut self) {
        let away = TimeAway {
            from: self.since,
            to: now(),
            is_brokers: self.is_brokers,
        };
        self.board.state().away.push(away);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_wait_for_a_quick_answer_with_nothing_broken_is_a_stall() {
        let board = Board::new();
        board.acknowledged("a-slow");
        board.load_begins();
        board.look();
        assert_eq!(board.longest_stall(), Duration::ZERO);

        board.acknowledged("b");
        let outage = board.outage();
        let before = board.longest_stall();
        board.look();
        assert_eq!(board.longest_stall(), before);

        drop(outage);
        let until = Instant::now() + Duration::from_secs(10);
        while board.longest_stall() <= before {
            assert!(Instant::now() < until, "a wait is no stall");
            board.look();
        }
        board.seen("b");
        board.seen("a-slow");
        assert_eq!(board.counts(), (2, 0));
    }
}

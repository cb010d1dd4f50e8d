//! Who still waits for a result, and how long nobody got one.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::world::now;

/// In the ids of requests whose model answers late: they are no sign of a stall.
pub const SLOW: &str = "-slow";

pub struct Board(Mutex<State>);

struct State {
    /// Acknowledged by a broker.
    acknowledged: HashSet<String>,
    /// Of them, without a result.
    waiting: HashSet<String>,
    with_result: HashSet<String>,
    is_loading: bool,
    /// Reasons for which nothing can be seen.
    outages: u32,
    /// When something was seen, or when it began to be possible.
    since: Instant,
    longest_stall: Duration,
    /// Microseconds since 1970: when a broker, the network or the registry was away.
    away: Vec<(i64, i64)>,
}

/// Something that a takeover needs is away while this lives.
pub struct Away<'b> {
    board: &'b Board,
    since: i64,
}

/// Nothing can be expected to move while this lives.
pub struct Outage<'b>(Away<'b>);

impl Board {
    pub fn new() -> Self {
        Self(Mutex::new(State {
            acknowledged: HashSet::new(),
            waiting: HashSet::new(),
            with_result: HashSet::new(),
            is_loading: false,
            outages: 0,
            since: Instant::now(),
            longest_stall: Duration::ZERO,
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

    pub fn outage(&self) -> Outage<'_> {
        let mut state = self.state();
        state.look();
        state.outages += 1;
        drop(state);
        Outage(self.away())
    }

    pub fn away(&self) -> Away<'_> {
        Away {
            board: self,
            since: now(),
        }
    }

    /// How much of the time from `from` to `to` nothing was away: all in microseconds since 1970.
    pub fn whole(&self, from: i64, to: i64) -> i64 {
        let mut away = self.state().away.clone();
        away.sort_unstable();
        let (mut whole, mut place) = (0, from);
        for (begin, end) in away {
            whole += (begin.min(to) - place).max(0);
            place = place.max(end);
        }
        whole + (to - place).max(0)
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

    /// Ids that have a result.
    pub fn results(&self) -> usize {
        self.state().with_result.len()
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
    }
}

impl Drop for Away<'_> {
    fn drop(&mut self) {
        let away = (self.since, now());
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

    #[test]
    fn what_was_away_is_not_counted_and_not_counted_twice() {
        let board = Board::new();
        board.state().away = vec![(50, 70), (20, 40), (30, 45)];
        assert_eq!(board.whole(0, 100), 20 + 5 + 30);
        assert_eq!(board.whole(25, 60), 5);
        assert_eq!(board.whole(80, 90), 10);
    }
}

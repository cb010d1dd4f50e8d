//! For whom the group waits. All times are microseconds since 1970.
//!
//! A member that says no more, dead or stopped, is missed only when its session is over, and until then no rebalance ends:
//! when the next one falls silent meanwhile, the heirs of the first wait for that session too. A coordinator that comes back
//! begins every session anew. So of a time in which partitions stood still, what others caused is told apart.

use testkit::chaos::Fault;

use crate::board::TimeAway;

pub struct Silences {
    session: i64,
    /// In order.
    away: Vec<TimeAway>,
    /// When members fell silent.
    silent: Vec<i64>,
}

impl Silences {
    pub fn of(faults: &[Fault], session: i64, away: Vec<TimeAway>) -> Self {
        let is_member = |fault: &&Fault| match &fault.crash {
            Some(crash) => !crash.point.as_ref().is_some_and(|point| point.starts_with("recorder")),
            None => fault.kind == "pause_worker",
        };
        let silent = faults.iter().filter(is_member).map(|fault| fault.at).collect();
        Self { session, away, silent }
    }

    /// Of the time from a death to the next result: the session of the dead, and what came after it, but for the sessions
    /// of others and for times in which something was away.
    pub fn takeover(&self, death: i64, next: i64) -> i64 {
        let over = self.session_of(death);
        if next <= over {
            return rest(death, next, self.away().collect()).min(self.session);
        }
        let others = self.silent.iter().filter(|at| **at != death);
        let mut waits: Vec<_> = others.map(|at| (*at, self.session_of(*at))).collect();
        waits.extend(self.away());
        self.session + rest(over, next, waits)
    }

    /// When it ends.
    fn session_of(&self, silent: i64) -> i64 {
        let mut over = silent + self.session;
        for away in self.away.iter().filter(|away| away.is_brokers) {
            if away.from < over && away.to > silent {
                over = over.max(away.to + self.session);
            }
        }
        over
    }

    fn away(&self) -> impl Iterator<Item = (i64, i64)> {
        self.away.iter().map(|away| (away.from, away.to))
    }
}

/// What is left of a time.
fn rest(from: i64, to: i64, mut without: Vec<(i64, i64)>) -> i64 {
    without.sort_unstable();
    let (mut rest, mut place) = (0, from);
    for (begin, end) in without {
        rest += (begin.min(to) - place).max(0);
        place = place.max(end);
    }
    rest + (to - place).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silences(silent: &[i64], away: &[(i64, i64)]) -> Silences {
        let brokers_away = |(from, to): &(i64, i64)| TimeAway {
            from: *from,
            to: *to,
            is_brokers: true,
        };
        Silences {
            session: 6,
            away: away.iter().map(brokers_away).collect(),
            silent: silent.to_vec(),
        }
    }

    #[test]
    fn what_is_left_out_is_not_left_out_twice() {
        let without = vec![(50, 70), (20, 40), (30, 45)];
        assert_eq!(rest(0, 100, without.clone()), 20 + 5 + 30);
        assert_eq!(rest(25, 60, without.clone()), 5);
        assert_eq!(rest(80, 90, without), 10);
    }

    #[test]
    fn a_death_alone_is_told_as_it_was() {
        assert_eq!(silences(&[10], &[]).takeover(10, 17), 7);
        assert_eq!(silences(&[10], &[]).takeover(10, 40), 30);
    }

    #[test]
    fn the_sessions_of_others_are_not_the_heirs_doing() {
        // the second ends at 21, the third begins after a second in which the heir did nothing
        assert_eq!(silences(&[10, 15, 22], &[]).takeover(10, 29), 6 + 1 + 1);
        assert_eq!(silences(&[10, 12], &[]).takeover(10, 15), 5);
    }

    #[test]
    fn a_coordinator_that_comes_back_begins_the_sessions_anew() {
        assert_eq!(silences(&[10], &[(12, 20)]).takeover(10, 27), 6 + 1);
        assert_eq!(silences(&[10], &[(30, 33)]).takeover(10, 35), 6 + 14 + 2);
        let mut registry = silences(&[10], &[(12, 20)]);
        registry.away[0].is_brokers = false;
        assert_eq!(registry.takeover(10, 27), 6 + 7);
    }

    #[test]
    fn a_recorder_is_no_member() {
        let fault = |kind: &str, point: Option<&str>| Fault {
            at: 1,
            kind: kind.to_owned(),
            target: String::new(),
            detail: String::new(),
            crash: point.map(|point| testkit::chaos::Crash {
                point: Some(point.to_owned()),
                in_flight: 0,
                map: 0,
            }),
        };
        let faults = [
            fault("crash_point", Some("begun")),
            fault("crash_point", Some("recorder_begun")),
            fault("pause_worker", None),
            fault("kill_api", None),
        ];
        assert_eq!(Silences::of(&faults, 6, Vec::new()).silent.len(), 2);
    }
}

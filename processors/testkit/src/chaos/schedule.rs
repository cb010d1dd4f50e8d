//! What is broken, and when: a pure function of seed, length and number of brokers, so that a run can be repeated.
//!
//! Lanes go on side by side, each with one fault at a time: what is between the processes (brokers and network), the
//! workers, processes that come to die at a crash point (two lanes), what stands around (Postgres, registry, models), and what
//! owners and operators do to topics.
//! In every cycle of about 90 s each lane does all it knows, in an order of its own. Between two faults of a lane there is
//! quiet, and of three ordinary workers only one is hit at a time, so that there is always somebody who can go on.

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};

use crate::proxy::{Answered, Rule};

/// Ordinary workers.
pub const WORKERS: usize = 3;

/// Places of the engine and of the recorder at which a process can be made to die; what follows is how often it passes
/// them first.
pub const CRASH_POINTS: [(&str, std::ops::Range<u64>); 11] = [
    ("claimed", 1..2),
    ("begun", 2..7),
    ("produced", 2..7),
    ("offsets_sent", 2..7),
    // one belongs to the canary at the start
    ("end_sent", 3..8),
    ("end_answered", 2..7),
    ("ledger_cleared", 2..7),
    ("released", 1..2),
    ("recorder_begun", 2..6),
    ("recorder_written", 2..6),
    ("recorder_committed", 2..6),
];

#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// From 0.
    pub lane: usize,
    /// From the start of the load.
    pub at: Duration,
    /// How long it holds. What was killed is started again then.
    pub lasts: Duration,
    pub fault: Breakage,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Breakage {
    Outage(Outage),
    Worker(Blow),
    /// A worker or recorder more is started, to die there.
    CrashPoint {
        point: &'static str,
        time: u64,
    },
    Around(Around),
    Topic(OfTopic),
}

/// Whom it hits is chosen by `pick` among those that are there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outage {
    /// `kill -9`; with several brokers, of the one that leads a partition of the results.
    KillBroker {
        pick: usize,
    },
    /// `kill -9` of the broker that coordinates the group of the workers. Only with several brokers.
    KillCoordinator,
    /// Orderly: what it leads and coordinates moves first, where there is somebody to move to.
    RestartBroker {
        pick: usize,
    },
    Network {
        pick: usize,
        rule: Rule,
    },
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Blow {
    /// `kill -9`, at a moment at which offsets above a watermark are committed.
    Kill { worker: usize },
    /// SIGTERM, and a new one.
    Stop { worker: usize },
    /// SIGSTOP past its session, and SIGCONT.
    Pause { worker: usize },
    /// Members join and leave.
    Storm { members: usize },
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Around {
    KillPostgres,
    /// The network to it: cut, silent or slow.
    Postgres(Rule),
    RegistryDown,
    Model(ModelFault),
    KillRecorder,
    KillApi,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfTopic {
    /// One of an owner's, to which a chain emits: deleted, and made again.
    Away,
    /// The requests get a partition more.
    Grow,
    /// What everybody has read is deleted.
    DeleteRecords,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelFault {
    RateLimited,
    Failing,
    Silent,
}

pub const LANES: usize = 6;

/// In the order of their beginnings.
#[must_use]
pub fn schedule(seed: u64, seconds: u64, brokers: usize) -> Vec<Planned> {
    /// Seconds in which each lane does everything once.
    const CYCLE: u64 = 90;
    let mut random = StdRng::seed_from_u64(seed);
    let cycles = (seconds / CYCLE).max(1);
    let length = Duration::from_secs(seconds) / u32::try_from(cycles).unwrap_or(u32::MAX);
    let mut planned = Vec::new();
    for cycle in (0..).take(usize::try_from(cycles).unwrap_or(usize::MAX)) {
        let begin = length * cycle;
        let [crashes, more_crashes] = crashes(&mut random);
        let lanes: [_; LANES] = [
            outages(brokers, &mut random),
            blows(&mut random),
            crashes,
            more_crashes,
            around(),
            topics(),
        ];
        for (number, lane) in lanes.into_iter().enumerate() {
            planned.extend(spread(number, lane, begin, length, &mut random));
        }
    }
    planned.sort_by_key(|planned| planned.at);
    planned
}

/// One after the other in any order, each in a slot of its own, with some quiet behind it.
fn spread(
    number: usize,
    mut lane: Vec<(f64, Breakage)>,
    begin: Duration,
    length: Duration,
    random: &mut StdRng,
) -> Vec<Planned> {
    /// At its end a cycle has time to recover.
    const USED: f64 = 0.9;
    /// Of a slot; the rest is quiet.
    const BROKEN: f64 = 0.7;
    lane.shuffle(random);
    let slot = length.mul_f64(USED) / u32::try_from(lane.len()).unwrap_or(u32::MAX);
    let mut planned = Vec::new();
    for (place, (seconds, fault)) in (0..).zip(lane) {
        let lasts = Duration::from_secs_f64(seconds).min(slot.mul_f64(BROKEN));
        let jitter = slot.mul_f64(BROKEN).saturating_sub(lasts).mul_f64(random.random());
        planned.push(Planned {
            lane: number,
            at: begin + slot * place + jitter,
            lasts,
            fault,
        });
    }
    planned
}

fn outages(brokers: usize, random: &mut StdRng) -> Vec<(f64, Breakage)> {
    let mut outages = vec![
        (
            2.5,
            Outage::KillBroker {
                pick: random.random_range(0..64),
            },
        ),
        (
            1.0,
            Outage::RestartBroker {
                pick: random.random_range(0..64),
            },
        ),
    ];
    if brokers > 1 {
        outages.push((2.5, Outage::KillCoordinator));
    }
    let mut network = |seconds, rule| {
        let pick = random.random_range(0..64);
        outages.push((seconds, Outage::Network { pick, rule }));
    };
    network(3.0, Rule::Delay(Duration::from_millis(150)));
    network(1.5, Rule::Cut);
    network(3.0, Rule::BlackHole);
    for of in Answered::ALL {
        network(3.0, Rule::DropAnswer { of, times: 2 });
    }
    outages
        .into_iter()
        .map(|(seconds, outage)| (seconds, Breakage::Outage(outage)))
        .collect()
}

fn blows(random: &mut StdRng) -> Vec<(f64, Breakage)> {
    // each ordinary worker gets something
    let first = random.random_range(0..WORKERS);
    let worker = |number: usize| (first + number) % WORKERS;
    [
        (2.0, Blow::Kill { worker: worker(0) }),
        (1.0, Blow::Stop { worker: worker(1) }),
        (8.0, Blow::Pause { worker: worker(2) }),
        (1.0, Blow::Kill { worker: worker(1) }),
        (4.0, Blow::Storm { members: 2 }),
        (2.0, Blow::Kill { worker: worker(2) }),
    ]
    .map(|(seconds, blow)| (seconds, Breakage::Worker(blow)))
    .to_vec()
}

/// Two lanes: whoever takes over from the dead needs the time of a session.
fn crashes(random: &mut StdRng) -> [Vec<(f64, Breakage)>; 2] {
    let mut points = CRASH_POINTS.map(|(point, times)| {
        let time = random.random_range(times);
        (1.0, Breakage::CrashPoint { point, time })
    });
    points.shuffle(random);
    let (first, second) = points.split_at(points.len() / 2);
    [first.to_vec(), second.to_vec()]
}

fn around() -> Vec<(f64, Breakage)> {
    [
        (2.0, Around::KillPostgres),
        (2.0, Around::Postgres(Rule::Cut)),
        (4.0, Around::Postgres(Rule::BlackHole)),
        (3.0, Around::Postgres(Rule::Delay(Duration::from_millis(150)))),
        (3.0, Around::RegistryDown),
        (4.0, Around::Model(ModelFault::RateLimited)),
        (4.0, Around::Model(ModelFault::Failing)),
        (3.0, Around::Model(ModelFault::Silent)),
        (2.0, Around::KillRecorder),
        (1.0, Around::KillApi),
    ]
    .map(|(seconds, around)| (seconds, Breakage::Around(around)))
    .to_vec()
}

fn topics() -> Vec<(f64, Breakage)> {
    [
        (6.0, OfTopic::Away),
        (1.0, OfTopic::Grow),
        (1.0, OfTopic::DeleteRecords),
        (1.0, OfTopic::DeleteRecords),
    ]
    .map(|(seconds, of_topic)| (seconds, Breakage::Topic(of_topic)))
    .to_vec()
}

impl Breakage {
    /// As it is counted and written down.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Outage(Outage::KillBroker { .. }) => "kill_broker",
            Self::Outage(Outage::KillCoordinator) => "kill_coordinator",
            Self::Outage(Outage::RestartBroker { .. }) => "restart_broker",
            Self::Outage(Outage::Network { rule, .. }) => match rule {
                Rule::Pass => "proxy_pass",
                Rule::Delay(_) => "proxy_delay",
                Rule::Cut => "proxy_cut",
                Rule::BlackHole => "proxy_black_hole",
                Rule::DropAnswer { of, .. } => match of {
                    Answered::Produce => "proxy_drop_produce",
                    Answered::AddOffsetsToTxn => "proxy_drop_add_offsets_to_txn",
                    Answered::EndTxn => "proxy_drop_end_txn",
                    Answered::TxnOffsetCommit => "proxy_drop_txn_offset_commit",
                },
            },
            Self::Worker(Blow::Kill { .. }) => "kill_worker",
            Self::Worker(Blow::Stop { .. }) => "stop_worker",
            Self::Worker(Blow::Pause { .. }) => "pause_worker",
            Self::Worker(Blow::Storm { .. }) => "storm",
            Self::CrashPoint { .. } => "crash_point",
            Self::Around(Around::KillPostgres) => "kill_postgres",
            Self::Around(Around::Postgres(rule)) => match rule {
                Rule::BlackHole => "postgres_black_hole",
                Rule::Delay(_) => "postgres_delay",
                Rule::Cut | Rule::Pass | Rule::DropAnswer { .. } => "postgres_cut",
            },
            Self::Around(Around::RegistryDown) => "registry_down",
            Self::Around(Around::Model(ModelFault::RateLimited)) => "model_429",
            Self::Around(Around::Model(ModelFault::Failing)) => "model_500",
            Self::Around(Around::Model(ModelFault::Silent)) => "model_silent",
            Self::Around(Around::KillRecorder) => "kill_recorder",
            Self::Around(Around::KillApi) => "kill_api",
            Self::Topic(OfTopic::Away) => "topic_away",
            Self::Topic(OfTopic::Grow) => "topic_grows",
            Self::Topic(OfTopic::DeleteRecords) => "delete_records",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const SHORT: u64 = 90;

    #[test]
    fn the_same_seed_plans_the_same_and_another_one_does_not() {
        assert_eq!(schedule(7, 600, 3), schedule(7, 600, 3));
        assert_ne!(schedule(7, 600, 3), schedule(8, 600, 3));
    }

    #[test]
    fn a_short_run_has_every_kind_of_fault_and_every_crash_point() {
        for seed in 0..50 {
            for (brokers, kinds) in [(1, 27), (3, 28)] {
                let planned = schedule(seed, SHORT, brokers);
                let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
                for planned in &planned {
                    *counts.entry(planned.fault.kind()).or_default() += 1;
                }
                assert_eq!(counts.len(), kinds, "{counts:?}");
                for (name, _) in CRASH_POINTS {
                    let is_it = |planned: &&Planned| matches!(planned.fault, Breakage::CrashPoint { point, .. } if point == name);
                    assert_eq!(planned.iter().filter(is_it).count(), 1, "{name}");
                }
            }
        }
    }

    #[test]
    fn each_lane_breaks_one_thing_at_a_time_with_quiet_between_and_at_the_end() {
        let quiet = Duration::from_millis(1_500);
        for (seed, seconds, brokers) in (0..50).flat_map(|seed| [(seed, SHORT, 1), (seed, SHORT, 3), (seed, 600, 1)]) {
            let planned = schedule(seed, seconds, brokers);
            for number in 0..LANES {
                let mut free = Duration::ZERO;
                for planned in planned.iter().filter(|planned| planned.lane == number) {
                    assert!(planned.at >= free, "seed {seed}: {planned:?} before {free:?}");
                    free = planned.at + planned.lasts + quiet;
                }
                let rest = Duration::from_secs(seconds).saturating_sub(free);
                assert!(rest > Duration::from_secs(5), "seed {seed}: {rest:?} to recover");
            }
        }
    }

    #[test]
    fn a_pause_outlasts_the_session() {
        for seed in 0..50 {
            let planned = schedule(seed, SHORT, 1);
            let pause = planned
                .iter()
                .find(|planned| matches!(planned.fault, Breakage::Worker(Blow::Pause { .. })));
            assert!(pause.unwrap().lasts > Duration::from_secs(7));
        }
    }
}

//! The engine's deciding core under a seed: several processes against a model of the brokers, with crashes, pauses past
//! the session, rebalances, lost and late answers, in any order. The code that decides is the very code that runs in
//! production; only what carries it out is modelled ([`process`], [`committer`]).
//!
//! After every step: a result is visible exactly if its offset is below the watermark or in the map; no result is there
//! twice; the results of a key are in the order of its records; a partition that was taken over leaves nothing open that
//! would hold up readers of the results. At the end, when nothing goes wrong any more, every
//! record gets its result, and a clean stop releases every partition.
//!
//! A schedule is a function of its seed: the one that fails is printed and runs again with `SEED=`.

mod broker;
mod check;
mod committer;
mod group;
mod mutation;
mod process;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use rand::{Rng, SeedableRng, rngs::SmallRng};
use topics::{TopicPartition, engine::core::Committed};

use self::{
    broker::Broker,
    group::Group,
    process::{Process, Shutdown},
};

pub use mutation::Mutation;

const MEMBERS: usize = 3;
const PARTITIONS: i32 = 4;
const DECISIONS: usize = 700;
/// Far more than a schedule needs to come to rest.
const PATIENCE: usize = 60_000;

/// What went wrong, and where to find it again.
#[derive(Debug, thiserror::Error)]
#[error("SEED={seed}, step {step}: {what}")]
pub struct Violation {
    pub seed: u64,
    pub step: usize,
    pub what: String,
}

/// What a schedule did, so that one can see that it did something.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    pub results: usize,
    pub crashes: usize,
    pub expulsions: usize,
    pub rebalances: usize,
}

/// Runs one schedule.
///
/// # Errors
/// The first thing that does not hold.
pub fn run(seed: u64, mutation: Option<Mutation>) -> Result<Tally, Violation> {
    let mut world = World::new(seed, mutation);
    match world.run() {
        Ok(()) => Ok(world.tally),
        Err(what) => Err(Violation {
            seed,
            step: world.step,
            what,
        }),
    }
}

struct World {
    rng: SmallRng,
    broker: Broker,
    group: Group,
    processes: Vec<Process>,
    partitions: Vec<TopicPartition>,
    mutation: Option<Mutation>,
    started: usize,
    calm: bool,
    step: usize,
    tally: Tally,
}

impl World {
    fn new(seed: u64, mutation: Option<Mutation>) -> Self {
        let partitions: Vec<_> = (0..PARTITIONS)
            .map(|partition| TopicPartition::new("requests", partition))
            .collect();
        let mut broker = Broker::default();
        for partition in &partitions {
            broker.add_input(partition.clone(), Committed::first(0).encode());
        }
        let mut world = Self {
            rng: SmallRng::seed_from_u64(seed),
            broker,
            group: Group::default(),
            processes: Vec::new(),
            partitions,
            mutation,
            started: 0,
            calm: false,
            step: 0,
            tally: Tally::default(),
        };
        for _ in 0..MEMBERS {
            world.start();
        }
        world
    }

    fn run(&mut self) -> Result<(), String> {
        for _ in 0..DECISIONS {
            self.decide();
            self.check()?;
        }
        self.come_to_rest()?;
        self.tally.results = self.broker.results.iter().filter(|result| result.visible).count();
        Ok(())
    }

    fn check(&mut self) -> Result<(), String> {
        self.step += 1;
        if std::mem::take(&mut self.broker.changed) {
            check::invariants(&self.broker)?;
        }
        for partition in std::mem::take(&mut self.broker.claimed) {
            let is_dead = |id: &&String| !self.processes.iter().any(|process| process.writer == **id);
            if let Some(id) = self.broker.holding_up(&partition).find(is_dead) {
                return Err(format!(
                    "{partition} was taken over, but what {id} left open still holds up readers of results"
                ));
            }
        }
        Ok(())
    }

    // --- anything may happen

    fn decide(&mut self) {
        match self.rng.random_range(0..1_000) {
            0..130 => self.produce(),
            130..150 => self.disturb(),
            _ => self.work(),
        }
    }

    fn produce(&mut self) {
        let partition = self.partitions[self.rng.random_range(0..self.partitions.len())].clone();
        let kind = self.rng.random_range(0..20);
        let key = match self.rng.random_range(0..4) {
            0 => None,
            1 => Some(Bytes::from_static(b"a")),
            2 => Some(Bytes::from_static(b"b")),
            _ => Some(Bytes::from_static(b"c")),
        };
        let record = match kind {
            0 => None,
            1 => Some((key, Bytes::from_static(b"large"))),
            _ => Some((key, Bytes::from_static(b"small"))),
        };
        self.broker.append(&partition, record);
    }

    fn disturb(&mut self) {
        let which = self.rng.random_range(0..self.processes.len().max(1));
        match self.rng.random_range(0..6) {
            0 if which < self.processes.len() => {
                self.processes.swap_remove(which);
                self.tally.crashes += 1;
            }
            1 if self.processes.len() <= MEMBERS => self.start(),
            2 | 3 => {
                if let Some(process) = self.processes.get_mut(which) {
                    process.paused = !process.paused;
                }
            }
            4 => {
                if let Some(process) = self.processes.get_mut(which).filter(|process| !process.paused) {
                    process.shutdown = Shutdown::Wanted;
                }
            }
            _ => {
                let ongoing = self.broker.ongoing();
                if let Some(id) = ongoing.get(self.rng.random_range(0..ongoing.len().max(1))) {
                    self.broker.time_out(id);
                }
            }
        }
    }

    fn start(&mut self) {
        self.started += 1;
        let mut process = Process::new(format!("writer-{}", self.started), self.mutation);
        process.committer.calm = self.calm;
        process.join(&mut self.group);
        self.processes.push(process);
    }

    /// One of the brokers' or the processes' threads moves.
    fn work(&mut self) {
        match self.rng.random_range(0..10) {
            0 => self.write_markers(),
            1 => self.coordinate(),
            _ if self.processes.is_empty() => {}
            _ => {
                let which = self.rng.random_range(0..self.processes.len());
                self.move_process(which);
            }
        }
    }

    fn write_markers(&mut self) {
        let late = self.broker.late_requests();
        if late > 0 && self.rng.random_ratio(1, 3) {
            let which = self.rng.random_range(0..late);
            self.broker.deliver_late(which);
        }
        let ending = self.broker.ending();
        if let Some(id) = ending.get(self.rng.random_range(0..ending.len().max(1))) {
            self.broker.write_markers(id);
        }
    }

    /// The group coordinator: sessions end, generations begin.
    fn coordinate(&mut self) {
        let members: Vec<String> = self.group.members().cloned().collect();
        let of =
            |processes: &[Process], member: &String| processes.iter().position(|process| process.member == *member);
        for member in &members {
            let is_silent = match of(&self.processes, member) {
                None => true,
                Some(which) => self.processes[which].paused,
            };
            if is_silent && self.rng.random_ratio(1, 4) {
                self.group.remove(member);
                self.tally.expulsions += 1;
            }
        }
        let all_settled = members
            .iter()
            .filter(|member| self.group.has(member))
            .all(|member| of(&self.processes, member).is_some_and(|which| self.processes[which].is_settled()));
        if self.group.unsettled && all_settled {
            let first = self.rng.random_range(0..MEMBERS);
            self.tally.rebalances += 1;
            for change in self.group.rebalance(&self.partitions, first) {
                if let Some(which) = of(&self.processes, &change.member) {
                    self.processes[which].rebalanced(self.group.generation, change.revoked, change.assigned);
                }
            }
        }
    }

    fn move_process(&mut self, which: usize) {
        let process = &mut self.processes[which];
        if process.paused {
            return;
        }
        if process.shutdown == Shutdown::Left {
            self.processes.swap_remove(which);
            return;
        }
        if process.generation >= 0 && !self.group.has(&process.member) && self.rng.random_ratio(1, 6) {
            process.learn_of_expulsion();
        } else if process.wants_rejoin() && !self.group.has(&process.member) {
            process.join(&mut self.group);
        }
        match self.rng.random_range(0..6) {
            0 | 1 => process.poll(&mut self.rng, &mut self.broker, &mut self.group),
            2 | 3 if process.running() > 0 => {
                let run = self.rng.random_range(0..process.running());
                process.finish_run(&mut self.rng, run);
            }
            _ => {
                let now = process.membership();
                let Process { committer, core, .. } = process;
                committer.step(&mut self.rng, &mut self.broker, &self.group, core, &now);
            }
        }
    }

    // --- nothing goes wrong any more

    fn come_to_rest(&mut self) -> Result<(), String> {
        self.calm = true;
        for process in &mut self.processes {
            process.paused = false;
            process.committer.calm = true;
        }
        for _ in 0..PATIENCE {
            if check::all_done(&self.broker).is_ok() && self.broker.ending().is_empty() {
                return self.stop_cleanly();
            }
            if self.processes.is_empty() {
                self.start();
            }
            self.end_orphans();
            self.work();
            self.check()?;
        }
        check::all_done(&self.broker)?;
        Err("transactions that never end".to_owned())
    }

    fn stop_cleanly(&mut self) -> Result<(), String> {
        let writers: Vec<String> = self.processes.iter().map(|process| process.writer.clone()).collect();
        for process in self
            .processes
            .iter_mut()
            .filter(|process| process.shutdown == Shutdown::No)
        {
            process.shutdown = Shutdown::Wanted;
        }
        for _ in 0..PATIENCE {
            if self.processes.is_empty() && self.broker.ending().is_empty() {
                return check::released(&self.broker, &writers);
            }
            self.end_orphans();
            self.work();
            self.check()?;
        }
        Err("a process that never stops".to_owned())
    }

    /// What a dead process left open, and nobody takes over, ends by its timeout.
    fn end_orphans(&mut self) {
        for id in self.broker.ongoing() {
            let is_alive = self.processes.iter().any(|process| process.writer == id);
            if !is_alive && self.rng.random_ratio(1, 100) {
                self.broker.time_out(&id);
            }
        }
    }
}

//! All of it: brokers, group and processes, and which of them moves next.

use bytes::Bytes;
use topics::{
    TopicPartition,
    engine::core::{Committed, WINDOW},
};

use super::{
    Mutation, Tally,
    broker::{Broker, Fate},
    chance::{Chance, Script},
    check,
    group::Group,
    process::{Process, Shutdown},
};

const MEMBERS: usize = 3;
const DECISIONS: usize = 500;
/// Far more than a schedule needs to come to rest.
const PATIENCE: usize = 60_000;

pub struct World {
    seed: u64,
    chance: Chance,
    /// The decisions of this schedule, once it has come to rest.
    decided: Option<Script>,
    decisions: usize,
    pub broker: Broker,
    group: Group,
    processes: Vec<Process>,
    partitions: Vec<TopicPartition>,
    mutation: Option<Mutation>,
    started: usize,
    calm: bool,
    pub step: usize,
    tally: Tally,
}

impl World {
    pub fn new(seed: u64, mutation: Option<Mutation>) -> Self {
        Self::with(seed, mutation, Chance::of_seed(seed), DECISIONS)
    }

    pub fn scripted(seed: u64, mutation: Option<Mutation>, script: Script) -> Self {
        let decisions = script.len();
        Self::with(seed, mutation, Chance::of_script(seed, script), decisions)
    }

    fn with(seed: u64, mutation: Option<Mutation>, chance: Chance, decisions: usize) -> Self {
        let broker = broker(seed);
        let partitions: Vec<_> = broker.inputs.keys().cloned().collect();
        let mut world = Self {
            seed,
            chance,
            decided: None,
            decisions,
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

    pub fn tally(&self) -> Tally {
        let results = self.broker.results.values().flatten();
        Tally {
            results: results.filter(|result| result.fate == Fate::Visible).count(),
            ..self.tally
        }
    }

    /// What was decided so far.
    pub fn script(mut self) -> Script {
        self.decided.take().unwrap_or_else(|| self.chance.calm_down(self.seed))
    }

    /// # Errors
    /// The first thing that does not hold.
    pub fn run(&mut self) -> Result<(), String> {
        for _ in 0..self.decisions {
            self.chance.next_decision();
            self.decide();
            self.check()?;
        }
        self.decided = Some(self.chance.calm_down(self.seed));
        self.come_to_rest()
    }

    fn check(&mut self) -> Result<(), String> {
        self.step += 1;
        if let Some(partition) = &self.broker.guessed {
            return Err(format!("{partition} was claimed, and nobody knows where it begins"));
        }
        for partition in std::mem::take(&mut self.broker.touched) {
            check::invariants(&self.broker, &partition)?;
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
        match self.chance.below(1_000) {
            850..980 => self.produce(),
            980.. => self.disturb(),
            _ => self.work(),
        }
    }

    fn produce(&mut self) {
        let Some(partition) = self.chance.of(&self.partitions).cloned() else {
            return;
        };
        let key = match self.chance.below(4) {
            0 => None,
            1 => Some(Bytes::from_static(b"a")),
            2 => Some(Bytes::from_static(b"b")),
            _ => Some(Bytes::from_static(b"c")),
        };
        let value: &'static [u8] = match self.chance.below(60) {
            1..=3 => return self.broker.append_nothing(&partition, 1),
            4..=6 => b"large",
            7 => b"huge",
            8 => return self.broker.append_nothing(&partition, WINDOW - 5),
            _ => b"small",
        };
        self.broker.append(&partition, key, Bytes::from_static(value));
    }

    fn disturb(&mut self) {
        let which = self.chance.below(self.processes.len());
        let what = self.chance.below(9);
        let writer = self
            .processes
            .get(which)
            .map_or("nobody", |process| &process.writer)
            .to_owned();
        let is_room = self.processes.len() <= MEMBERS;
        match (what, self.processes.get_mut(which)) {
            (1, Some(_)) => {
                self.broker.tell(|| format!("{writer} dies"));
                self.processes.swap_remove(which);
                self.tally.crashes += 1;
            }
            (2, _) if is_room => self.start(),
            (3, Some(process)) => {
                process.paused = !process.paused;
                let paused = process.paused;
                self.broker.tell(|| format!("{writer} stands still: {paused}"));
            }
            (4, Some(process)) => {
                process.is_cut_off = !process.is_cut_off;
                process.committer.trouble |= process.is_cut_off;
                let cut = process.is_cut_off;
                self.broker.tell(|| format!("{writer} is cut off: {cut}"));
            }
            (5, Some(process)) if !process.paused => process.shutdown = Shutdown::Wanted,
            (6, _) => {
                let ongoing = self.broker.ongoing();
                if let Some(id) = self.chance.of(&ongoing) {
                    self.broker.tell(|| format!("the transaction of {id} times out"));
                    self.broker.time_out(id);
                }
            }
            (7, Some(process)) => {
                let stopped = process.lose_log(&mut self.chance);
                self.broker
                    .tell(|| format!("partitions that stop at {writer}: {stopped:?}"));
            }
            (8, _) => self.restart_broker(),
            _ => {}
        }
    }

    fn restart_broker(&mut self) {
        self.broker.tell(|| "the broker dies".to_owned());
        self.tally.restarts += 1;
        self.broker.restart();
        for process in &mut self.processes {
            process.committer.trouble = true;
        }
        for id in self.broker.ongoing() {
            if self.chance.one_in(4) {
                self.broker.time_out(&id);
            }
        }
        for id in self.broker.ending() {
            if self.chance.one_in(2) {
                let Self { broker, chance, .. } = self;
                broker.tell(|| format!("markers of {id} are lost"));
                let is_torn = chance.one_in(2);
                broker.lose_markers(&id, || !is_torn || chance.one_in(2));
            }
        }
    }

    fn start(&mut self) {
        self.started += 1;
        let mut process = Process::new(format!("writer-{}", self.started), self.mutation);
        process.committer.calm = self.calm;
        process.join(&mut self.group);
        self.broker.tell(|| format!("{} starts", process.writer));
        self.processes.push(process);
    }

    /// One of the brokers' or the processes' threads moves.
    fn work(&mut self) {
        match self.chance.below(10) {
            8 if self.broker.away => {
                self.broker.away = !self.chance.one_in(3);
            }
            8 => self.write_markers(),
            9 if self.broker.away => {}
            9 => self.coordinate(),
            _ => {
                let which = self.chance.below(self.processes.len());
                if which < self.processes.len() {
                    self.move_process(which);
                }
            }
        }
    }

    fn write_markers(&mut self) {
        let late = self.broker.late_requests();
        if late > 0 && self.chance.one_in(3) {
            let which = self.chance.below(late);
            self.broker.deliver_late(which);
        }
        let ending = self.broker.ending();
        if let Some(id) = self.chance.of(&ending) {
            self.broker.write_markers(id);
            self.broker.tell(|| format!("the markers of {id} are written"));
        }
    }

    /// The group coordinator: sessions end, generations begin.
    fn coordinate(&mut self) {
        let members: Vec<String> = self.group.members().cloned().collect();
        let of =
            |processes: &[Process], member: &String| processes.iter().position(|process| process.member == *member);
        for member in &members {
            let is_silent = of(&self.processes, member).is_none_or(|which| self.processes[which].is_silent());
            if is_silent && self.chance.one_in(4) {
                self.group.remove(member);
                self.tally.expulsions += 1;
                self.broker.tell(|| format!("the session of {member} is over"));
            }
        }
        let all_settled = members
            .iter()
            .filter(|member| self.group.has(member))
            .all(|member| of(&self.processes, member).is_some_and(|which| self.processes[which].is_settled()));
        if self.group.unsettled && all_settled {
            let first = self.chance.below(MEMBERS);
            self.tally.rebalances += 1;
            for change in self.group.rebalance(&self.partitions, first) {
                self.broker
                    .tell(|| format!("generation {}: {change}", self.group.generation));
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
            self.broker.tell(|| format!("{} ends", process.writer));
            self.processes.swap_remove(which);
            return;
        }
        let reaches = !process.is_cut_off && !self.broker.away;
        // A client that hears nothing for the length of a session takes its assignment for lost, too.
        let is_out = reaches && !self.group.has(&process.member);
        process.is_out |= is_out && process.generation < 0;
        if process.generation >= 0 && (is_out && self.chance.one_in(6) || !reaches && self.chance.one_in(40)) {
            process.learn_of_expulsion();
            self.broker.tell(|| format!("{} loses its assignment", process.writer));
        } else if reaches && process.wants_rejoin() {
            process.join(&mut self.group);
        }
        match self.chance.below(6) {
            0 | 1 => process.poll(&mut self.chance, &mut self.broker, &mut self.group, reaches),
            2 | 3 if process.running() > 0 => {
                let run = self.chance.below(process.running());
                process.finish_run(&mut self.chance, run);
            }
            _ => {
                let now = process.membership();
                let Process { committer, core, .. } = process;
                let hung = committer.hung();
                committer.step(&mut self.chance, &mut self.broker, &self.group, core, &now, reaches);
                self.tally.hung += committer.hung().saturating_sub(hung);
            }
        }
    }

    // --- nothing goes wrong any more

    fn come_to_rest(&mut self) -> Result<(), String> {
        self.calm = true;
        self.broker.away = false;
        self.broker.takes_huge = true;
        self.broker.tell(|| "nothing goes wrong any more".to_owned());
        for process in &mut self.processes {
            (process.paused, process.is_cut_off) = (false, false);
            process.committer.calm = true;
        }
        for _ in 0..PATIENCE {
            if check::all_done(&self.broker).is_ok() && self.broker.ending().is_empty() && self.is_settled() {
                self.check_torn()?;
                return self.stop_cleanly();
            }
            self.reset();
            if self.processes.is_empty() && !self.lacks_commit() {
                self.start();
            }
            self.restart_stopped();
            self.end_orphans();
            self.work();
            self.check()?;
        }
        check::all_done(&self.broker)?;
        Err("transactions that never end".to_owned())
    }

    /// Who wrote what was torn, and has held its partition ever since, has made up for it.
    fn check_torn(&self) -> Result<(), String> {
        for process in &self.processes {
            let held = process.core.unresolved();
            let mended = process.committer.mended.iter();
            for (assignment, offset) in mended.filter(|(assignment, _)| held.contains(assignment)) {
                check::once(&self.broker, &assignment.partition, *offset)?;
            }
        }
        Ok(())
    }

    fn is_settled(&self) -> bool {
        let is_settled = |process: &Process| self.group.has(&process.member) && process.is_settled();
        !self.group.unsettled && self.processes.iter().all(is_settled)
    }

    /// What an operator does about a commit that is gone: the group stops first.
    fn reset(&mut self) {
        if !self.lacks_commit() {
            return;
        }
        for process in self
            .processes
            .iter_mut()
            .filter(|process| process.shutdown == Shutdown::No)
        {
            process.shutdown = Shutdown::Wanted;
        }
        for partition in self.broker.without_commit() {
            if self.processes.is_empty() && !self.broker.added.contains(&partition) {
                self.broker.reset(&self.group, &partition);
            }
        }
    }

    /// There is a partition that nobody may claim.
    fn lacks_commit(&self) -> bool {
        let absent = self.broker.without_commit();
        absent.iter().any(|partition| !self.broker.added.contains(partition))
    }

    /// What an operator does after mending what stopped a partition.
    fn restart_stopped(&mut self) {
        if self.chance.one_in(50) {
            let stopped = self.processes.iter_mut();
            let stopped = stopped.filter(|process| !process.core.status().stopped.is_empty());
            for process in stopped.filter(|process| process.shutdown == Shutdown::No) {
                process.shutdown = Shutdown::Wanted;
            }
        }
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
            if !is_alive && self.chance.one_in(100) {
                self.broker.time_out(&id);
            }
        }
    }
}

/// Two topics. One log begins in the middle, one partition has no commit: in every other schedule it was added, in the others
/// its commit expired.
fn broker(seed: u64) -> Broker {
    let is_added = seed.is_multiple_of(2);
    let commit = |offset, partitions| {
        let state = Committed {
            partitions,
            ..Committed::first(offset)
        };
        Some(state.encode())
    };
    let known = if is_added { 2 } else { 3 };
    let without = TopicPartition::new("requests", 2);
    let mut broker = Broker::default();
    broker.add_input(TopicPartition::new("requests", 0), 0, commit(0, known));
    broker.add_input(TopicPartition::new("requests", 1), 70_000, commit(70_000, known));
    broker.added.extend(Some(without.clone()).filter(|_| is_added));
    broker.add_input(without, 0, None);
    broker.add_input(TopicPartition::new("urgent", 0), 5, commit(5, 1));
    broker
}

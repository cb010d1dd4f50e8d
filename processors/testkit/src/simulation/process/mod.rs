//! One process: the engine's own [`Member`] and [`Takeover`], and what its threads do around them, a step at a time.

mod taking;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use topics::{
    Output, Record, TopicPartition,
    engine::{
        Order,
        core::{Assignment, Limits, Member, Membership, Turns},
    },
};

use taking::Taking;

use super::{Mutation, broker::Broker, chance::Chance, committer::Committer, group::Group};

pub const GROUP: &str = "group";
/// What a cancelled run puts out.
pub const CANCELLED: Bytes = Bytes::from_static(b"cancelled");

pub struct Process {
    /// Its transactional id.
    pub writer: String,
    pub core: Member,
    pub committer: Committer,
    /// Its id in the group, and the generation that its client knows; below 0 while it is in none.
    pub member: String,
    pub generation: i32,
    joins: u32,
    /// It has to join anew.
    pub is_out: bool,
    events: VecDeque<Event>,
    poll: Poll,
    /// What its client holds.
    assigned: BTreeSet<TopicPartition>,
    positions: BTreeMap<TopicPartition, i64>,
    running: Vec<Task>,
    /// What their runs still put out must never be seen.
    cancelled: BTreeSet<Assignment>,
    /// Stopped by the system: none of its threads moves.
    pub paused: bool,
    /// Its threads move, and nothing of it reaches the brokers.
    pub is_cut_off: bool,
    pub shutdown: Shutdown,
    mutation: Option<Mutation>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    No,
    Wanted,
    Left,
}

#[derive(Debug)]
enum Event {
    Assign(Vec<TopicPartition>),
    Revoke(Vec<TopicPartition>),
    Lost(Vec<TopicPartition>),
    Leave,
}

enum Poll {
    Idle,
    Taking(Taking),
    Finishing(Vec<TopicPartition>),
    Draining(Vec<TopicPartition>),
}

struct Task {
    assignment: Assignment,
    record: Arc<Record>,
}

impl Process {
    pub fn new(writer: String, mutation: Option<Mutation>) -> Self {
        let order = if mutation == Some(Mutation::ReleaseLaneEarly) {
            Order::None
        } else {
            Order::Key
        };
        let limits = Limits {
            order,
            in_flight: 6,
            waiting: 0,
            bytes: 24 * size_of::<Record>(),
            partition_bytes: 8 * size_of::<Record>(),
            batch: 3,
        };
        Self {
            core: Member::new(writer.clone(), limits, Turns::new([("requests", 1), ("urgent", 3)])),
            committer: Committer::new(writer.clone(), mutation),
            member: String::new(),
            generation: -1,
            joins: 0,
            is_out: false,
            events: VecDeque::new(),
            poll: Poll::Idle,
            assigned: BTreeSet::new(),
            positions: BTreeMap::new(),
            running: Vec::new(),
            cancelled: BTreeSet::new(),
            paused: false,
            is_cut_off: false,
            shutdown: Shutdown::No,
            mutation,
            writer,
        }
    }

    pub fn join(&mut self, group: &mut Group) {
        group.remove(&self.member);
        self.is_out = false;
        self.joins += 1;
        self.member = format!("{}/{}", self.writer, self.joins);
        group.join(&self.member);
    }

    pub fn membership(&self) -> Membership {
        Membership {
            generation: self.generation,
            member: self.member.clone(),
            instance: None,
        }
    }

    /// The coordinator hears nothing of it.
    pub fn is_silent(&self) -> bool {
        self.paused || self.is_cut_off
    }

    /// Whether its client has answered the last rebalance event, as a new generation needs of every member.
    pub fn is_settled(&self) -> bool {
        let has_answered = matches!(self.poll, Poll::Idle | Poll::Taking(Taking { in_event: false, .. }));
        !self.is_silent() && !self.is_out && self.events.is_empty() && has_answered
    }

    /// The answer to SyncGroup.
    pub fn rebalanced(&mut self, generation: i32, revoked: Vec<TopicPartition>, assigned: Vec<TopicPartition>) {
        self.generation = generation;
        if !revoked.is_empty() {
            self.events.push_back(Event::Revoke(revoked));
        }
        self.events.push_back(Event::Assign(assigned));
    }

    /// The answer to a heartbeat: the group does not know this member any more.
    pub fn learn_of_expulsion(&mut self) {
        (self.generation, self.is_out) = (-1, true);
        self.events.clear();
        let held: Vec<TopicPartition> = self.assigned.iter().cloned().collect();
        // A takeover under way goes on until its claim is refused; then the callback returns.
        self.events.push_back(Event::Lost(held));
    }

    pub fn wants_rejoin(&self) -> bool {
        self.is_out && self.events.is_empty() && matches!(self.poll, Poll::Idle) && self.shutdown == Shutdown::No
    }

    // --- chains

    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// One of the runs ends, unless it is one of the slow ones: those outlive a rebalance or two.
    pub fn finish_run(&mut self, chance: &mut Chance, which: usize) {
        if self.running[which].record.offset % 7 == 3 && !chance.one_in(40) {
            return;
        }
        let Task { assignment, record } = self.running.swap_remove(which);
        self.cancelled.extend(self.committer.lost.drain(..));
        let value = if self.cancelled.contains(&assignment) {
            Some(CANCELLED)
        } else {
            record.value.clone()
        };
        let output = Output {
            topic: "results".to_owned(),
            value,
            ..Output::default()
        };
        self.core
            .finished(&assignment, record.offset, Arc::new([output]), false);
        self.start_runs();
    }

    fn start_runs(&mut self) {
        while let Some((assignment, record)) = self.core.next_run() {
            self.running.push(Task { assignment, record });
        }
    }

    // --- the thread that polls

    pub fn poll(&mut self, chance: &mut Chance, broker: &mut Broker, group: &mut Group, reaches: bool) {
        match std::mem::replace(&mut self.poll, Poll::Idle) {
            Poll::Idle => match self.events.pop_front() {
                Some(Event::Leave) if !reaches => self.events.push_front(Event::Leave),
                Some(event) => self.begin(event, group),
                None if std::mem::take(&mut self.committer.must_claim) => self.claim_again(),
                None => self.read(chance, broker, reaches),
            },
            Poll::Taking(taking) => self.take_over(chance, broker, group, taking, reaches),
            Poll::Finishing(partitions) => self.finish(chance, partitions),
            Poll::Draining(partitions) => self.drain(chance, group, partitions),
        }
        self.start_runs();
    }

    fn begin(&mut self, event: Event, group: &mut Group) {
        match event {
            Event::Assign(partitions) if partitions.is_empty() || self.core.is_stopping() => {
                self.assigned.extend(partitions);
                self.core.refresh(Some(self.membership()));
            }
            Event::Assign(partitions) => {
                self.assigned.extend(partitions.iter().cloned());
                self.poll = Poll::Taking(Taking::begin(&self.writer, partitions, true));
            }
            Event::Revoke(partitions) if self.mutation == Some(Mutation::CommitAfterRevoke) => {
                self.give_back(group, &partitions);
            }
            Event::Revoke(partitions) => {
                self.core.refresh(Some(self.membership()));
                self.core.let_finish(&partitions);
                self.poll = Poll::Finishing(partitions);
            }
            Event::Lost(partitions) => {
                self.core.refresh(None);
                self.cancelled.extend(self.core.forget(&partitions));
                for partition in &partitions {
                    self.assigned.remove(partition);
                    self.positions.remove(partition);
                }
            }
            Event::Leave => {
                group.remove(&self.member);
                self.generation = -1;
                self.shutdown = Shutdown::Left;
            }
        }
    }

    fn finish(&mut self, chance: &mut Chance, partitions: Vec<TopicPartition>) {
        if !self.core.is_finished(&partitions) && !chance.one_in(8) {
            self.poll = Poll::Finishing(partitions);
            return;
        }
        self.cancelled.extend(self.core.revoke(&partitions));
        self.poll = Poll::Draining(partitions);
    }

    fn drain(&mut self, chance: &mut Chance, group: &mut Group, partitions: Vec<TopicPartition>) {
        // Who is no member any more waits for nothing but the deadline.
        let is_late = self.generation < 0 || (!self.committer.calm && chance.one_in(60));
        if !self.core.is_drained(&partitions) && !is_late {
            self.poll = Poll::Draining(partitions);
            return;
        }
        self.cancelled.extend(self.core.forget(&partitions));
        self.give_back(group, &partitions);
    }

    fn give_back(&mut self, group: &mut Group, partitions: &[TopicPartition]) {
        for partition in partitions {
            self.assigned.remove(partition);
            self.positions.remove(partition);
        }
        group.give_back(&self.member, partitions);
    }

    /// What is assigned and not claimed.
    fn claim_again(&mut self) {
        let unclaimed = self
            .assigned
            .iter()
            .filter(|partition| !self.core.has_decided(partition));
        let unclaimed: Vec<TopicPartition> = unclaimed.cloned().collect();
        if self.generation >= 0 && !unclaimed.is_empty() {
            self.poll = Poll::Taking(Taking::begin(&self.writer, unclaimed, false));
        }
    }

    /// The log of a partition does not have what comes next: it stops, whatever is under way.
    pub fn lose_log(&mut self, chance: &mut Chance) -> Option<TopicPartition> {
        let held = self.core.held();
        let partition = chance.of(&held)?;
        let stopped = self.core.stop_partition(partition, "the log is gone".to_owned());
        self.cancelled.extend(stopped);
        Some(partition.clone())
    }

    fn read(&mut self, chance: &mut Chance, broker: &Broker, reaches: bool) {
        if self.shutdown == Shutdown::Wanted {
            return self.stop(chance);
        }
        if self.positions.is_empty() || !reaches {
            return;
        }
        let which = chance.below(self.positions.len());
        let Some((partition, position)) = self.positions.iter_mut().nth(which) else {
            return;
        };
        let wants = self.core.wants(partition);
        if !wants && self.mutation != Some(Mutation::ReadOn) {
            return;
        }
        match broker.fetch(partition, *position) {
            Ok(record) => {
                *position = record.offset + 1;
                self.core.offer(partition, record);
            }
            Err(end) if self.mutation != Some(Mutation::IgnoreEnds) => self.core.ended(partition, end),
            Err(_) => {}
        }
    }

    /// SIGTERM: what runs may end within the grace period, then all is committed and released, then it leaves.
    fn stop(&mut self, chance: &mut Chance) {
        self.core.stop();
        if self.running.is_empty() || chance.one_in(20) {
            let held: Vec<TopicPartition> = self.assigned.iter().cloned().collect();
            self.events.push_back(Event::Revoke(held));
            self.events.push_back(Event::Leave);
        }
    }
}

//! One process: the engine's own [`Member`] and [`Takeover`], and what its threads do around them, a step at a time.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use rand::{Rng, rngs::SmallRng};
use topics::{
    Output, Record, TopicPartition,
    engine::{
        Order,
        core::{Answer, Assignment, Claim, Limits, Member, Membership, Step, Takeover, Turns, Verdict},
    },
};

use super::{Mutation, broker::Broker, committer::Committer, group::Group};

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
    Rejoin,
    Leave,
}

enum Poll {
    Idle,
    Taking {
        takeover: Box<Takeover>,
        step: Step,
        unfenced: BTreeSet<String>,
    },
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
            bytes: 1 << 20,
            partition_bytes: 1 << 20,
            batch: 3,
        };
        Self {
            core: Member::new(writer.clone(), limits, Turns::new([("requests", 1)])),
            committer: Committer::new(writer.clone(), mutation),
            member: String::new(),
            generation: -1,
            joins: 0,
            events: VecDeque::new(),
            poll: Poll::Idle,
            assigned: BTreeSet::new(),
            positions: BTreeMap::new(),
            running: Vec::new(),
            cancelled: BTreeSet::new(),
            paused: false,
            shutdown: Shutdown::No,
            mutation,
            writer,
        }
    }

    pub fn join(&mut self, group: &mut Group) {
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

    /// Whether its client has answered the last rebalance event, as a new generation needs of every member.
    pub fn is_settled(&self) -> bool {
        !self.paused && self.events.is_empty() && matches!(self.poll, Poll::Idle)
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
        self.generation = -1;
        self.events.clear();
        let held: Vec<TopicPartition> = self.assigned.iter().cloned().collect();
        // A takeover under way goes on until its claim is refused; then the callback returns.
        self.events.push_back(Event::Lost(held));
    }

    pub fn wants_rejoin(&self) -> bool {
        self.generation < 0
            && self.events.is_empty()
            && matches!(self.poll, Poll::Idle)
            && self.shutdown == Shutdown::No
    }

    // --- chains

    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// One of the runs ends, unless it is one of the slow ones: those outlive a rebalance or two.
    pub fn finish_run(&mut self, rng: &mut SmallRng, which: usize) {
        if self.running[which].record.offset % 7 == 3 && !rng.random_ratio(1, 40) {
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

    pub fn poll(&mut self, rng: &mut SmallRng, broker: &mut Broker, group: &mut Group) {
        match std::mem::replace(&mut self.poll, Poll::Idle) {
            Poll::Idle => match self.events.pop_front() {
                Some(event) => self.begin(event, group),
                None => self.read(rng, broker),
            },
            Poll::Taking {
                takeover,
                step,
                unfenced,
            } => self.take_over(rng, broker, group, takeover, step, unfenced),
            Poll::Draining(partitions) => self.drain(rng, group, partitions),
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
                let mut takeover = Box::new(Takeover::new(self.writer.clone(), GROUP, partitions));
                let step = takeover.start();
                self.poll = Poll::Taking {
                    takeover,
                    step,
                    unfenced: BTreeSet::new(),
                };
            }
            Event::Revoke(partitions) if self.mutation == Some(Mutation::CommitAfterRevoke) => {
                self.give_back(group, &partitions);
            }
            Event::Revoke(partitions) => {
                self.core.refresh(Some(self.membership()));
                self.cancelled.extend(self.core.revoke(&partitions));
                self.poll = Poll::Draining(partitions);
            }
            Event::Lost(partitions) => {
                self.core.refresh(None);
                self.cancelled.extend(self.core.forget(&partitions));
                for partition in &partitions {
                    self.assigned.remove(partition);
                    self.positions.remove(partition);
                }
            }
            Event::Rejoin => {
                group.remove(&self.member);
                self.generation = -1;
            }
            Event::Leave => {
                group.remove(&self.member);
                self.generation = -1;
                self.shutdown = Shutdown::Left;
            }
        }
    }

    fn drain(&mut self, rng: &mut SmallRng, group: &mut Group, partitions: Vec<TopicPartition>) {
        // Who is no member any more waits for nothing but the deadline.
        let is_late = self.generation < 0 || (!self.committer.calm && rng.random_ratio(1, 60));
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

    fn take_over(
        &mut self,
        rng: &mut SmallRng,
        broker: &mut Broker,
        group: &mut Group,
        mut takeover: Box<Takeover>,
        step: Step,
        mut unfenced: BTreeSet<String>,
    ) {
        let careless = self.mutation == Some(Mutation::ClaimFirst);
        let answer = match &step {
            Step::ReadStable { partitions, .. } if careless => Some(Answer::Read(broker.read_unstable(partitions))),
            Step::ReadStable { partitions, patient } => match broker.read_stable(partitions) {
                Some(found) => Some(Answer::Read(found)),
                None if *patient || rng.random_ratio(1, 2) => None,
                None => Some(Answer::Pending),
            },
            Step::ReadUnstable { partitions } => Some(Answer::Read(broker.read_unstable(partitions))),
            Step::Fence { writers } if careless => {
                unfenced.extend(writers.iter().cloned());
                Some(Answer::Fenced {
                    failed: BTreeMap::new(),
                })
            }
            Step::Fence { .. } if self.mutation == Some(Mutation::SkipFence) => Some(Answer::Fenced {
                failed: BTreeMap::new(),
            }),
            Step::Fence { writers } => {
                if unfenced.is_empty() {
                    unfenced.extend(writers.iter().cloned());
                }
                unfenced.retain(|writer| broker.init(writer).is_err());
                unfenced.is_empty().then(|| Answer::Fenced {
                    failed: BTreeMap::new(),
                })
            }
            Step::Inspect { partitions, .. } => Some(Answer::Inspected {
                log_starts: partitions.iter().map(|partition| (partition.clone(), 0)).collect(),
                committed_topics: BTreeSet::from(["requests".to_owned()]),
            }),
            Step::Claim { claims } => Some(self.claim(broker, group, claims)),
            Step::Done(verdicts) => {
                for writer in &unfenced {
                    // Only the careless one has any left; what matters is that it is too late.
                    let _ = broker.init(writer);
                }
                self.adopt(verdicts.clone());
                return;
            }
        };
        let step = match answer {
            Some(answer) => takeover.next(answer),
            None => step,
        };
        self.poll = Poll::Taking {
            takeover,
            step,
            unfenced,
        };
    }

    fn claim(&self, broker: &mut Broker, group: &Group, claims: &[Claim]) -> Answer {
        let offsets = claims
            .iter()
            .map(|claim| (claim.partition.clone(), claim.offset, claim.metadata.clone()))
            .collect();
        let failed = match broker.commit_plainly(group, &self.membership(), offsets) {
            Ok(()) => BTreeMap::new(),
            Err(refusal) => claims
                .iter()
                .map(|claim| (claim.partition.clone(), format!("{refusal:?}")))
                .collect(),
        };
        Answer::Claimed { failed }
    }

    fn adopt(&mut self, verdicts: BTreeMap<TopicPartition, Verdict>) {
        self.core.refresh(Some(self.membership()));
        let mut later = false;
        for (partition, verdict) in verdicts {
            match verdict {
                Verdict::Claimed(state) => {
                    self.positions.insert(partition.clone(), state.progress.watermark());
                    self.core.claimed(partition, state);
                }
                Verdict::Refused(message) => self.core.refused(partition, message),
                Verdict::Later(_) => later = true,
            }
        }
        if later && self.generation >= 0 {
            let held: Vec<TopicPartition> = self.assigned.iter().cloned().collect();
            self.events.push_back(Event::Revoke(held));
            self.events.push_back(Event::Rejoin);
        }
    }

    fn read(&mut self, rng: &mut SmallRng, broker: &Broker) {
        if self.shutdown == Shutdown::Wanted {
            return self.stop();
        }
        if self.positions.is_empty() {
            return;
        }
        let which = rng.random_range(0..self.positions.len());
        let Some((partition, position)) = self.positions.iter_mut().nth(which) else {
            return;
        };
        if !self.core.wants(partition) {
            return;
        }
        if let Some(record) = broker.fetch(partition, *position) {
            *position = record.offset + 1;
            self.core.offer(partition, record);
        }
    }

    /// SIGTERM: what runs may end, then all is committed and released, then it leaves.
    fn stop(&mut self) {
        self.core.stop();
        if self.running.is_empty() {
            let held: Vec<TopicPartition> = self.assigned.iter().cloned().collect();
            self.events.push_back(Event::Revoke(held));
            self.events.push_back(Event::Leave);
        }
    }
}

/// A record's value says whether the broker takes its result.
pub fn is_too_large(value: &Bytes) -> bool {
    value.starts_with(b"large")
}

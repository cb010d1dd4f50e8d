//! The thread that owns the transactional producer: one request to the brokers a step, any of which may go wrong.

use std::collections::BTreeSet;

use rand::{Rng, rngs::SmallRng};
use topics::{
    TopicPartition,
    engine::core::{Assignment, Batch, Committed, Culprit, Entry, Fault, Member, Membership, Outcome, Progress},
};

use super::{
    Mutation,
    broker::{Broker, Refusal},
    group::Group,
    process::is_too_large,
};

pub struct Committer {
    id: String,
    epoch: Option<u32>,
    state: State,
    /// Nothing goes wrong on the network any more.
    pub calm: bool,
    /// Assignments that turned out to be over when a commit was resolved.
    pub lost: Vec<Assignment>,
    mutation: Option<Mutation>,
    forgotten: BTreeSet<(TopicPartition, i64)>,
}

enum State {
    Idle,
    Open {
        batch: Batch,
        produced: usize,
        offsets_sent: bool,
    },
    Aborting(Fault),
    Resolving,
}

impl Committer {
    pub fn new(id: String, mutation: Option<Mutation>) -> Self {
        Self {
            id,
            epoch: None,
            state: State::Idle,
            calm: false,
            lost: Vec::new(),
            mutation,
            forgotten: BTreeSet::new(),
        }
    }

    pub fn step(
        &mut self,
        rng: &mut SmallRng,
        broker: &mut Broker,
        group: &Group,
        core: &mut Member,
        now: &Membership,
    ) {
        let Some(epoch) = self.epoch else {
            self.epoch = broker.init(&self.id).ok();
            return;
        };
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle => {
                if let Some(batch) = core.batch() {
                    self.state = State::Open {
                        batch,
                        produced: 0,
                        offsets_sent: false,
                    };
                }
            }
            State::Open {
                batch,
                produced,
                offsets_sent,
            } => {
                if self.goes_wrong(rng) && !offsets_sent {
                    return self.unknown(core, broker);
                }
                let entry = batch.parts.iter().flat_map(|part| &part.results).nth(produced).cloned();
                match entry {
                    Some(entry) => self.produce(broker, epoch, core, batch, produced, &entry),
                    None if !offsets_sent => self.send_offsets(broker, epoch, group, core, batch, produced, now),
                    None => self.commit(rng, broker, epoch, group, core, batch, now),
                }
            }
            State::Aborting(fault) => match broker.end(&self.id, epoch, false) {
                Ok(()) if self.goes_wrong(rng) => self.unknown(core, broker),
                Ok(()) => self.aborted(core, fault),
                Err(_) => self.unknown(core, broker),
            },
            State::Resolving => {
                let asked = core.unresolved();
                let partitions: Vec<_> = asked.iter().map(|assignment| assignment.partition.clone()).collect();
                match broker.read_stable(&partitions) {
                    Some(found) => self.lost.extend(core.resolve(&asked, &found)),
                    None => self.state = State::Resolving,
                }
            }
        }
    }

    fn produce(
        &mut self,
        broker: &mut Broker,
        epoch: u32,
        core: &mut Member,
        batch: Batch,
        produced: usize,
        entry: &Entry,
    ) {
        let record = &entry.record;
        let place = (
            TopicPartition::new(record.topic.clone(), record.partition),
            record.offset,
        );
        if !entry.rejected && record.value.as_ref().is_some_and(is_too_large) {
            let fault = Fault::Output {
                class: "output_too_large".to_owned(),
                message: String::new(),
                topic: None,
            };
            self.state = State::Aborting(fault);
            return;
        }
        if self.forgotten.contains(&place) {
            self.state = State::Open {
                batch,
                produced: produced + 1,
                offsets_sent: false,
            };
            return;
        }
        match broker.produce(&self.id, epoch, entry) {
            Ok(()) => {
                self.state = State::Open {
                    batch,
                    produced: produced + 1,
                    offsets_sent: false,
                }
            }
            Err(Refusal::Concurrent) => {
                self.state = State::Open {
                    batch,
                    produced,
                    offsets_sent: false,
                }
            }
            Err(Refusal::Fenced | Refusal::Membership) => self.unknown(core, broker),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one request and all it touches")]
    fn send_offsets(
        &mut self,
        broker: &mut Broker,
        epoch: u32,
        group: &Group,
        core: &mut Member,
        batch: Batch,
        produced: usize,
        now: &Membership,
    ) {
        if self.mutation == Some(Mutation::OffsetsOutside) {
            self.state = State::Open {
                batch,
                produced,
                offsets_sent: true,
            };
            return;
        }
        let mut membership = batch.membership.clone();
        match self.mutation {
            Some(Mutation::FetchMembershipAtCommit) => membership = now.clone(),
            Some(Mutation::NoGeneration) => membership.generation = -1,
            _ => {}
        }
        match broker.send_offsets((&self.id, epoch), group, &membership, self.offsets(&batch)) {
            Ok(()) => {
                self.state = State::Open {
                    batch,
                    produced,
                    offsets_sent: true,
                }
            }
            Err(Refusal::Concurrent) => {
                self.state = State::Open {
                    batch,
                    produced,
                    offsets_sent: false,
                }
            }
            Err(Refusal::Membership) => {
                if self.mutation == Some(Mutation::DropLedger) {
                    self.forget(&batch);
                }
                self.state = State::Aborting(Fault::Membership);
            }
            Err(Refusal::Fenced) => {
                if self.mutation == Some(Mutation::DropLedger) {
                    self.forget(&batch);
                }
                self.unknown(core, broker);
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one request and all it touches")]
    fn commit(
        &mut self,
        rng: &mut SmallRng,
        broker: &mut Broker,
        epoch: u32,
        group: &Group,
        core: &mut Member,
        batch: Batch,
        now: &Membership,
    ) {
        let offsets = self.offsets(&batch);
        if self.goes_wrong(rng) {
            match rng.random_range(0..3) {
                // The answer is lost, the request is, or it comes late.
                0 => drop(broker.end(&self.id, epoch, true)),
                1 => {}
                _ => broker.end_late(&self.id, epoch, true),
            }
            return self.unknown(core, broker);
        }
        match broker.end(&self.id, epoch, true) {
            Ok(()) => {
                if self.mutation == Some(Mutation::OffsetsOutside) {
                    // The results are committed; the offsets follow by themselves.
                    let _ = broker.commit_plainly(group, now, offsets);
                }
                core.settle(&Outcome::Committed);
            }
            Err(Refusal::Concurrent) => {
                self.state = State::Open {
                    produced: batch.results(),
                    batch,
                    offsets_sent: true,
                }
            }
            Err(Refusal::Fenced | Refusal::Membership) => self.unknown(core, broker),
        }
    }

    fn offsets(&self, batch: &Batch) -> Vec<(TopicPartition, i64, String)> {
        let offset = |part: &topics::engine::core::BatchPart| {
            let metadata = match Committed::decode(part.offset, &part.metadata) {
                Ok(state) if self.mutation == Some(Mutation::DropMap) => Committed {
                    progress: Progress::at(part.offset),
                    ..state
                }
                .encode(),
                _ => part.metadata.clone(),
            };
            (part.assignment.partition.clone(), part.offset, metadata)
        };
        batch.parts.iter().map(offset).collect()
    }

    fn aborted(&mut self, core: &mut Member, fault: Fault) {
        let culprit: Option<Culprit> = core.settle(&Outcome::Aborted(fault));
        if let Some(culprit) = culprit {
            core.replace(&culprit, std::sync::Arc::new([topics::Output::default()]));
        }
    }

    /// No answer, or a fence: the producer is replaced, then the committed state is asked.
    fn unknown(&mut self, core: &mut Member, broker: &mut Broker) {
        core.settle(&Outcome::Unknown);
        match (self.mutation, self.epoch) {
            (Some(Mutation::ReuseProducer), Some(epoch)) => {
                if broker.end(&self.id, epoch, false) == Err(Refusal::Fenced) {
                    self.epoch = None;
                }
            }
            _ => self.epoch = None,
        }
        self.state = State::Resolving;
    }

    fn forget(&mut self, batch: &Batch) {
        for part in &batch.parts {
            let place = |entry: &Entry| (part.assignment.partition.clone(), entry.record.offset);
            self.forgotten.extend(part.results.iter().map(place));
        }
    }

    fn goes_wrong(&self, rng: &mut SmallRng) -> bool {
        !self.calm && rng.random_ratio(1, 40)
    }
}

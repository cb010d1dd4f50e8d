//! The thread that owns the transactional producer: one request to the brokers a step, any of which may go wrong.

use std::collections::BTreeSet;

use topics::{
    TopicPartition,
    engine::core::{
        Assignment, Batch, BatchPart, Committed, Entry, Fault, Found, Member, Membership, Outcome, Progress,
        Refusal as Refused, Whose,
    },
};

use super::{
    Mutation,
    broker::{Broker, Fate, Refusal, Written},
    chance::Chance,
    check,
    group::Group,
};

pub struct Committer {
    id: String,
    epoch: u32,
    state: State,
    /// Calls that hang, each on the thread that was left to it. They may go on at any time.
    abandoned: Vec<(u32, Attempt)>,
    hung: usize,
    /// A connection failed since the producer was initialised.
    pub trouble: bool,
    /// Nothing goes wrong on the network any more.
    pub calm: bool,
    /// Assignments that turned out to be over when a commit was resolved.
    pub lost: Vec<Assignment>,
    /// Partitions that are assigned are not claimed, or were forgotten.
    pub must_claim: bool,
    /// The last commit that was acknowledged, and the one that may have been.
    kept: Vec<Batch>,
    /// What a broker tore of them, where the partition is still held after they were looked at.
    pub mended: Vec<(Assignment, i64)>,
    mutation: Option<Mutation>,
    forgotten: BTreeSet<(TopicPartition, i64)>,
}

enum State {
    /// The first producer of a process has left nothing to be swept up.
    Starting,
    Renewing(Renewal),
    Idle,
    Open(Attempt),
    Aborting(Fault),
}

/// How a producer is replaced: initialised, then what brokers left open is swept up, then the committed state is read.
enum Renewal {
    Init,
    Sweep,
    EndSweep,
    Ask,
    Read { asked: Vec<Assignment> },
    Resolve { asked: Vec<Assignment>, found: Found },
}

#[derive(Clone)]
struct Attempt {
    batch: Batch,
    produced: usize,
    offsets_sent: bool,
}

/// What one request of an attempt came to.
enum Answer {
    Continues(Attempt),
    Ended,
    Failed(Fault),
    Unknown,
}

impl Committer {
    pub fn new(id: String, mutation: Option<Mutation>) -> Self {
        Self {
            id,
            epoch: 0,
            state: State::Starting,
            abandoned: Vec::new(),
            hung: 0,
            trouble: false,
            calm: false,
            lost: Vec::new(),
            must_claim: false,
            kept: Vec::new(),
            mended: Vec::new(),
            mutation,
            forgotten: BTreeSet::new(),
        }
    }

    /// How many calls were abandoned so far.
    pub fn hung(&self) -> usize {
        self.hung
    }

    pub fn step(
        &mut self,
        chance: &mut Chance,
        broker: &mut Broker,
        group: &Group,
        core: &mut Member,
        now: &Membership,
        reaches: bool,
    ) {
        if reaches && !self.abandoned.is_empty() && chance.one_in(3) {
            let (epoch, attempt) = self.abandoned.swap_remove(0);
            if attempt.offsets_sent && epoch == self.epoch && self.is_spent() {
                // It looks for trouble itself before it commits.
                return;
            }
            if let Answer::Continues(attempt) = self.request(broker, group, attempt, now, epoch, true) {
                self.abandoned.push((epoch, attempt));
            }
            return;
        }
        if !reaches {
            let is_in_transaction = matches!(self.state, State::Open(_) | State::Aborting(_));
            if is_in_transaction && chance.one_in(4) {
                let batch = match &self.state {
                    State::Open(attempt) => Some(attempt.batch.clone()),
                    _ => None,
                };
                self.unknown(core, broker, batch);
            }
            return;
        }
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Starting => match broker.init(&self.id) {
                Ok(epoch) => self.epoch = epoch,
                Err(_) => self.state = State::Starting,
            },
            State::Renewing(renewal) => self.renew(chance, broker, core, renewal),
            State::Idle => {
                if chance.one_in(20) {
                    core.commit_skips();
                }
                let batch = core.batch();
                if self.is_spent() {
                    self.state = State::Renewing(Renewal::Init);
                } else if let Some(batch) = batch {
                    self.state = State::Open(Attempt {
                        batch,
                        produced: 0,
                        offsets_sent: false,
                    });
                }
            }
            State::Open(attempt) => self.attempt(chance, broker, group, core, attempt, now),
            State::Aborting(fault) => match broker.end(&self.id, self.epoch, false) {
                Ok(()) if !self.goes_wrong(chance) && !self.is_spent() => self.aborted(core, fault),
                Ok(()) | Err(_) => self.unknown(core, broker, None),
            },
        }
    }

    fn renew(&mut self, chance: &mut Chance, broker: &mut Broker, core: &mut Member, renewal: Renewal) {
        let next = match renewal {
            Renewal::Init => match broker.init(&self.id) {
                // The answer is lost: initialised once more.
                Ok(_) if self.goes_wrong(chance) => Renewal::Init,
                Ok(epoch) => {
                    (self.epoch, self.trouble) = (epoch, false);
                    match self.mutation {
                        Some(Mutation::SkipSweep) => Renewal::Ask,
                        _ => Renewal::Sweep,
                    }
                }
                Err(_) => Renewal::Init,
            },
            Renewal::Sweep => match broker.sweep(&self.id, self.epoch, false) {
                Ok(()) => Renewal::EndSweep,
                Err(Refusal::Concurrent) => Renewal::Sweep,
                Err(_) => Renewal::Ask,
            },
            Renewal::EndSweep => match broker.end(&self.id, self.epoch, false) {
                Ok(()) if self.goes_wrong(chance) => Renewal::Init,
                _ => Renewal::Ask,
            },
            Renewal::Ask => Renewal::Read {
                asked: core.unresolved(),
            },
            Renewal::Read { asked } => {
                let partitions: Vec<_> = asked.iter().map(|assignment| assignment.partition.clone()).collect();
                match broker.read_stable(&partitions) {
                    Some(found) => Renewal::Resolve { asked, found },
                    // It is not waited for for ever: everything from the start.
                    None if self.trouble || chance.one_in(20) => Renewal::Init,
                    None => Renewal::Read { asked },
                }
            }
            Renewal::Resolve { asked, found } => {
                if self.mutation == Some(Mutation::GuessAborted) {
                    core.settle(&Outcome::Aborted(Fault::Passing));
                    return;
                }
                let carried = self.carried(broker);
                let lost = core.resolve(&asked, &found, &carried);
                self.note_torn(broker, core);
                self.must_claim |= !lost.is_empty();
                broker.tell(|| format!("{} resolved a commit, {} partitions are lost", self.id, lost.len()));
                self.lost.extend(lost);
                return;
            }
        };
        self.state = State::Renewing(next);
    }

    /// What is kept, of each result only what is not visible.
    fn carried(&self, broker: &Broker) -> Vec<BatchPart> {
        let reduced = |part: &BatchPart| {
            let partition = &part.assignment.partition;
            let visible = |entry: &Entry| {
                let mut written = broker.results.get(partition).into_iter().flatten();
                let is_it = |result: &Written| {
                    result.offset == entry.record.offset && result.by == self.id && result.fate == Fate::Visible
                };
                written.any(is_it)
            };
            let is_done = |entry: &Entry| {
                check::state(broker, partition).is_ok_and(|state| state.progress.contains(entry.record.offset))
            };
            let seems_visible = |entry: &Entry| match self.mutation {
                Some(Mutation::IgnoreLost) if is_done(entry) => true,
                Some(Mutation::IgnoreVisible) if !is_done(entry) => false,
                _ => visible(entry),
            };
            let results = part.results.iter().map(|entry| match seems_visible(entry) {
                true => Entry {
                    outputs: std::sync::Arc::new([]),
                    rejected: true,
                    ..entry.clone()
                },
                false => entry.clone(),
            });
            BatchPart {
                results: results.collect(),
                ..part.clone()
            }
        };
        self.kept.iter().flat_map(|batch| &batch.parts).map(reduced).collect()
    }

    fn note_torn(&mut self, broker: &Broker, core: &Member) {
        let held = core.unresolved();
        for part in self.kept.drain(..).flat_map(|batch| batch.parts) {
            let is_torn = |offset: &i64| {
                let torn = broker.torn.get(&(part.assignment.partition.clone(), *offset));
                torn.is_some_and(|by| *by == BTreeSet::from([(self.id.clone(), part.seq)]))
            };
            let torn = part.results.iter().map(|entry| entry.record.offset);
            let torn: Vec<i64> = torn.filter(is_torn).collect();
            if held.contains(&part.assignment) {
                self.mended
                    .extend(torn.into_iter().map(|offset| (part.assignment.clone(), offset)));
            }
        }
    }

    fn attempt(
        &mut self,
        chance: &mut Chance,
        broker: &mut Broker,
        group: &Group,
        core: &mut Member,
        attempt: Attempt,
        now: &Membership,
    ) {
        let is_commit = attempt.offsets_sent;
        let batch = attempt.batch.clone();
        let mut is_lost = false;
        if self.goes_wrong(chance) {
            match chance.below(4) {
                0 => return self.unknown(core, broker, Some(batch)),
                1 => is_lost = true,
                2 => {
                    self.hung += 1;
                    self.abandoned.push((self.epoch, attempt));
                    broker.tell(|| format!("{} abandons a call that hangs", self.id));
                    return self.unknown(core, broker, Some(batch));
                }
                _ => {
                    if is_commit {
                        broker.end_late(&self.id, self.epoch, true);
                    }
                    return self.unknown(core, broker, Some(batch));
                }
            }
        }
        if is_commit && self.is_spent() {
            return self.unknown(core, broker, Some(batch));
        }
        let offsets = self.offsets(&attempt.batch);
        // A report may name the record that is refused, or those of a whole batch.
        let is_named = chance.one_in(2);
        let answer = self.request(broker, group, attempt, now, self.epoch, is_named);
        if is_lost {
            return self.unknown(core, broker, Some(batch));
        }
        match answer {
            Answer::Continues(attempt) => self.state = State::Open(attempt),
            Answer::Ended => {
                if self.mutation == Some(Mutation::OffsetsOutside) {
                    // The results are committed; the offsets follow by themselves.
                    let _ = broker.commit_plainly(group, now, offsets);
                }
                core.settle(&Outcome::Committed);
                self.kept = vec![batch];
            }
            Answer::Failed(fault) => self.state = State::Aborting(fault),
            Answer::Unknown => self.unknown(core, broker, Some(batch)),
        }
    }

    /// The next request of this attempt.
    fn request(
        &mut self,
        broker: &mut Broker,
        group: &Group,
        attempt: Attempt,
        now: &Membership,
        epoch: u32,
        is_named: bool,
    ) -> Answer {
        let entry = attempt.batch.parts.iter().flat_map(|part| &part.results);
        match entry.clone().nth(attempt.produced).cloned() {
            Some(entry) => self.produce(broker, epoch, attempt, &entry, is_named),
            None if !attempt.offsets_sent => self.send_offsets(broker, epoch, group, attempt, now),
            None => match broker.end(&self.id, epoch, true) {
                Ok(()) => {
                    broker.tell(|| format!("{} commits {}", self.id, told(&attempt.batch)));
                    Answer::Ended
                }
                Err(Refusal::Concurrent) => Answer::Continues(attempt),
                Err(Refusal::Fenced | Refusal::Membership) => Answer::Unknown,
            },
        }
    }

    fn produce(&self, broker: &mut Broker, epoch: u32, attempt: Attempt, entry: &Entry, is_named: bool) -> Answer {
        let record = &entry.record;
        if broker.refuses(entry) && !entry.outputs.is_empty() {
            let results = attempt.batch.results();
            return Answer::Failed(Fault::Outputs(vec![Refused {
                class: "output_too_large".to_owned(),
                message: String::new(),
                topic: None,
                whose: if is_named || results == 1 {
                    Whose::Result(attempt.produced)
                } else {
                    Whose::OneOf((0..results).collect())
                },
            }]));
        }
        let place = (
            TopicPartition::new(record.topic.clone(), record.partition),
            record.offset,
        );
        let produced = attempt.produced + 1;
        if self.forgotten.contains(&place) || entry.outputs.is_empty() {
            return Answer::Continues(Attempt { produced, ..attempt });
        }
        match broker.produce(&self.id, epoch, entry) {
            Ok(()) => Answer::Continues(Attempt { produced, ..attempt }),
            Err(Refusal::Concurrent) => Answer::Continues(attempt),
            Err(Refusal::Fenced | Refusal::Membership) => Answer::Unknown,
        }
    }

    fn send_offsets(
        &mut self,
        broker: &mut Broker,
        epoch: u32,
        group: &Group,
        mut attempt: Attempt,
        now: &Membership,
    ) -> Answer {
        if self.mutation == Some(Mutation::OffsetsOutside) {
            attempt.offsets_sent = true;
            return Answer::Continues(attempt);
        }
        let mut membership = attempt.batch.membership.clone();
        match self.mutation {
            Some(Mutation::FetchMembershipAtCommit) => membership = now.clone(),
            Some(Mutation::NoGeneration) => membership.generation = -1,
            _ => {}
        }
        let offsets = self.offsets(&attempt.batch);
        match broker.send_offsets((&self.id, epoch), group, &membership, offsets) {
            Ok(()) => {
                attempt.offsets_sent = true;
                Answer::Continues(attempt)
            }
            Err(Refusal::Concurrent) => Answer::Continues(attempt),
            Err(refusal) => {
                if self.mutation == Some(Mutation::DropLedger) {
                    self.forget(&attempt.batch);
                }
                match refusal {
                    Refusal::Membership => Answer::Failed(Fault::Membership),
                    Refusal::Fenced | Refusal::Concurrent => Answer::Unknown,
                }
            }
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
        for culprit in core.settle(&Outcome::Aborted(fault)) {
            core.replace(culprit, std::sync::Arc::new([topics::Output::default()]));
        }
    }

    /// No answer, or a fence: the producer is replaced, then the committed state is asked.
    fn unknown(&mut self, core: &mut Member, broker: &mut Broker, batch: Option<Batch>) {
        self.kept.extend(batch);
        broker.tell(|| format!("{} does not know what came of its transaction", self.id));
        core.settle(&Outcome::Unknown);
        let is_reused = self.mutation == Some(Mutation::ReuseProducer)
            && broker.end(&self.id, self.epoch, false) != Err(Refusal::Fenced);
        self.state = State::Renewing(if is_reused { Renewal::Ask } else { Renewal::Init });
    }

    fn forget(&mut self, batch: &Batch) {
        for part in &batch.parts {
            let place = |entry: &Entry| (part.assignment.partition.clone(), entry.record.offset);
            self.forgotten.extend(part.results.iter().map(place));
        }
    }

    fn is_spent(&self) -> bool {
        self.trouble && self.mutation != Some(Mutation::ReuseProducer)
    }

    fn goes_wrong(&self, chance: &mut Chance) -> bool {
        !self.calm && chance.one_in(30)
    }
}

fn told(batch: &Batch) -> String {
    let part = |part: &topics::engine::core::BatchPart| {
        let offsets: Vec<i64> = part.results.iter().map(|entry| entry.record.offset).collect();
        let release = if part.release { ", released" } else { "" };
        format!("{} {offsets:?} as {}{release}", part.assignment.partition, part.seq)
    };
    batch.parts.iter().map(part).collect::<Vec<_>>().join("; ")
}

//! How partitions change hands. The steps run on the thread that polls, inside the assign callback or, for what could not be
//! claimed there, between rebalance events; in this order, and before anything is dispatched:
//!
//! 1. a stable read of the committed state, shortly; if a transaction is pending on it, an unstable read names the writer;
//! 2. a writer that is neither nobody nor this process is fenced, which aborts whatever it left open;
//! 3. the stable read, now final;
//! 4. the claim: the same state, one commit later, with this process as writer.
//!
//! Never 4 before 2 and 3: the plain commit would win over the offsets of a transaction that is still open, and its
//! results would appear all the same. An unstable read only ever names whom to fence: it can be milliseconds stale.

mod logs;
mod whole;

use std::collections::{BTreeMap, BTreeSet};

use super::Committed;
use crate::TopicPartition;

pub use whole::Whole;

/// A committed offset with its metadata, or that there is none.
pub type Found = BTreeMap<TopicPartition, Option<(i64, String)>>;

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Answer with [`Answer::Read`], or [`Answer::Pending`] if a transaction was pending all the time. A patient read
    /// waits longer than any transaction may stay open; the first one gives up after 300 ms.
    ReadStable {
        partitions: Vec<TopicPartition>,
        patient: bool,
    },
    ReadUnstable {
        partitions: Vec<TopicPartition>,
    },
    /// All at once. Answer with [`Answer::Fenced`]: the writers that could not be, and why.
    Fence {
        writers: BTreeSet<String>,
    },
    /// Answer with [`Answer::Inspected`]: where each log starts, and how their topics stand in this group.
    Inspect {
        partitions: Vec<TopicPartition>,
    },
    /// Plainly and synchronously. Answer with [`Answer::Claimed`]: those that were refused, and why.
    Claim {
        claims: Vec<Claim>,
    },
    Done(BTreeMap<TopicPartition, Verdict>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub partition: TopicPartition,
    pub offset: i64,
    pub metadata: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Read(Found),
    Pending,
    Fenced {
        failed: BTreeMap<String, Unfenced>,
    },
    Inspected {
        log_starts: BTreeMap<TopicPartition, i64>,
        topics: BTreeMap<String, Whole>,
    },
    Claimed {
        failed: BTreeMap<TopicPartition, String>,
    },
    /// The step could not be done; the brokers are away.
    Failed(String),
}

/// Why a writer could not be fenced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfenced {
    pub reason: String,
    /// Nothing but an operator changes it.
    pub is_final: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Claimed(Committed),
    /// Somebody must decide: neither read nor committed.
    Refused(String),
    /// Not now: ask again.
    Later(String),
}

/// One takeover of everything that an assign event brought, or left unclaimed.
#[derive(Debug)]
pub struct Takeover {
    me: String,
    group: String,
    fenced: BTreeSet<String>,
    named: BTreeMap<TopicPartition, String>,
    open: Vec<TopicPartition>,
    states: BTreeMap<TopicPartition, Committed>,
    verdicts: BTreeMap<TopicPartition, Verdict>,
    expects: Expects,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expects {
    FirstRead,
    Writers,
    Fences,
    FinalRead,
    Inspection,
    Claims,
}

impl Takeover {
    #[must_use]
    pub fn new(me: impl Into<String>, group: impl Into<String>, partitions: Vec<TopicPartition>) -> Self {
        Self {
            me: me.into(),
            group: group.into(),
            fenced: BTreeSet::new(),
            named: BTreeMap::new(),
            open: partitions,
            states: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            expects: Expects::FirstRead,
        }
    }

    pub fn start(&mut self) -> Step {
        self.read(Expects::FirstRead)
    }

    pub fn next(&mut self, answer: Answer) -> Step {
        match (self.expects, answer) {
            (Expects::FirstRead | Expects::FinalRead, Answer::Read(found)) => self.judge_read(found),
            (Expects::FirstRead, Answer::Pending) => {
                self.expects = Expects::Writers;
                Step::ReadUnstable {
                    partitions: self.open.clone(),
                }
            }
            (Expects::Writers, Answer::Read(found)) => {
                let writers = self.writers(&found);
                self.fence_or(writers, |takeover| takeover.read(Expects::FinalRead))
            }
            (Expects::Fences, Answer::Fenced { failed }) => self.after_fences(&failed),
            (Expects::Inspection, Answer::Inspected { log_starts, topics }) => {
                self.judge_logs(&log_starts, &topics);
                self.claim()
            }
            (Expects::Claims, Answer::Claimed { failed }) => self.after_claims(&failed),
            (_, Answer::Pending) => self.give_up("a transaction stayed open on the committed offsets"),
            (_, Answer::Failed(reason)) => self.give_up(&reason),
            (expected, _) => self.give_up(&format!("an answer that does not fit {expected:?}")),
        }
    }

    fn read(&mut self, as_: Expects) -> Step {
        if self.open.is_empty() {
            return Step::Done(std::mem::take(&mut self.verdicts));
        }
        self.expects = as_;
        Step::ReadStable {
            partitions: self.open.clone(),
            patient: as_ == Expects::FinalRead,
        }
    }

    fn judge_read(&mut self, found: Found) -> Step {
        let writers = self.writers(&found);
        self.fence_or(writers, |takeover| takeover.accept(found))
    }

    /// The writers to fence; partitions whose metadata is not for us to read are refused on the way.
    fn writers(&mut self, found: &Found) -> BTreeSet<String> {
        let mut writers = BTreeSet::new();
        for (partition, committed) in found {
            let Some((offset, metadata)) = committed else { continue };
            match Committed::decode(*offset, metadata) {
                Ok(committed) => {
                    if let Some(writer) = committed.writer {
                        self.named.insert(partition.clone(), writer.clone());
                        writers.insert(writer);
                    }
                }
                Err(error) => {
                    let message = format!("{partition} is refused in group {}: {error}", self.group);
                    self.decide(partition, Verdict::Refused(message));
                }
            }
        }
        writers.retain(|writer| *writer != self.me && !self.fenced.contains(writer));
        writers
    }

    fn fence_or(&mut self, writers: BTreeSet<String>, otherwise: impl FnOnce(&mut Self) -> Step) -> Step {
        if writers.is_empty() {
            return otherwise(self);
        }
        self.expects = Expects::Fences;
        self.fenced.extend(writers.iter().cloned());
        Step::Fence { writers }
    }

    /// A writer that may still commit keeps its partitions; the others are not held up by it.
    fn after_fences(&mut self, failed: &BTreeMap<String, Unfenced>) -> Step {
        for (partition, writer) in std::mem::take(&mut self.named) {
            let Some(Unfenced { reason, is_final }) = failed.get(&writer) else {
                continue;
            };
            let message = format!("the last writer of {partition}, {writer}, cannot be fenced: {reason}");
            let verdict = if *is_final {
                Verdict::Refused(format!(
                    "{message}; this needs Write on the transactional ids that begin with {}",
                    self.group
                ))
            } else {
                Verdict::Later(message)
            };
            self.decide(&partition, verdict);
        }
        self.read(Expects::FinalRead)
    }

    fn accept(&mut self, found: Found) -> Step {
        for (partition, committed) in found {
            if !self.open.contains(&partition) {
                continue;
            }
            if let Some((offset, metadata)) = committed {
                // judged readable by `writers`
                let state = Committed::decode(offset, &metadata).unwrap_or_else(|_| Committed::first(offset));
                self.states.insert(partition, state);
            }
        }
        if self.open.is_empty() {
            return Step::Done(std::mem::take(&mut self.verdicts));
        }
        self.expects = Expects::Inspection;
        Step::Inspect {
            partitions: self.open.clone(),
        }
    }

    fn claim(&mut self) -> Step {
        for state in self.states.values_mut() {
            state.seq += 1;
            state.writer = Some(self.me.clone());
        }
        let claims: Vec<Claim> = self
            .open
            .iter()
            .filter_map(|partition| {
                let state = self.states.get(partition)?;
                let (offset, metadata) = (state.progress.watermark(), state.encode());
                Some(Claim {
                    partition: partition.clone(),
                    offset,
                    metadata,
                })
            })
            .collect();
        if claims.is_empty() {
            return Step::Done(std::mem::take(&mut self.verdicts));
        }
        self.expects = Expects::Claims;
        Step::Claim { claims }
    }

    fn after_claims(&mut self, failed: &BTreeMap<TopicPartition, String>) -> Step {
        for partition in self.open.clone() {
            let verdict = match (failed.get(&partition), self.states.remove(&partition)) {
                (None, Some(state)) => Verdict::Claimed(state),
                (Some(reason), _) => Verdict::Later(format!("the claim of {partition} was refused: {reason}")),
                (None, None) => Verdict::Later(format!("{partition} was not read")),
            };
            self.decide(&partition, verdict);
        }
        Step::Done(std::mem::take(&mut self.verdicts))
    }

    fn decide(&mut self, partition: &TopicPartition, verdict: Verdict) {
        self.open.retain(|open| open != partition);
        self.verdicts.insert(partition.clone(), verdict);
    }

    fn give_up(&mut self, reason: &str) -> Step {
        for partition in std::mem::take(&mut self.open) {
            self.verdicts.insert(partition, Verdict::Later(reason.to_owned()));
        }
        Step::Done(std::mem::take(&mut self.verdicts))
    }
}

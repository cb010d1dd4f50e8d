//! What one transaction carries, and what can come of it.

use std::sync::Arc;

use super::{Assignment, Entry, Membership};
use crate::{Output, engine::Rejection};

/// begin, produce all outputs in this order, send the offsets with this membership, commit.
#[derive(Debug, Clone)]
pub struct Batch {
    pub membership: Membership,
    pub parts: Vec<BatchPart>,
    /// It carries suspects only, apart from the others: see [`super::choice`].
    pub trial: bool,
}

#[derive(Debug, Clone)]
pub struct BatchPart {
    pub assignment: Assignment,
    /// The watermark: what is committed as the group's offset.
    pub offset: i64,
    /// The map, `seq` and writer, encoded.
    pub metadata: String,
    pub seq: u64,
    /// The last commit of this assignment: it names no writer.
    pub release: bool,
    pub results: Vec<Entry>,
}

impl Batch {
    #[must_use]
    pub fn results(&self) -> usize {
        self.parts.iter().map(|part| part.results.len()).sum()
    }

    /// In the order in which they are emitted; a result's place in it is what a [`Refusal`] names.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.parts.iter().flat_map(|part| &part.results)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Committed,
    /// Certainly not committed, and the producer is sound.
    Aborted(Fault),
    /// A timeout, a transport error or a fence around the commit. The producer is replaced, then the committed state
    /// says what happened.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The coordinator does not take this generation or member: a rebalance is under way.
    Membership,
    /// Outputs cannot be written, whoever tries.
    Outputs(Vec<Refusal>),
    /// A topic of others in it refuses or is away; the next batch leaves out what [`super::Member::hold_back`] was told.
    HeldBack,
    Passing,
}

/// What a topic does not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub class: String,
    pub message: String,
    /// Not known if the client never told which topic it was.
    pub topic: Option<String>,
    pub whose: Whose,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// Everything for the topic, whatever it is.
    All,
    /// It is the output of this result, by its place in the batch.
    Result(usize),
    /// It is an output of one of these results, or of several.
    OneOf(Vec<usize>),
}

/// A result that cannot be written: its node says what to commit instead.
#[derive(Debug, Clone)]
pub struct Culprit {
    pub assignment: Assignment,
    pub record: Arc<crate::Record>,
    pub rejection: Rejection,
    /// Its outputs for other topics than the one that refused.
    pub spared: Vec<Output>,
    /// The others: whatever stands in their place, they are never committed.
    pub refused: Vec<Output>,
}

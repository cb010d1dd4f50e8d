//! What one transaction carries, and what can come of it.

use std::sync::Arc;

use super::{Assignment, Entry, Membership};
use crate::{Output, engine::Rejection};

/// begin, produce all outputs in this order, send the offsets with this membership, commit.
#[derive(Debug, Clone)]
pub struct Batch {
    pub membership: Membership,
    pub parts: Vec<BatchPart>,
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

    pub fn outputs(&self) -> impl Iterator<Item = &Output> {
        self.parts
            .iter()
            .flat_map(|part| &part.results)
            .flat_map(|entry| entry.outputs.iter())
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
    /// One of the outputs cannot be written, whoever tries.
    Output {
        class: String,
        message: String,
        /// The topic that does not take it.
        topic: Option<String>,
    },
    Passing,
}

/// The result that broke a transaction which carried nothing else: its node says what to commit instead.
#[derive(Debug, Clone)]
pub struct Culprit {
    pub assignment: Assignment,
    pub record: Arc<crate::Record>,
    pub rejection: Rejection,
    /// Its outputs for other topics than the one that refused.
    pub spared: Vec<crate::Output>,
}

//! What decides in the engine: pure code without I/O, clock or randomness. Events are method calls, commands are what
//! they return. The threads around it ([`super`]) and the seeded simulation in `testkit` drive this very code.
//!
//! In reading order: [`Progress`] is what is done in a partition, [`Committed`] is how that lies in the broker,
//! [`Takeover`] is how a partition changes hands, [`Partition`] holds the records between reading and commit, and
//! [`Member`] is all of it: one member of the group.
//!
//! The invariant, in the view of a read_committed reader: the results of the record at an offset are visible exactly
//! if the offset is below the committed watermark or in the committed map.

mod batch;
mod choice;
mod lanes;
mod member;
mod metadata;
mod partition;
mod progress;
mod status;
mod takeover;
mod turns;

pub use batch::{Batch, BatchPart, Culprit, Fault, Outcome, Refusal, Whose};
pub use choice::MOST_METADATA;
pub use lanes::Lanes;
pub use member::{Limits, Member};
pub use metadata::{Committed, MAX_METADATA, MetadataError};
pub use partition::{Entry, Partition};
pub use progress::{Progress, WINDOW};
pub use status::{Full, PartitionStatus, Status};
pub use takeover::{Answer, Claim, Found, Step, Takeover, Unfenced, Verdict, Whole};
pub use turns::Turns;

use crate::TopicPartition;

/// A partition in one assignment to this process. When the partition leaves and comes back the epoch is another, so
/// what still runs for the old one is told apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Assignment {
    pub partition: TopicPartition,
    pub epoch: u64,
}

/// What the coordinator checks a commit against: a snapshot, taken in a rebalance event by the thread that polls and
/// never at commit time. Brokers check generation and member, never who owns the partition: a process that slept past
/// its session and rejoined would be let in with its old map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    pub generation: i32,
    pub member: String,
    pub instance: Option<String>,
}

impl Membership {
    /// Brokers do not check a generation below 0 at all, not even against a live owner: nothing is sent with it.
    #[must_use]
    pub fn is_checked(&self) -> bool {
        self.generation >= 0 && !self.member.is_empty()
    }
}

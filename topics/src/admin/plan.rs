//! What is to be done, and what a person has to decide.

use std::collections::BTreeMap;

use crate::TopicPartition;

/// What the operator allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Adding partitions sends keys to other partitions than before: records of one key may overtake each other once.
    pub allow_reorder: bool,
    /// Where a group begins on topics that hold records but no commit of it.
    pub from: Option<From>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    Earliest,
    Latest,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// In the order in which they are carried out.
    pub actions: Vec<Action>,
    /// What no action mends without a person's decision.
    pub findings: Vec<Finding>,
}

impl Plan {
    /// The cluster is as the catalog says.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.actions.is_empty() && self.findings.is_empty()
    }
}

/// Topics and groups by their full names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    CreateTopic {
        name: String,
        partitions: i32,
        replication: Option<i32>,
        configs: BTreeMap<String, String>,
    },
    /// `all` is what the topic has afterwards: the broker's AlterConfigs drops what is not named.
    AlterConfigs {
        name: String,
        changes: Vec<Change>,
        all: BTreeMap<String, String>,
    },
    AddPartitions {
        name: String,
        from: i32,
        to: i32,
    },
    /// The group's first commits, with empty metadata.
    InitialiseGroup {
        group: String,
        offsets: BTreeMap<TopicPartition, i64>,
    },
}

/// One configuration entry that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub config: String,
    pub from: Option<String>,
    pub to: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    PartitionsWouldReorder {
        topic: String,
        have: i32,
        want: i32,
    },
    MorePartitionsThanListed {
        topic: String,
        have: i32,
        want: i32,
    },
    UserTopicMissing {
        topic: String,
        group: String,
    },
    /// Of one of Millrace's own.
    TopicMissing {
        topic: String,
    },
    MessagesTooSmall {
        topic: String,
        has: u64,
        needs: u64,
    },
    CompactedInput {
        topic: String,
        group: String,
    },
    DeadLettersTooSmall {
        topic: String,
        has: u64,
        needs: u64,
        because_of: String,
    },
    StartUndecided {
        group: String,
        topic: String,
    },
    Overtaken {
        group: String,
        partition: TopicPartition,
        committed: i64,
        start: i64,
    },
    /// Only a group without members lets somebody else commit for it.
    GroupHasMembers {
        group: String,
        members: usize,
    },
}

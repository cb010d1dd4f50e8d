//! The pure part: what is to be done, and what a person has to decide.

use std::collections::BTreeMap;

use super::ClusterState;
use crate::{Catalog, KafkaSettings, TopicPartition, catalog::Topic};

/// What the operator allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Adding partitions sends keys to other partitions than before: records of one key may overtake each other once.
    pub allow_reorder: bool,
    /// Where a group begins on partitions that hold records but no commit of it.
    pub from: Option<From>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    Beginning,
    End,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// In the order in which they are carried out.
    pub actions: Vec<Action>,
    /// What no action mends without a person's decision.
    pub findings: Vec<Finding>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    CreateTopic {
        name: String,
        topic: Topic,
    },
    AlterConfigs {
        name: String,
        changes: Vec<Change>,
        all: BTreeMap<String, String>,
    },
    AddPartitions {
        name: String,
        from: usize,
        to: usize,
    },
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
    NeedsReorder { name: String, from: usize, to: usize },
}

/// Compares what should be with what is.
#[must_use]
pub fn plan(catalog: &Catalog, kafka: &KafkaSettings, state: &ClusterState, options: Options) -> Plan {
    let _ = (catalog, kafka, state, options);
    Plan::default()
}

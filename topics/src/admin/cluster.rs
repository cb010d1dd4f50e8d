//! What was seen on the cluster.

use std::collections::BTreeMap;

use crate::TopicPartition;

/// The catalog's topics and groups, by full names, as they are. What is absent does not exist.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterState {
    pub topics: BTreeMap<String, TopicState>,
    pub groups: BTreeMap<String, GroupState>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicState {
    pub partitions: BTreeMap<i32, PartitionState>,
    pub configs: BTreeMap<String, ConfigValue>,
}

/// First offset of the log and the one after its last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PartitionState {
    pub start: i64,
    pub end: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigValue {
    pub value: String,
    /// Set on the topic itself, as opposed to the broker's or Kafka's default.
    pub dynamic: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupState {
    pub members: usize,
    /// The partitions that have a commit, and where.
    pub committed: BTreeMap<TopicPartition, i64>,
}

//! What was seen on the cluster.

use std::collections::BTreeMap;

use crate::{TopicPartition, engine::core::Whole};

/// The catalog's topics and groups, by full names, as they are. What is absent does not exist.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterState {
    pub topics: BTreeMap<String, TopicState>,
    pub groups: BTreeMap<String, GroupState>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicState {
    pub partitions: BTreeMap<i32, Log>,
    pub configs: BTreeMap<String, ConfigValue>,
}

/// The first offset of a partition's log, and the one after its last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Log {
    pub start: i64,
    pub end: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigValue {
    pub value: String,
    /// Set on the topic itself, as opposed to a default of the broker or of Kafka.
    pub dynamic: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupState {
    pub members: usize,
    /// The partitions that have a commit, and where.
    pub committed: BTreeMap<TopicPartition, i64>,
    /// Its inputs, as they stand in it.
    pub topics: BTreeMap<String, Whole>,
}

impl TopicState {
    #[must_use]
    pub fn partition_count(&self) -> i32 {
        i32::try_from(self.partitions.len()).unwrap_or(i32::MAX)
    }

    #[must_use]
    pub fn config(&self, name: &str) -> Option<&str> {
        self.configs.get(name).map(|config| config.value.as_str())
    }

    /// Records may vanish behind newer ones of their key.
    #[must_use]
    pub fn is_compacted(&self) -> bool {
        self.config("cleanup.policy")
            .is_some_and(|policy| policy.split(',').any(|policy| policy.trim() == "compact"))
    }

    /// `max.message.bytes`
    #[must_use]
    pub fn max_message_bytes(&self) -> Option<u64> {
        self.config("max.message.bytes")?.parse().ok()
    }
}

use serde::{Deserialize, Serialize};

use crate::{Shape, Timestamp};

/// What one process says of itself every few seconds. The record key is `instance_id`; a null value says that it has
/// left.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Instance {
    /// UUIDv7 of the start of the process.
    pub instance_id: String,
    pub version: String,
    pub host: String,
    pub pid: i64,
    pub started_at: Timestamp,
    pub reported_at: Timestamp,
    /// Milliseconds until the next report.
    pub interval_ms: i64,
    pub roles: Vec<InstanceRole>,
    pub groups: Vec<InstanceGroup>,
    pub partitions: Vec<InstancePartition>,
    pub limits: Vec<InstanceLimit>,
    /// Only of a process with the recorder.
    pub recorder: Vec<InstanceRecorded>,
    /// Published by others, and not to be run here.
    pub unusable_chains: Vec<InstanceChain>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct InstanceRole {
    pub name: String,
    /// Why it is not ready.
    pub trouble: Option<String>,
}

/// The runs of a consumer group in the process.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct InstanceGroup {
    /// Full name.
    pub group: String,
    pub in_flight: i64,
    pub waiting_for_limits: i64,
}

/// A partition that the process owns.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct InstancePartition {
    /// Full name.
    pub group: String,
    /// Full name.
    pub topic: String,
    pub partition: i32,
    /// Offsets between the watermark and the last record read.
    pub window: i64,
    /// Runs.
    pub in_flight: i64,
    /// Results that are not committed yet.
    pub ledger: i64,
    /// The record that holds the watermark: the head of the oldest lane.
    pub oldest_offset: Option<i64>,
    pub oldest_at: Option<Timestamp>,
    /// Since when nothing more is read because the window or the byte limit is full.
    pub full_since: Option<Timestamp>,
}

/// The model calls of the process to one provider.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct InstanceLimit {
    pub provider: String,
    /// Calls under way.
    pub in_flight: i64,
    /// Calls that wait for a limit.
    pub waiting: i64,
    /// Most calls under way at once; none without a limit.
    pub concurrency: Option<i64>,
}

/// How far the recorder of the process is with a topic.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct InstanceRecorded {
    /// Full name.
    pub topic: String,
    pub lag_seconds: f64,
}

/// A version of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct InstanceChain {
    /// `name@version`
    pub chain: String,
}

impl Shape for Instance {
    const NAME: &'static str = "Instance";
    const SCHEMA: &'static str = include_str!("../avro/instance.avsc");
}

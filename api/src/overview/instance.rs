//! The processes: this one, and those that report.

use std::collections::BTreeMap;

use schemas::{Instance, InstanceGroup, InstanceRole, Timestamp};
use serde::Serialize;

use crate::{instances::Heard, run::rfc_3339_of};

#[derive(Serialize)]
pub(super) struct Process<'t> {
    id: &'t str,
    host: &'t str,
    pid: i64,
    version: &'t str,
    #[serde(serialize_with = "rfc_3339_of")]
    started_at: Timestamp,
    pub roles: Vec<Role<'t>>,
}

/// A process as this one sees it.
#[derive(Serialize)]
pub(super) struct Seen<'t> {
    #[serde(flatten)]
    process: Process<'t>,
    here: bool,
    alive: bool,
    #[serde(serialize_with = "rfc_3339_of")]
    reported_at: Timestamp,
    partitions: usize,
    groups: Vec<Runs<'t>>,
    limits: Vec<Limit<'t>>,
}

#[derive(Serialize)]
pub(super) struct Role<'t> {
    name: &'t str,
    pub ready: bool,
    reason: Option<&'t str>,
}

#[derive(Serialize)]
struct Runs<'t> {
    group: &'t str,
    in_flight: i64,
    waiting_for_limits: i64,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Limit<'t> {
    provider: &'t str,
    in_flight: i64,
    waiting: i64,
    concurrency: Option<i64>,
}

#[derive(Debug, PartialEq, Serialize)]
pub(super) struct RecorderTopic<'t> {
    topic: &'t str,
    lag_seconds: f64,
}

impl<'t> Process<'t> {
    pub fn of(report: &'t Instance) -> Self {
        let role = |role: &'t InstanceRole| Role {
            name: &role.name,
            ready: role.trouble.is_none(),
            reason: role.trouble.as_deref(),
        };
        Self {
            id: &report.instance_id,
            host: &report.host,
            pid: report.pid,
            version: &report.version,
            started_at: report.started_at,
            roles: report.roles.iter().map(role).collect(),
        }
    }
}

/// This process, and then the others in the order of their start.
pub(super) fn seen<'t>(own: &'t Instance, others: &'t [Heard]) -> Vec<Seen<'t>> {
    let mut seen = vec![Seen::of(own, true, true)];
    seen.extend(
        others
            .iter()
            .map(|other| Seen::of(&other.report, false, other.is_alive())),
    );
    seen
}

impl<'t> Seen<'t> {
    fn of(report: &'t Instance, here: bool, alive: bool) -> Self {
        let runs = |group: &'t InstanceGroup| Runs {
            group: &group.group,
            in_flight: group.in_flight,
            waiting_for_limits: group.waiting_for_limits,
        };
        Self {
            process: Process::of(report),
            here,
            alive,
            reported_at: report.reported_at,
            partitions: report.partitions.len(),
            groups: report.groups.iter().map(runs).collect(),
            limits: limits(&[report]),
        }
    }
}

/// The calls of all of them, by provider.
pub(super) fn limits<'t>(alive: &[&'t Instance]) -> Vec<Limit<'t>> {
    let mut by_provider: BTreeMap<&str, Limit<'t>> = BTreeMap::new();
    for limit in alive.iter().flat_map(|instance| &instance.limits) {
        let sum = by_provider.entry(&limit.provider).or_insert(Limit {
            provider: &limit.provider,
            in_flight: 0,
            waiting: 0,
            concurrency: Some(0),
        });
        sum.in_flight += limit.in_flight;
        sum.waiting += limit.waiting;
        // one process without a limit is enough for there to be none
        sum.concurrency = sum.concurrency.zip(limit.concurrency).map(|(one, other)| one + other);
    }
    by_provider.into_values().collect()
}

/// How far the recorders are; of several with the same topic, the one that is furthest behind.
pub(super) fn recorder<'t>(alive: &[&'t Instance]) -> Vec<RecorderTopic<'t>> {
    let mut by_topic: BTreeMap<&str, f64> = BTreeMap::new();
    for recorded in alive.iter().flat_map(|instance| &instance.recorder) {
        let lag = by_topic.entry(&recorded.topic).or_default();
        *lag = lag.max(recorded.lag_seconds);
    }
    let topic = |(topic, lag_seconds)| RecorderTopic { topic, lag_seconds };
    by_topic.into_iter().map(topic).collect()
}

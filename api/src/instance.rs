//! What this process is, and what it says of itself: read from the numbers that `/metrics` shows, so that an operator
//! sees one number wherever he looks.

use std::collections::BTreeMap;

use schemas::{
    Instance, InstanceChain, InstanceGroup, InstanceLimit, InstancePartition, InstanceRecorded, InstanceRole, Timestamp,
};
use uuid::Uuid;

use crate::{gauges::Gauges, health::Health};

/// Who this process is for as long as it lives.
#[derive(Debug)]
pub(crate) struct Identity {
    pub id: String,
    pub host: String,
    pub started_at: Timestamp,
}

impl Identity {
    pub fn new() -> Self {
        Self {
            id: Uuid::now_v7().to_string(),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            started_at: Timestamp::now(),
        }
    }
}

/// How the process stands now.
pub(crate) fn report(health: &Health) -> Instance {
    let text = health.metrics.render();
    let gauges = Gauges::of(&text);
    let identity = &health.identity;
    Instance {
        instance_id: identity.id.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host: identity.host.clone(),
        pid: i64::from(std::process::id()),
        started_at: identity.started_at,
        reported_at: Timestamp::now(),
        interval_ms: 0,
        roles: roles(health),
        groups: groups(&gauges),
        partitions: partitions(&gauges),
        limits: limits(&gauges),
        recorder: gauges
            .labelled("millrace_recorder_lag_seconds", ["topic"])
            .map(|([topic], lag_seconds)| InstanceRecorded {
                topic: topic.to_owned(),
                lag_seconds,
            })
            .collect(),
        unusable_chains: gauges
            .labelled("millrace_chain_unusable", ["chain"])
            .filter(|(_, unusable)| *unusable == 1.0)
            .map(|([chain], _)| InstanceChain {
                chain: chain.to_owned(),
            })
            .collect(),
    }
}

fn roles(health: &Health) -> Vec<InstanceRole> {
    let role = |(name, readiness): &(&'static str, crate::health::Readiness)| InstanceRole {
        name: (*name).to_owned(),
        trouble: readiness.borrow().as_ref().err().cloned(),
    };
    health.roles.iter().map(role).collect()
}

fn groups(gauges: &Gauges<'_>) -> Vec<InstanceGroup> {
    let waiting = |group: &str| gauges.get("millrace_waiting_for_limits", &[("group", group)]);
    let group = |([group], in_flight): ([&str; 1], f64)| InstanceGroup {
        group: group.to_owned(),
        in_flight: in_flight as i64,
        waiting_for_limits: waiting(group).unwrap_or_default() as i64,
    };
    gauges.labelled("millrace_in_flight", ["group"]).map(group).collect()
}

fn partitions(gauges: &Gauges<'_>) -> Vec<InstancePartition> {
    gauges
        .labelled("millrace_partition_owned", ["group", "topic", "partition"])
        .filter(|(_, owned)| *owned == 1.0)
        .filter_map(|([group, topic, partition], _)| {
            let labels = [("group", group), ("topic", topic), ("partition", partition)];
            let number = |name| gauges.get(name, &labels).map(|value| value as i64);
            let moment = |name| number(name).filter(|at| *at > 0).map(Timestamp::from_millis);
            let oldest_at = moment("millrace_oldest_open_timestamp_ms");
            Some(InstancePartition {
                group: group.to_owned(),
                topic: topic.to_owned(),
                partition: partition.parse().ok()?,
                window: number("millrace_window_offsets").unwrap_or_default(),
                in_flight: number("millrace_partition_in_flight").unwrap_or_default(),
                ledger: number("millrace_ledger_results").unwrap_or_default(),
                oldest_offset: number("millrace_oldest_open_offset").filter(|_| oldest_at.is_some()),
                oldest_at,
                full_since: moment("millrace_partition_full_since_ms"),
            })
        })
        .collect()
}

fn limits(gauges: &Gauges<'_>) -> Vec<InstanceLimit> {
    let mut limits: BTreeMap<&str, InstanceLimit> = BTreeMap::new();
    let mut count = |name, add: fn(&mut InstanceLimit, i64)| {
        for ([provider], value) in gauges.labelled(name, ["provider"]) {
            add(limits.entry(provider).or_default(), value as i64);
        }
    };
    count("millrace_model_calls_in_flight", |limit, calls| {
        limit.in_flight += calls;
    });
    count("millrace_model_calls_waiting", |limit, calls| {
        limit.waiting += calls;
    });
    count("millrace_model_calls_concurrency", |limit, calls| {
        limit.concurrency = Some(calls);
    });
    let named = |(provider, limit): (&str, InstanceLimit)| InstanceLimit {
        provider: provider.to_owned(),
        ..limit
    };
    limits.into_iter().map(named).collect()
}

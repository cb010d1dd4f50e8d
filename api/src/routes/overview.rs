//! `GET /health`: roles, partitions, parts and limits in one picture, for people. `/readyz` is for load balancers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use schemas::Timestamp;
use serde::Serialize;
use topics::standing::{CommittedStanding, GroupStanding, PartitionStanding};
use warp::{Filter, filters::BoxedFilter};

use super::{Answer, Path, json, query, reading, with};
use crate::{
    api::Api,
    cluster::{Look, lag, partition_lag},
    gauges::Gauges,
    health::{Health, Readiness},
    query::Query,
    run::rfc_3339_of,
};

pub(super) const PATHS: &[Path] = &[Path::new("/health", "GET, HEAD")];

const KNOWN_FROM: [(&str, &str); 7] = [
    ("instance", "this process"),
    ("parts", "asked by this process just now"),
    ("members", "the group coordinator: every process that is in a group"),
    (
        "groups",
        "committed offsets and their metadata, at most a second old: partitions of every process. window, in_flight, \
         ledger and oldest are known of the partitions that this process owns",
    ),
    (
        "limits",
        "the gauges of this process; other processes have their own calls",
    ),
    ("recorder", "the gauges of this process"),
    ("waiters and readers", "this process"),
];

pub(super) fn routes(api: &Arc<Api>, health: &Health) -> BoxedFilter<(Answer,)> {
    warp::path!("health")
        .and(reading())
        .and(query())
        .and(with(api))
        .and(with(health))
        .then(|query: String, api: Arc<Api>, health: Health| async move { overview(&api, &health, &query).await })
        .boxed()
}

/// `Health` of `schemas/openapi.json`.
#[derive(Serialize)]
struct Overview<'t> {
    status: &'static str,
    #[serde(serialize_with = "rfc_3339_of")]
    at: Timestamp,
    instance: Instance,
    parts: Vec<Part>,
    members: Vec<Member<'t>>,
    groups: Vec<Group<'t>>,
    limits: Vec<Limit<'t>>,
    recorder: Vec<RecorderTopic<'t>>,
    waiters: i64,
    readers: usize,
    known_from: BTreeMap<&'static str, &'static str>,
}

#[derive(Serialize)]
struct Instance {
    pid: u32,
    version: &'static str,
    #[serde(serialize_with = "rfc_3339_of")]
    started_at: Timestamp,
    roles: Vec<Role>,
}

#[derive(Serialize)]
struct Role {
    name: &'static str,
    ready: bool,
    reason: Option<String>,
}

#[derive(Serialize)]
struct Part {
    name: &'static str,
    ok: bool,
    detail: Option<String>,
}

#[derive(Serialize)]
struct Member<'t> {
    group: &'t str,
    client_id: &'t str,
    host: &'t str,
}

#[derive(Serialize)]
struct Group<'t> {
    group: &'t str,
    state: &'t str,
    lag: i64,
    in_flight: Option<i64>,
    waiting_for_limits: Option<i64>,
    partitions: Vec<GroupPartition<'t>>,
}

#[derive(Serialize)]
struct GroupPartition<'t> {
    topic: &'t str,
    partition: i32,
    owner: Option<&'t str>,
    here: bool,
    watermark: Option<i64>,
    highest_done: Option<i64>,
    done_above: Option<usize>,
    log_end: i64,
    lag: Option<i64>,
    commits: Option<u64>,
    window: Option<i64>,
    in_flight: Option<i64>,
    ledger: Option<i64>,
    oldest: Option<Oldest>,
    problem: Option<&'t str>,
}

#[derive(Serialize)]
struct Oldest {
    offset: i64,
    #[serde(serialize_with = "rfc_3339_of")]
    at: Timestamp,
}

#[derive(Serialize)]
struct Limit<'t> {
    provider: &'t str,
    in_flight: i64,
    waiting: i64,
}

#[derive(Serialize)]
struct RecorderTopic<'t> {
    topic: &'t str,
    lag_seconds: f64,
}

async fn overview(api: &Api, health: &Health, query: &str) -> Answer {
    Query::of(query).finish()?;
    let (look, history) = tokio::join!(api.cluster.look(), api.history.reach());
    let text = health.metrics.render();
    let gauges = Gauges::of(&text);
    let roles: Vec<Role> = health.roles.iter().map(role).collect();
    let parts = parts(api, &look, history);
    let groups = look.as_deref().unwrap_or_default();
    let status = match (
        api.ready.borrow().is_ok(),
        roles.iter().all(|role| role.ready) && parts.iter().all(|part| part.ok),
    ) {
        (false, _) => "down",
        (true, false) => "degraded",
        (true, true) => "ok",
    };
    json(&Overview {
        status,
        at: Timestamp::now(),
        instance: Instance {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION"),
            started_at: api.started_at,
            roles,
        },
        parts,
        members: groups.iter().flat_map(members).collect(),
        groups: groups.iter().map(|standing| group(standing, &gauges)).collect(),
        limits: limits(&gauges),
        recorder: gauges
            .by_label("millrace_recorder_lag_seconds", "topic")
            .into_iter()
            .map(|(topic, lag_seconds)| RecorderTopic { topic, lag_seconds })
            .collect(),
        waiters: gauges.sum("millrace_waiters").unwrap_or_default(),
        readers: api.open_streams(),
        known_from: KNOWN_FROM.into(),
    })
}

fn role((name, readiness): &(&'static str, Readiness)) -> Role {
    let reason = readiness.borrow().as_ref().err().cloned();
    Role {
        name,
        ready: reason.is_none(),
        reason,
    }
}

fn parts(api: &Api, look: &Look, history: Result<(), String>) -> Vec<Part> {
    let part = |name, trouble: Option<String>| Part {
        name,
        ok: trouble.is_none(),
        detail: trouble,
    };
    let of = |watched: &Readiness| watched.borrow().as_ref().err().cloned();
    vec![
        part("broker", look.as_ref().err().cloned()),
        part("registry", of(&api.encodes)),
        part("postgres", history.err()),
        part("results", of(&api.results)),
        part("chains", of(&api.chains_known)),
    ]
}

fn members(group: &GroupStanding) -> impl Iterator<Item = Member<'_>> {
    group.members.iter().map(|member| Member {
        group: &group.group,
        client_id: &member.client_id,
        host: &member.host,
    })
}

fn group<'t>(standing: &'t GroupStanding, gauges: &Gauges<'_>) -> Group<'t> {
    let own = |name| {
        gauges
            .get(name, &[("group", &standing.group)])
            .map(|value| value as i64)
    };
    Group {
        group: &standing.group,
        state: &standing.state,
        lag: lag(standing),
        in_flight: own("millrace_in_flight"),
        waiting_for_limits: own("millrace_waiting_for_limits"),
        partitions: standing
            .partitions
            .iter()
            .map(|partition| group_partition(&standing.group, partition, gauges))
            .collect(),
    }
}

fn group_partition<'t>(group: &str, standing: &'t PartitionStanding, gauges: &Gauges<'_>) -> GroupPartition<'t> {
    let number = standing.partition.partition.to_string();
    let labels = [
        ("group", group),
        ("topic", &*standing.partition.topic),
        ("partition", number.as_str()),
    ];
    let own = |name| gauges.get(name, &labels);
    let committed: Option<&CommittedStanding> = standing.committed.as_ref().ok().and_then(Option::as_ref);
    let here = own("millrace_partition_owned") == Some(1.0);
    let if_here = |name| own(name).filter(|_| here).map(|value| value as i64);
    let oldest = match (
        if_here("millrace_oldest_open_offset"),
        if_here("millrace_oldest_open_timestamp_ms"),
    ) {
        (Some(offset), Some(at)) if at > 0 => Some(Oldest {
            offset,
            at: Timestamp::from_millis(at),
        }),
        _ => None,
    };
    GroupPartition {
        topic: &standing.partition.topic,
        partition: standing.partition.partition,
        owner: committed.and_then(|it| it.writer.as_deref()),
        here,
        watermark: committed.map(|it| it.watermark),
        highest_done: committed.map(|it| it.highest_done),
        done_above: committed.map(|it| it.done_above),
        log_end: standing.log_end,
        lag: partition_lag(standing),
        commits: committed.map(|it| it.seq),
        window: if_here("millrace_window_offsets"),
        in_flight: if_here("millrace_partition_in_flight"),
        ledger: if_here("millrace_ledger_results"),
        oldest,
        problem: standing.committed.as_ref().err().map(String::as_str),
    }
}

fn limits<'t>(gauges: &Gauges<'t>) -> Vec<Limit<'t>> {
    let calls = gauges.by_label("millrace_model_calls_in_flight", "provider");
    let waiting = gauges.by_label("millrace_model_calls_waiting", "provider");
    let names: BTreeSet<&str> = calls.iter().chain(&waiting).map(|(name, _)| *name).collect();
    let of = |list: &[(&str, f64)], name: &str| {
        list.iter()
            .find(|(it, _)| *it == name)
            .map_or(0, |(_, value)| *value as i64)
    };
    names
        .into_iter()
        .map(|provider| Limit {
            provider,
            in_flight: of(&calls, provider),
            waiting: of(&waiting, provider),
        })
        .collect()
}

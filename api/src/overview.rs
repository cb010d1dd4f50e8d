//! Roles, instances, partitions, parts and limits in one picture: `Health` of `schemas/openapi.json`.

mod group;
mod instance;

use std::collections::BTreeMap;

use schemas::{Instance, Timestamp};
use serde::Serialize;
use topics::standing::GroupStanding;

use crate::{
    api::Api,
    cluster::Look,
    gauges::Gauges,
    health::{Health, Readiness},
    history::Unrecorded,
    instance::report,
    instances::Heard,
    run::rfc_3339_of,
};
use group::Group;
use instance::{Limit, Process, RecorderTopic, Seen};

const KNOWN_FROM: [(&str, &str); 8] = [
    ("instance", "this process"),
    (
        "instances",
        "what each process says of itself every two seconds; one that has missed three reports is not alive, and is \
         forgotten after five minutes",
    ),
    ("parts", "asked by this process just now"),
    ("members", "the group coordinator: every process that is in a group"),
    (
        "groups",
        "committed offsets and their metadata, at most a second old; the rest from the reports of the instances that \
         are alive",
    ),
    ("limits and recorder", "the reports of the instances that are alive"),
    ("unrecorded", "Postgres, asked just now"),
    ("waiters and readers", "this process"),
];

/// What is seen, to be told.
pub(crate) struct Picture {
    own: Instance,
    others: Vec<Heard>,
    look: Look,
    parts: Vec<Part>,
    unrecorded: Option<Unrecorded>,
    is_ready: bool,
    waiters: i64,
    readers: usize,
}

#[derive(Serialize)]
pub(crate) struct Overview<'t> {
    status: &'static str,
    #[serde(serialize_with = "rfc_3339_of")]
    at: Timestamp,
    instance: Process<'t>,
    instances: Vec<Seen<'t>>,
    parts: &'t [Part],
    members: Vec<Member<'t>>,
    groups: Vec<Group<'t>>,
    limits: Vec<Limit<'t>>,
    recorder: Vec<RecorderTopic<'t>>,
    unrecorded: Option<Unrecorded>,
    waiters: i64,
    readers: usize,
    known_from: BTreeMap<&'static str, &'static str>,
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

impl Picture {
    pub async fn take(api: &Api, health: &Health) -> Self {
        let (look, unrecorded) = tokio::join!(api.cluster.look(), api.history.unrecorded());
        let waiters = Gauges::of(&health.metrics.render()).sum("millrace_waiters");
        Self {
            own: report(health),
            others: api.instances.others(&health.identity.id),
            parts: parts(api, &look, unrecorded.as_ref().err().cloned()),
            look,
            unrecorded: unrecorded.ok(),
            is_ready: api.ready.borrow().is_ok(),
            waiters: waiters.unwrap_or_default(),
            readers: api.open_streams(),
        }
    }

    pub fn overview(&self) -> Overview<'_> {
        let alive: Vec<&Instance> = std::iter::once(&self.own)
            .chain(
                self.others
                    .iter()
                    .filter(|other| other.is_alive())
                    .map(|other| &*other.report),
            )
            .collect();
        let groups = self.look.as_deref().unwrap_or_default();
        let instance = Process::of(&self.own);
        let is_well = instance.roles.iter().all(|role| role.ready) && self.parts.iter().all(|part| part.ok);
        let is_whole = self.unrecorded.is_none_or(Unrecorded::is_nothing);
        Overview {
            status: match (self.is_ready, is_well && is_whole) {
                (false, _) => "down",
                (true, false) => "degraded",
                (true, true) => "ok",
            },
            at: Timestamp::now(),
            instance,
            instances: instance::seen(&self.own, &self.others),
            parts: &self.parts,
            members: groups.iter().flat_map(members).collect(),
            groups: groups.iter().map(|standing| Group::of(standing, &alive)).collect(),
            limits: instance::limits(&alive),
            recorder: instance::recorder(&alive),
            unrecorded: self.unrecorded,
            waiters: self.waiters,
            readers: self.readers,
            known_from: KNOWN_FROM.into(),
        }
    }
}

fn parts(api: &Api, look: &Look, postgres: Option<String>) -> Vec<Part> {
    let part = |name, trouble: Option<String>| Part {
        name,
        ok: trouble.is_none(),
        detail: trouble,
    };
    let of = |watched: &Readiness| watched.borrow().as_ref().err().cloned();
    vec![
        part("broker", look.as_ref().err().cloned()),
        part("registry", of(&api.encodes)),
        part("postgres", postgres),
        part("results", of(&api.results)),
        part("chains", of(&api.chains_known)),
        part("instances", of(&api.instances_known)),
    ]
}

fn members(group: &GroupStanding) -> impl Iterator<Item = Member<'_>> {
    group.members.iter().map(|member| Member {
        group: &group.group,
        client_id: &member.client_id,
        host: &member.host,
    })
}

//! What the judge of fault runs says about the rows.

use std::{collections::BTreeMap, fs};

use testkit::chaos::{
    Plan, RunFolder,
    check::{Check, Isolation, gather, judge},
};

use crate::world::World;

/// Where Postgres does not say what the topics say.
pub async fn mismatches(world: &World) -> Vec<String> {
    let kept = tempfile::tempdir().unwrap();
    let folder = RunFolder::at(kept.path());
    let plan = Plan {
        seed: 0,
        seconds: 0,
        rate: 0,
        brokers: 1,
        bootstrap: world.kafka.bootstrap_servers.clone(),
        registry_url: world.registry_url.clone(),
        postgres_url: world.postgres_url.clone(),
        prefix: world.kafka.prefix.clone(),
        group: world.kafka.group("orchestrator"),
        request_topics: ["requests", "requests.interactive"]
            .map(|name| world.kafka.topic(name))
            .to_vec(),
        emits: BTreeMap::new(),
        session_timeout_ms: 0,
        transaction_timeout_ms: 0,
    };
    fs::write(folder.plan(), serde_json::to_vec(&plan).unwrap()).unwrap();
    fs::write(folder.faults(), "").unwrap();
    fs::write(folder.reader(), "").unwrap();
    let verdict = judge(&gather(&folder, Isolation::ReadCommitted).await.unwrap());
    let of_postgres = verdict
        .violations
        .into_iter()
        .filter(|violation| violation.check == Check::Postgres);
    of_postgres.map(|violation| violation.what).collect()
}

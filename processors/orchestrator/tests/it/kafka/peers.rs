use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use models::Models;
use orchestrator::Resources;
use schemas::{Instance, InstanceChain, InstanceRole, Request, status};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use topics::{Headers, Output, Producer, ProducerSettings, engine::EngineTuning};

use super::world::{Running, World};
use crate::resources::resources;

/// A chain that names a model which only the newer models file has.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let chain = "apiVersion: chain/v1\nkind: Chain\nmetadata: {name: fresh, version: 1}\ninput: {schema: {}}\n\
                 steps: [{id: a, chat: {model: fresh, messages: [{role: user, content: hello}]}}]\n\
                 output: {value: \"{{ steps.a.text }}\"}\n";
    fs::write(folder.path().join("fresh.yaml"), chain).unwrap();
    folder
}

fn newer() -> Resources {
    let file = format!(
        "{}\n  fresh: {{provider: local, model: extractive}}\n",
        models::DEFAULT_FILE
    );
    Resources {
        models: Arc::new(Models::load(&file, "models.yaml").unwrap()),
        ..resources()
    }
}

fn start(world: &World, chains: PathBuf, resources: Resources) -> Running {
    world.start_tuned(chains, world.registry.clone(), resources, EngineTuning::default())
}

/// Another process, which says twice a second what it cannot run.
async fn reporting(world: &World, unusable: &[&str]) -> JoinHandle<()> {
    let topic = world.kafka.topic("instances");
    let encoder = world.registry.encoder::<Instance>(&topic).await.unwrap();
    let producer = Producer::new(&world.kafka, ProducerSettings::new("peer")).unwrap();
    let report = Instance {
        instance_id: "peer".to_owned(),
        // A machine that stands still for a moment does not make it one that is gone.
        interval_ms: 20_000,
        roles: vec![InstanceRole {
            name: "orchestrator".to_owned(),
            trouble: None,
        }],
        unusable_chains: unusable
            .iter()
            .map(|chain| InstanceChain {
                chain: (*chain).to_owned(),
            })
            .collect(),
        ..Instance::default()
    };
    let output = Output {
        topic,
        key: Some("peer".into()),
        value: Some(encoder.encode(&report).unwrap()),
        ..Output::default()
    };
    producer.send(output.clone()).await.unwrap();
    tokio::spawn(async move {
        let mut beat = tokio::time::interval(Duration::from_millis(500));
        loop {
            beat.tick().await;
            producer.send(output.clone()).await.unwrap();
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_deployment_rolls_a_chain_of_the_new_ones_waits_for_them() {
    let mut world = World::new("orchestrator-rolling").await;
    let chains = folder();
    let mut new = start(&world, chains.path().to_owned(), newer());
    new.ready().await;
    new.stop().await;
    let nothing = tempfile::tempdir().unwrap();
    let mut old = start(&world, nothing.path().to_owned(), resources());
    old.ready().await;
    let request = Request {
        chain: "fresh".to_owned(),
        ..Request::default()
    };

    // Nobody else can: it is known at once.
    let peer = reporting(&world, &["fresh@1"]).await;
    let src = world.ask(&request, Headers::new()).await;
    let error = world.committed(&src).await.result.error.unwrap();
    assert_eq!(error.class, "unusable_chain");
    peer.abort();

    // Somebody can: the old process leaves it to whom it gives its partitions.
    let peer = reporting(&world, &[]).await;
    // What it saw is believed for two seconds, and nobody outside can see when it looks again.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let src = world.ask(&request, Headers::new()).await;
    let mut new = start(&world, chains.path().to_owned(), newer());
    new.ready().await;
    old.stop().await;
    let result = world.committed(&src).await.result;
    assert_eq!(result.status, status::COMPLETED, "{:?}", result.error);
    peer.abort();
    new.stop().await;
}

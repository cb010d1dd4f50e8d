//! A recorder in a process of its own, so that it can die or sleep: this very test binary, started again with one test.

use std::{env, time::Duration};

use testkit::{Launch, Process};

use crate::{
    stories::small_batches,
    world::{SOON, World},
};

const STORY: &str = "RECORDER_WORKER";

/// `crash_point` as in `recorder_written:3`; empty: it lives.
pub fn start(world: &World, crash_point: &str) -> Process {
    let told = [
        &world.kafka.bootstrap_servers,
        &world.registry_url,
        &world.kafka.prefix,
        &world.postgres_url,
    ];
    let told = told.map(String::as_str).join(" ");
    let log = env::temp_dir().join(format!("{}worker.log", world.kafka.prefix));
    Launch::new("recorder", env::current_exe().unwrap(), log)
        .args(["--exact", "worker::a_worker", "--nocapture"])
        .env(STORY, told)
        .env("CRASH_POINT", crash_point)
        .start()
        .unwrap()
}

/// Waits until it died where it was told to.
pub async fn dies(mut process: Process) {
    process.line("crash point: ", SOON).await.unwrap();
    process.ended(SOON).await.unwrap();
}

/// Not a test but a recorder, when another test has started it.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker() {
    let Ok(told) = env::var(STORY) else { return };
    let told: Vec<&str> = told.split(' ').collect();
    let [bootstrap, registry_url, prefix, postgres_url] = told[..] else {
        panic!("{told:?}")
    };
    let world = World::again(bootstrap, registry_url, prefix, postgres_url);
    let mut running = world.recorder(small_batches());
    running.until_ready().await;
    // It is killed before.
    tokio::time::sleep(Duration::from_secs(300)).await;
}

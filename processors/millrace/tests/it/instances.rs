//! Two workers and an api: it answers for both, sees one killed and the other one take over, and one leave in order.

use std::collections::BTreeSet;

use serde_json::Value;
use testkit::until;

use crate::world::{Running, SOON, World, get};

#[tokio::test(flavor = "multi_thread")]
async fn one_api_answers_for_every_process() {
    let world = World::new("instances").await;
    let api = world.start("api", "api").await;
    let first = world.start("first", "orchestrator").await;
    let second = world.start("second", "orchestrator").await;

    let both = seen(&api, |health| owners(health).is_some_and(|owners| owners.len() == 2)).await;
    let pids: BTreeSet<u64> = processes(&both).filter_map(|it| it["pid"].as_u64()).collect();
    for running in [&api, &first, &second] {
        assert!(pids.contains(&u64::from(running.process.pid())), "{both:#}");
    }
    for partition in partitions(&both) {
        assert!(
            partition["window"].is_i64() && partition["here"] == false,
            "{partition:#}"
        );
    }
    let id = |running: &Running| {
        let pid = running.process.pid();
        let process = processes(&both).find(|it| it["pid"] == pid).unwrap();
        process["id"].as_str().unwrap().to_owned()
    };
    let (killed, heir) = (id(&second), id(&first));

    second.process.kill().unwrap();
    // The group and the reports tell of a death each in its own time, and either may be the first.
    let gone = |health: &Value| processes(health).all(|it| it["id"] != killed.as_str() || it["alive"] == false);
    seen(&api, |health| {
        gone(health) && owners(health) == Some(BTreeSet::from([heir.as_str()]))
    })
    .await;

    let exit = first.process.stop(SOON).await.unwrap();
    assert!(exit.success(), "{exit}");
    let deserted = seen(&api, |health| processes(health).all(|it| it["id"] != heir.as_str())).await;
    assert!(partitions(&deserted).all(|it| it["window"].is_null()), "{deserted:#}");
}

async fn seen(api: &Running, is_it: impl Fn(&Value) -> bool) -> Value {
    let url = format!("{}/health", api.url);
    let health = async || get(&url).await.unwrap().json::<Value>().await.unwrap();
    let look = async || Some(health().await).filter(|health| is_it(health));
    match until(SOON, look).await {
        Ok(health) => health,
        Err(late) => panic!("{late}: {:#}\n{}", health().await, api.log()),
    }
}

fn processes(health: &Value) -> impl Iterator<Item = &Value> {
    health["instances"].as_array().unwrap().iter()
}

fn partitions(health: &Value) -> impl Iterator<Item = &Value> {
    let groups = health["groups"].as_array().unwrap().iter();
    let orchestrator = groups.filter(|group| group["group"].as_str().unwrap().ends_with("orchestrator"));
    orchestrator.flat_map(|group| group["partitions"].as_array().unwrap())
}

/// The instances that own the partitions; none while one has no owner.
fn owners(health: &Value) -> Option<BTreeSet<&str>> {
    let owners: Option<BTreeSet<&str>> = partitions(health).map(|it| it["instance"].as_str()).collect();
    owners.filter(|owners| !owners.is_empty())
}

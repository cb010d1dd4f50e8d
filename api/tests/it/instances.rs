//! One api answers for every process: what the others report, that one has left, and that one says nothing any more.

use std::time::{Duration, Instant};

use metrics::gauge;
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::{Value, json};
use testkit::until;
use tokio::sync::watch;

use crate::{
    SOON,
    running::Api,
    stage::{Stage, Start},
};

#[tokio::test(flavor = "multi_thread")]
async fn each_instance_answers_for_all_of_them() {
    let stage = Stage::set("api-instances").await;
    let api = stage.start(Start::default()).await;
    let alone = seen(&api, |health| health["parts"][5]["ok"] == true).await;
    assert_eq!(alone["instances"].as_array().unwrap().len(), 1);
    let own = &alone["instances"][0];
    assert_eq!(
        (&own["here"], &own["alive"], &own["id"]),
        (&json!(true), &json!(true), &alone["instance"]["id"])
    );
    assert!(!own["host"].as_str().unwrap().is_empty());
    assert_eq!(window(&alone, 3), [json!(null), json!(null), json!(null), json!(null)]);

    let other = PrometheusBuilder::new().build_recorder();
    let group = stage.topic("orchestrator");
    let labels = [
        ("group", group.clone()),
        ("topic", stage.topic("requests")),
        ("partition", "3".to_owned()),
    ];
    metrics::with_local_recorder(&other, || {
        gauge!("millrace_in_flight", "group" => group.clone()).set(5.0);
        gauge!("millrace_waiting_for_limits", "group" => group.clone()).set(2.0);
        gauge!("millrace_partition_owned", &labels).set(1.0);
        gauge!("millrace_window_offsets", &labels).set(16_384.0);
        gauge!("millrace_partition_in_flight", &labels).set(5.0);
        gauge!("millrace_oldest_open_offset", &labels).set(7.0);
        gauge!("millrace_oldest_open_timestamp_ms", &labels).set(1_790_000_000_000.0);
        gauge!("millrace_partition_full_since_ms", &labels).set(1_790_000_000_500.0);
        gauge!("millrace_model_calls_waiting", "provider" => "openai", "model" => "a").set(1.0);
        gauge!("millrace_model_calls_waiting", "provider" => "openai", "model" => "b").set(2.0);
        gauge!("millrace_model_calls_in_flight", "provider" => "openai", "model" => "a").set(9.0);
        gauge!("millrace_model_calls_concurrency", "provider" => "openai").set(64.0);
        gauge!("millrace_recorder_lag_seconds", "topic" => "results").set(0.5);
    });
    let (_ready, is_ready) = watch::channel(Err("waiting for the brokers".to_owned()));
    let report = stage.report(vec![("orchestrator", is_ready)], other.handle());

    let both = seen(&api, |health| window(health, 3)[1] == 16_384).await;
    let neighbour = &both["instances"][1];
    assert_eq!((&neighbour["here"], &neighbour["alive"]), (&json!(false), &json!(true)));
    assert_eq!(
        neighbour["roles"],
        json!([{"name": "orchestrator", "ready": false, "reason": "waiting for the brokers"}])
    );
    assert_eq!(
        neighbour["groups"],
        json!([{"group": group, "in_flight": 5, "waiting_for_limits": 2}])
    );
    assert_eq!(
        window(&both, 3),
        [
            neighbour["id"].clone(),
            json!(16_384),
            json!({"offset": 7, "at": "2026-09-21T14:13:20.000000Z"}),
            json!("2026-09-21T14:13:20.500000Z"),
        ]
    );
    assert_eq!(window(&both, 4)[0], json!(null));
    let of_group = &both["groups"][0];
    assert_eq!(
        (&of_group["in_flight"], &of_group["waiting_for_limits"]),
        (&json!(5), &json!(2))
    );
    assert_eq!(
        both["limits"],
        json!([{"provider": "openai", "in_flight": 9, "waiting": 3, "concurrency": 64}])
    );
    assert_eq!(both["recorder"], json!([{"topic": "results", "lag_seconds": 0.5}]));

    report.killed();
    let silent = seen(&api, |health| health["instances"][1]["alive"] == false).await;
    assert_eq!(
        window(&silent, 3)[1],
        json!(null),
        "what a dead one said last is not how it stands"
    );
    assert_eq!(
        (&silent["limits"], &silent["groups"][0]["in_flight"]),
        (&json!([]), &json!(null))
    );

    let (_ready, is_ready) = watch::channel(Ok(()));
    let successor = stage.report(vec![("orchestrator", is_ready)], other.handle());
    let three = seen(&api, |health| health["instances"].as_array().unwrap().len() == 3).await;
    assert_eq!(window(&three, 3)[1], 16_384);
    successor.left().await;
    seen(&api, |health| health["instances"].as_array().unwrap().len() == 2).await;

    // an api that comes later knows at once who is alive, and who is not
    let second = stage.start(Start::default()).await;
    let late = seen(&second, |health| health["parts"][5]["ok"] == true).await;
    let alive: Vec<&Value> = late["instances"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["alive"])
        .collect();
    assert_eq!(alive, [true, false], "{late:#}");
    api.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_are_away_do_not_keep_a_process_from_ending() {
    let stage = Stage::set("api-instances-away").await;
    let metrics = PrometheusBuilder::new().build_recorder().handle();
    let mut report = stage.report_without_brokers(metrics);
    // longer than a report has to be written
    report.goes_on_for(Duration::from_secs(5)).await;
    let leaving = Instant::now();
    report.left().await;
    assert!(leaving.elapsed() < Duration::from_secs(20), "{:?}", leaving.elapsed());
}

async fn seen(api: &Api, is_it: impl Fn(&Value) -> bool) -> Value {
    let look = async || {
        let health = api.get("/health").await.body;
        is_it(&health).then_some(health)
    };
    match until(SOON, look).await {
        Ok(health) => health,
        Err(late) => panic!("{late}: {:#}", api.get("/health").await.body),
    }
}

/// Instance, window, oldest lane and full since, of a partition of `requests`.
fn window(health: &Value, partition: i32) -> [Value; 4] {
    let mut partitions = health["groups"][0]["partitions"].as_array().unwrap().iter();
    let found =
        partitions.find(|it| it["partition"] == partition && it["topic"].as_str().unwrap().ends_with(".requests"));
    ["instance", "window", "oldest", "full_since"].map(|name| found.unwrap()[name].clone())
}

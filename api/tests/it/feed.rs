//! The live feed: results as they commit, filters, coming back, and readers that do not keep up.

use schemas::{RunError, RunResult, Usage, status};
use serde_json::json;

use crate::{
    events::Events,
    running::Api,
    stage::{Stage, Start},
};

fn names(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("run-{number:05}")).collect()
}

async fn commit(stage: &Stage, numbers: std::ops::Range<usize>) {
    stage
        .commit(names(numbers).into_iter().map(|id| (Some("k"), Stage::result_of(&id))))
        .await;
}

async fn open(api: &Api, path: &str, last_id: &str) -> Events {
    let events = Events::open(api.address, path, last_id).await;
    assert_eq!(events.status(), 200, "{}", events.head);
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_shows_as_it_commits_to_those_who_want_it() {
    let stage = Stage::set("api-feed").await;
    let api = stage.start(Start::default()).await;

    let mut all = open(&api, "/feed", "").await;
    assert!(all.head.contains("content-type: text/event-stream"));
    assert!(all.head.contains("cache-control: no-store") && all.head.contains("x-accel-buffering: no"));
    assert_eq!(all.expect("ready").await, json!({"resumed": false}));
    let mut failed = open(&api, "/feed?status=failed&chain=other", "").await;
    let mut keyed = open(&api, "/feed?key=k2&chain=echo@1", "").await;
    let mut acme = open(&api, "/feed?tenant=acme", "").await;
    for filtered in [&mut failed, &mut keyed, &mut acme] {
        filtered.expect("ready").await;
    }
    assert_eq!(
        Events::open(api.address, "/feed?status=queued&recent=-1", "")
            .await
            .status(),
        422
    );

    let plain = RunResult {
        usage: Usage {
            input_tokens: 3,
            output_tokens: 4,
            source: "reported".to_owned(),
        },
        output: Some(json!({"answer": "A lane.\nMore"}).to_string()),
        ..Stage::result_of("plain")
    };
    let wrong = RunResult {
        status: status::FAILED.to_owned(),
        chain: Some("other@2#d".to_owned()),
        error: Some(RunError {
            class: "timeout".to_owned(),
            message: "too slow".to_owned(),
            step: None,
        }),
        ..Stage::result_of("wrong")
    };
    let foreign = RunResult {
        tenant: "acme".to_owned(),
        ..Stage::result_of("foreign")
    };
    stage.commit([(Some("k1"), plain)]).await;
    let row = all.expect("result").await;
    assert_eq!(
        (&row["id"], &row["key"], &row["preview"]),
        (&json!("plain"), &json!("k1"), &json!("A lane."))
    );
    assert_eq!((&row["chain"], &row["input_tokens"]), (&json!("echo@1#abc"), &json!(3)));
    assert!(row["latency_us"].is_i64() && row["completed_at"].is_string() && row["offset"].is_i64());

    stage
        .commit([
            (Some("k1"), wrong),
            (None, foreign),
            (Some("k2"), Stage::result_of("second")),
        ])
        .await;
    assert_eq!(all.results(2).await, ["second", "wrong"], "and not another tenant's");
    let row = failed.expect("result").await;
    assert_eq!(
        (&row["id"], &row["error_class"], &row["preview"]),
        (&json!("wrong"), &json!("timeout"), &json!("too slow"))
    );
    assert_eq!(keyed.results(1).await, ["second"]);
    assert_eq!(acme.expect("result").await["key"], json!(null));

    let mut late = open(&api, "/feed?recent=4&status=completed", "").await;
    late.expect("ready").await;
    assert_eq!(
        late.results(2).await,
        ["plain", "second"],
        "of the last four results, those that are wanted"
    );
    api.shutdown.cancel();
    while let Some(event) = all.next().await {
        assert_eq!(event.name, "position", "streams end with the process, at once");
    }
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_gets_every_result_once_from_whichever_instance() {
    let stage = Stage::set("api-resume").await;
    let first = stage.start(Start::default()).await;
    let mut reader = open(&first, "/feed", "").await;
    reader.expect("ready").await;
    commit(&stage, 0..20).await;
    assert_eq!(reader.results(20).await, names(0..20));

    let seen = reader.last_id.clone();
    drop(reader);
    commit(&stage, 20..40).await;
    let mut reader = open(&first, "/feed", &seen).await;
    assert_eq!(reader.expect("ready").await, json!({"resumed": true}));
    let mut got = reader.results(10).await;
    let seen = reader.last_id.clone();
    drop(reader);
    first.stop().await;

    commit(&stage, 40..60).await;
    let second = stage.start(Start::default()).await;
    let mut reader = open(&second, "/feed", &seen).await;
    assert_eq!(reader.expect("ready").await, json!({"resumed": true}));
    commit(&stage, 60..70).await;
    got.extend(reader.results(40).await);
    got.sort();
    assert_eq!(got, names(20..70), "nothing lost, nothing twice");

    let other = stage.start(Start::default()).await;
    let mut elsewhere = open(&other, "/feed", &reader.last_id).await;
    assert_eq!(elsewhere.expect("ready").await, json!({"resumed": true}));
    commit(&stage, 70..71).await;
    assert_eq!(elsewhere.results(1).await, names(70..71));

    // Offset 2,097,150 of partition 0, and what was never given out.
    for foreign in ["Af__fw", "nonsense"] {
        let mut lost = open(&other, "/feed", foreign).await;
        assert_eq!(lost.expect("ready").await, json!({"resumed": false}));
        assert_eq!(lost.expect("gap").await, json!({"missed": null, "reason": "old"}));
    }
    other.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_left_the_ring_comes_from_postgres_once_it_is_there() {
    let stage = Stage::set("api-replay").await;
    let start = Start {
        ring_results: 10,
        ..Start::default()
    };
    let api = stage.start(start).await;
    let mut reader = open(&api, "/feed", "").await;
    reader.expect("ready").await;
    commit(&stage, 0..6).await;
    assert_eq!(reader.results(6).await, names(0..6));
    commit(&stage, 6..12).await;
    assert_eq!(reader.results(6).await, names(6..12));
    let seen = reader.last_id.clone();

    let mut away = Vec::new();
    for batch in 0..5 {
        let numbers = 12 + batch * 6..18 + batch * 6;
        commit(&stage, numbers.clone()).await;
        for _ in numbers {
            away.push(reader.expect("result").await);
        }
    }
    let mut lost = open(&api, "/feed", &seen).await;
    assert_eq!(
        lost.expect("ready").await,
        json!({"resumed": false}),
        "not recorded yet"
    );
    assert_eq!(lost.expect("gap").await["reason"], "old");

    let results = stage.topic("results");
    for row in &away {
        let [id, src, status] = ["id", "src", "status"].map(|name| row[name].as_str().unwrap());
        stage
            .sql(&format!(
                "INSERT INTO runs (tenant, request_id, turn, accepted_at, status, chain, result_src, output, completed_at,
                                   result_partition, result_offset)
                 VALUES ('default', '{id}', 0, '{}', '{status}', 'echo@1#abc', '{src}', '\"done\"', '{}', {}, {})",
                row["accepted_at"].as_str().unwrap(),
                row["completed_at"].as_str().unwrap(),
                row["partition"],
                row["offset"],
            ))
            .await;
    }
    stage
        .sql(&format!(
            "INSERT INTO consumer_positions SELECT '{results}', part, 1000 FROM generate_series(0, 5) AS part"
        ))
        .await;
    let mut back = open(&api, "/feed", &seen).await;
    assert_eq!(back.expect("ready").await, json!({"resumed": true}));
    let mut got = Vec::new();
    for _ in 0..7 {
        got.push(back.expect("result").await["id"].as_str().unwrap().to_owned());
    }
    let again = back.last_id.clone();
    drop(back);
    let mut back = open(&api, "/feed", &again).await;
    assert_eq!(back.expect("ready").await, json!({"resumed": true}));
    commit(&stage, 42..43).await;
    got.extend(back.results(24).await);
    got.sort();
    assert_eq!(got, names(12..43), "nothing lost, nothing twice");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_keep_up_is_told_what_it_missed_and_holds_up_nobody() {
    const RESULTS: usize = 6_000;
    let stage = Stage::set("api-stalled").await;
    let start = Start {
        ring_results: 100,
        ..Start::default()
    };
    let api = stage.start(start).await;
    let mut stalled = open(&api, "/feed", "").await;
    let mut quick = open(&api, "/feed", "").await;
    stalled.expect("ready").await;
    quick.expect("ready").await;

    let mut seen = 0;
    for batch in 0..RESULTS / 50 {
        commit(&stage, batch * 50..(batch + 1) * 50).await;
        seen += quick.results(50).await.len();
    }
    assert_eq!(seen, RESULTS, "the other one saw all of them");

    let (mut rows, mut missed) = (0, 0);
    let mut bytes_before = None;
    while rows + missed < RESULTS {
        let event = stalled.next().await.unwrap();
        if event.name == "gap" {
            assert_eq!(event.data["reason"], "slow");
            missed += event.data["missed"].as_u64().unwrap() as usize;
            bytes_before.get_or_insert(stalled.bytes);
        } else if event.name == "result" {
            rows += 1;
        }
    }
    let bytes_before = bytes_before.expect("nothing was missed: the reader was buffered for");
    println!("a stalled reader: {rows} rows, {missed} missed, {bytes_before} bytes held for it");
    assert_eq!(rows + missed, RESULTS);
    assert!(
        bytes_before < 1_500_000,
        "{bytes_before} bytes were held for one reader"
    );
    commit(&stage, RESULTS..RESULTS + 1).await;
    assert_eq!(stalled.results(1).await, names(RESULTS..RESULTS + 1), "and it goes on");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_nothing_of_what_goes_by_hears_how_far_it_has_come() {
    let stage = Stage::set("api-others").await;
    let api = stage.start(Start::default()).await;
    let mut nothing = open(&api, "/feed?key=none", "").await;
    nothing.expect("ready").await;
    let began = nothing.last_id.clone();
    let others = async {
        for number in 0.. {
            commit(&stage, number..number + 1).await;
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        position = nothing.expect("position") => assert_eq!(position, json!({})),
        () = others => {}
    }
    assert_ne!(nothing.last_id, began, "who comes back does not begin at the old place");
    api.stop().await;
}

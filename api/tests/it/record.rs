//! One record of a run, as it lies in Kafka: its request, its result, its audit, the one that became a dead letter; and no
//! record of anybody else.

use schemas::{Audit, audit_kind};
use serde_json::json;
use topics::{Headers, Output};

use crate::{
    running::Api,
    stage::{Stage, Start},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_records_of_a_run_are_shown_one_by_one() {
    let stage = Stage::set("api-record").await;
    let api = stage.start(Start::default()).await;
    let body = json!({"chain": "echo", "input": {"n": 7}, "key": "customer-7"});
    let posted = api.post("/runs", &body).await;
    let id = posted.body["id"].as_str().unwrap().to_owned();
    let asked = stage.next_request().await;
    stage.answer(&asked, Stage::completed()).await;
    assert_eq!(
        api.get(&format!("/runs/{id}?wait=10s")).await.body["status"],
        "completed"
    );
    let audit = Audit {
        kind: audit_kind::RUN.to_owned(),
        request_id: id.clone(),
        ..Audit::default()
    };
    let audit = stage.write("audit", &audit).await;
    let garbage = Output {
        value: Some(b"\xff no Avro".to_vec().into()),
        headers: Headers::new().with("who", "a stranger"),
        ..Output::default()
    };
    let garbage = stage.send("requests", garbage).await;
    let plain = Output {
        value: Some(r#"{"its owner": "writes JSON"}"#.into()),
        ..Output::default()
    };
    let plain = stage.send("requests", plain).await;
    record_all(&stage, &id, &asked.record.src(), &audit, &[&garbage, &plain]).await;

    let listed = api.get(&format!("/runs/{id}/records")).await.body;
    let records = listed["records"].as_array().unwrap();
    assert_eq!(records.len(), 5, "{listed:#}");
    let place = |what: &str| {
        let record = records.iter().find(|record| record["what"] == what).unwrap();
        format!(
            "{}/{}/{}",
            record["topic"].as_str().unwrap(),
            record["partition"],
            record["offset"]
        )
    };

    let request = show(&api, &id, &asked.record.src()).await;
    assert_eq!(request["schema"], "millrace.Request");
    assert_eq!(request["key"], "customer-7");
    assert_eq!(request["value"]["input"], r#"{"n":7}"#);
    assert_eq!(request["bytes"], json!(null));
    assert_eq!(request["offset"], asked.record.offset);
    assert_eq!(request["size"], asked.record.value.as_ref().unwrap().len());
    assert!(request["timestamp"].as_str().unwrap().ends_with('Z'));
    let headers = request["headers"].as_array().unwrap();
    assert!(
        headers.contains(&json!({"name": "request-id", "value": id})),
        "{headers:?}"
    );

    let result = show(&api, &id, &place("result")).await;
    assert_eq!(
        (
            &result["schema"],
            &result["value"]["request_id"],
            &result["value"]["status"]
        ),
        (&json!("millrace.Result"), &json!(id), &json!("completed"))
    );
    assert!(
        result["value"]["completed_at"].as_str().unwrap().ends_with('Z'),
        "{result:#}"
    );
    assert_eq!(show(&api, &id, &audit).await["schema"], "millrace.Audit");

    let poison = show(&api, &id, &garbage).await;
    assert_eq!(
        (&poison["schema"], &poison["value"], &poison["bytes"], &poison["size"]),
        (&json!(null), &json!(null), &json!("/yBubyBBdnJv"), &json!(9))
    );
    assert_eq!(poison["headers"], json!([{"name": "who", "value": "a stranger"}]));
    assert_eq!(
        show(&api, &id, &plain).await["value"],
        json!({"its owner": "writes JSON"})
    );
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_places_are_refused_and_what_is_gone_says_so() {
    let stage = Stage::set("api-record-gone").await;
    let api = stage.start(Start::default()).await;
    let foreign = stage
        .send(
            "requests",
            Output {
                value: Some("secret".into()),
                ..Output::default()
            },
        )
        .await;
    let never = format!("{}/0/4711", stage.topic("requests"));
    let audit = format!("{}/0/0", stage.topic("audit"));
    record_all(&stage, "order-1", &never, &audit, &[]).await;

    for elsewhere in [foreign.as_str(), "x/y/z", "requests/-1/-1", &format!("{never}0")] {
        let refused = api.get(&format!("/runs/order-1/records/{elsewhere}")).await;
        assert_eq!(
            (refused.status, &refused.body["type"]),
            (404, &json!("urn:problem-type:millrace:no-record")),
            "{elsewhere}"
        );
        let detail = refused.body["detail"].as_str().unwrap();
        assert!(detail.contains("/runs/order-1/records lists"), "{detail}");
    }
    let gone = api.get(&format!("/runs/order-1/records/{never}")).await;
    assert_eq!(
        (gone.status, &gone.body["type"]),
        (404, &json!("urn:problem-type:millrace:record-deleted"))
    );
    assert!(
        gone.body["detail"]
            .as_str()
            .unwrap()
            .contains("retention or compaction deleted it")
    );
    stage.pass_requests().await;
    let unknown = api.get(&format!("/runs/order-2/records/{never}")).await;
    assert_eq!(unknown.body["type"], "urn:problem-type:millrace:unknown-run");
    api.stop().await;

    // the same tables, and brokers that are away
    let lonely = stage.start_without_brokers().await;
    let late = lonely.get(&format!("/runs/order-1/records/{never}")).await;
    assert_eq!(
        (late.status, late.header("retry-after")),
        (504, Some("2")),
        "{:#}",
        late.body
    );
    assert_eq!(late.body["retryable"], true);
    lonely.stop().await;
}

/// As the recorder would: `garbage` are requests that became dead letters.
async fn record_all(stage: &Stage, id: &str, request: &str, audit: &str, garbage: &[&String]) {
    let [_, partition, offset] = split(audit);
    stage
        .sql(&format!(
            "INSERT INTO run_index VALUES ('default', '{id}', timestamptz '2026-11-20 10:00:00Z');
             INSERT INTO runs (tenant, request_id, turn, accepted_at, request_src)
             VALUES ('default', '{id}', 0, timestamptz '2026-11-20 10:00:00Z', '{request}');
             INSERT INTO audit SELECT tenant, request_id, accepted_at, {partition}, {offset}, 'run', null, 0, '{request}',
                 'echo@1#abc', '', '', '', '', 0, 'ok', 7, 8, 'reported', 1230, 1, 2, null, 4, null, null, 'aa', 'bb',
                 '[]', 'trace', accepted_at FROM run_index WHERE request_id = '{id}'"
        ))
        .await;
    for place in garbage {
        let [topic, partition, offset] = split(place);
        stage
            .sql(&format!(
                "INSERT INTO dead_letters SELECT tenant, request_id, '{topic}', {partition}, {offset}, accepted_at, null,
                     null, '[]', 'malformed', 'no record', null, accepted_at FROM run_index WHERE request_id = '{id}'"
            ))
            .await;
    }
}

fn split(place: &str) -> [&str; 3] {
    let parts: Vec<&str> = place.split('/').collect();
    parts.try_into().unwrap()
}

async fn show(api: &Api, id: &str, place: &str) -> serde_json::Value {
    let answer = api.get(&format!("/runs/{id}/records/{place}")).await;
    assert_eq!(answer.status, 200, "{:#}", answer.body);
    answer.body
}

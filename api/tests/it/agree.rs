//! All doors tell of the same run, while the recorder is away and when it is back: none of them goes back.

use schemas::{RunResult, status};
use serde_json::{Value, json};

use crate::{
    running::Api,
    stage::{Asked, Stage, Start},
};

/// How far a run is; `None`: the door does not say, or does not know it yet.
fn rank(turn: i64, status: &str) -> Option<i64> {
    let within = match status {
        "queued" => 0,
        "in_progress" => 1,
        "completed" | "interrupted" => 2,
        other => panic!("the run is never {other}"),
    };
    Some(turn * 3 + within)
}

fn of(run: &Value) -> Option<i64> {
    rank(run["turn"].as_i64()?, run["status"].as_str()?)
}

/// What each door said last of one run.
struct Doors<'s> {
    stage: &'s Stage,
    id: String,
    said: [Option<i64>; 4],
}

impl Doors<'_> {
    /// Asks all four, and again the first.
    async fn ask(&mut self, api: &Api) -> [Option<i64>; 4] {
        let id = &self.id;
        let shown = api.get(&format!("/runs/{id}")).await;
        assert!([200, 503].contains(&shown.status), "{}: {:#}", shown.status, shown.body);
        let waited = api.get(&format!("/runs/{id}?wait=10ms")).await;
        let listed = api.get("/runs?limit=200").await;
        let listed = listed.body["runs"]
            .as_array()
            .unwrap()
            .iter()
            .find(|run| run["id"] == json!(id));
        let row = self
            .stage
            .ask(&format!(
                "SELECT turn || ' ' || status FROM runs WHERE request_id = '{id}' ORDER BY turn DESC LIMIT 1"
            ))
            .await;
        let row = row.and_then(|row| {
            let (turn, status) = row.split_once(' ')?;
            rank(turn.parse().unwrap(), status)
        });
        let now = [of(&shown.body), of(&waited.body), listed.and_then(of), row];
        for (door, (now, said)) in ["show", "wait", "list", "SQL"]
            .iter()
            .zip(now.iter().zip(&mut self.said))
        {
            assert!(
                now.is_none() || *now >= *said,
                "{door} goes back from {said:?} to {now:?}"
            );
            *said = now.or(*said);
        }
        now
    }
}

/// What the recorder writes of a request; with the result, if there is one.
async fn record(stage: &Stage, asked: &Asked, kind: &str, result: Option<&str>) {
    let id = asked.request.request_id.as_deref().unwrap();
    let (turn, src) = (asked.request.turn, asked.record.src());
    let ended = match result {
        Some(status) => format!("'{status}', '\"done\"', '{{}}', '{src}', now()"),
        None => "'queued', NULL, NULL, NULL, NULL".to_owned(),
    };
    stage
        .sql(&format!(
            "INSERT INTO run_index VALUES ('default', '{id}', now()) ON CONFLICT DO NOTHING;
             INSERT INTO runs (tenant, request_id, turn, accepted_at, kind, chain, request_src,
                               status, output, state, result_src, completed_at)
                 SELECT tenant, request_id, {turn}, accepted_at, '{kind}', 'echo@1#abc', '{src}', {ended}
                 FROM run_index WHERE request_id = '{id}'
             ON CONFLICT (tenant, request_id, turn, accepted_at) DO UPDATE SET
                 status = excluded.status, output = excluded.output, state = excluded.state,
                 result_src = excluded.result_src, completed_at = excluded.completed_at"
        ))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_door_goes_back_while_the_recorder_is_away() {
    let stage = Stage::set("api-agree").await;
    let start = || Start {
        ring_results: 3,
        ..Start::default()
    };
    let api = stage.start(start()).await;
    let others = async |from: usize| {
        let results = (from..from + 30).map(|number| (None, Stage::result_of(&format!("other-{number}"))));
        stage.commit(results).await;
    };
    let gone = async |api: &Api, id: &str| {
        let asked = async || Some(api.get(&format!("/runs/{id}")).await).filter(|answer| answer.status == 503);
        let gone = testkit::until(crate::SOON, asked).await;
        gone.expect("the result has left the ring, and nobody else knows it")
    };

    let begun = api.post("/runs", &json!({"chain": "echo", "input": 1})).await;
    let id = begun.body["id"].as_str().unwrap().to_owned();
    let said = [None; 4];
    let mut doors = Doors {
        stage: &stage,
        id: id.clone(),
        said,
    };
    assert_eq!(doors.ask(&api).await[0], rank(0, "queued"));

    // It ends; the recorder has its request and not its result, and the ring overflows.
    let first = stage.next_request().await;
    record(&stage, &first, "run", None).await;
    doors.ask(&api).await;
    let waits = RunResult {
        status: status::INTERRUPTED.to_owned(),
        output: Some(json!({"approvals": [{"step": "approval", "message": "?", "value": null}]}).to_string()),
        state: Some("{}".to_owned()),
        ..RunResult::default()
    };
    stage.answer(&first, waits).await;
    let waited = api.get(&format!("/runs/{id}?wait=20s")).await;
    assert_eq!(waited.body["status"], "interrupted");
    assert_eq!(
        doors.ask(&api).await,
        [
            rank(0, "interrupted"),
            rank(0, "interrupted"),
            rank(0, "queued"),
            rank(0, "queued")
        ]
    );

    // Somebody decides: from then on it is the next turn that is told of.
    let resumed = api
        .post(&format!("/runs/{id}/resume"), &json!({"approved": true}))
        .await;
    assert_eq!((resumed.status, &resumed.body["turn"]), (202, &json!(1)));
    doors.said[0] = rank(1, "queued");
    assert_eq!(doors.ask(&api).await[0], rank(1, "queued"));
    others(0).await;
    let told = gone(&api, &id).await;
    assert_eq!(told.body["type"], "urn:problem-type:millrace:history-unavailable");
    assert!(told.header("retry-after").is_some());
    doors.ask(&api).await;

    // The next turn ends as well, is told, and leaves the ring; so it is for another instance that begins now.
    let second = stage.next_request().await;
    let done = RunResult {
        turn: 1,
        ..Stage::completed()
    };
    stage.answer(&second, done).await;
    let waited = api.get(&format!("/runs/{id}?turn=1&wait=20s")).await;
    assert_eq!(waited.body["status"], "completed", "{:#}", waited.body);
    assert_eq!(doors.ask(&api).await[0], rank(1, "completed"));
    others(30).await;
    gone(&api, &id).await;
    let another = stage.start(start()).await;
    assert_eq!(doors.ask(&another).await[0], None);

    // The recorder comes back.
    record(&stage, &first, "run", Some("interrupted")).await;
    doors.ask(&api).await;
    record(&stage, &second, "resume", Some("completed")).await;
    stage.pass("results", 1_000).await;
    for api in [api, another] {
        assert_eq!(doors.ask(&api).await, [rank(1, "completed"); 4]);
        api.stop().await;
    }
}

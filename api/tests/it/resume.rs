//! A run waits for a decision: it is shown, made once, and the run goes on as its next turn.

use schemas::{RunResult, request_kind, status};
use serde_json::{Value, json};

use crate::stage::{Stage, Start};

/// What the orchestrator leaves of a request with the key `customer-7`.
const STATE: &str = r#"{"key": "Y3VzdG9tZXItNw==", "opaque": true}"#;

fn interrupted() -> RunResult {
    let schema = json!({"type": "object", "properties": {"amount": {"type": "number"}}});
    let approval = json!({"step": "approval", "message": "Give back 70?", "value": {"amount": 70}, "schema": schema});
    RunResult {
        status: status::INTERRUPTED.to_owned(),
        output: Some(json!({"approvals": [approval]}).to_string()),
        state: Some(STATE.to_owned()),
        ..RunResult::default()
    }
}

fn problem(body: &Value) -> &str {
    body["type"].as_str().unwrap().rsplit(':').next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_decides_first_decides() {
    let stage = Stage::set("api-resume").await;
    let api = stage.start(Start::default()).await;

    // Who waits for an answer is told what there is instead.
    let body = json!({"input": {"n": 7}, "key": "customer-7"});
    let (invoked, ()) = tokio::join!(api.post("/chains/echo/invoke", &body), async {
        let asked = stage.next_request().await;
        stage.answer(&asked, interrupted()).await;
    });
    assert_eq!((invoked.status, problem(&invoked.body)), (409, "interrupted"));
    let id = invoked.body["run_id"].as_str().unwrap().to_owned();
    let path = format!("/runs/{id}/resume");

    let shown = api.get(&format!("/runs/{id}")).await.body;
    assert_eq!((&shown["status"], &shown["turn"]), (&json!("interrupted"), &json!(0)));
    assert_eq!(shown["output"]["approvals"][0]["step"], "approval");

    // Mistakes are told, and decide nothing.
    for (body, at) in [
        (json!({}), "approved"),
        (json!({"approved": true, "value": {"amount": "much"}}), "value"),
        (json!({"decisions": {"letter": {"approved": true}}}), "letter"),
    ] {
        let refused = api.post(&path, &body).await;
        assert_eq!(refused.status, 422, "{:#}", refused.body);
        let loc = refused.body["errors"][0]["loc"].as_array().unwrap().last().unwrap();
        assert_eq!(loc, at);
    }
    stage.pass_requests().await;
    let nobody = api.post("/runs/nobody/resume", &json!({"approved": true})).await;
    assert_eq!((nobody.status, problem(&nobody.body)), (404, "unknown-run"));

    // Two press the button at once: one request.
    let yes = json!({"approved": true, "value": {"amount": 35}, "by": "ada"});
    let (one, other) = tokio::join!(api.post(&path, &yes), api.post(&path, &yes));
    let mut answers = [one.status, other.status];
    answers.sort_unstable();
    assert_eq!(answers[0], 202);
    assert!([202, 503].contains(&answers[1]), "{answers:?}");
    let asked = stage.next_request().await;
    let request = &asked.request;
    assert_eq!(
        (request.kind.as_str(), request.turn, request.chain.as_str()),
        (request_kind::RESUME, 1, "echo@1")
    );
    assert_eq!(request.state.as_deref(), Some(STATE));
    assert_eq!(
        serde_json::from_str::<Value>(&request.input).unwrap(),
        json!({"approval": yes})
    );
    assert_eq!(asked.record.key.as_deref(), Some(b"customer-7".as_slice()));

    // Later on: the same joins, something else is refused.
    let again = api.post(&path, &yes).await;
    assert_eq!(
        (again.status, &again.body["turn"], &again.body["request_src"]),
        (202, &json!(1), &json!(asked.record.src()))
    );
    assert_eq!(again.header("location"), Some(format!("/runs/{id}?turn=1").as_str()));
    let no = api.post(&path, &json!({"approved": false})).await;
    assert_eq!((no.status, problem(&no.body)), (409, "decided"));
    assert_eq!(api.get(&format!("/runs/{id}?turn=1")).await.body["status"], "queued");
    assert_eq!(api.get(&format!("/runs/{id}?turn=2")).await.status, 404);

    // What the turn before has called is no progress of this one.
    stage
        .sql(&format!(
            "INSERT INTO run_index VALUES ('default', '{id}', timestamptz '2026-11-20 10:00:00Z');
             INSERT INTO runs (tenant, request_id, turn, accepted_at, kind, request_src)
                 SELECT tenant, request_id, turn, accepted_at, kind, src FROM run_index
                 CROSS JOIN (VALUES (0, 'run', 't/0/0'), (1, 'resume', '{src}')) AS turns (turn, kind, src)
                 WHERE request_id = '{id}';
             INSERT INTO attempts (tenant, request_id, attempt_id, accepted_at, turn, src, step, provider, model,
                                   route_reason, attempt, phase)
                 SELECT tenant, request_id, 'a1', accepted_at, 0, 't/0/0', 'chat', 'p', 'm', 'primary', 1, 'started'
                 FROM run_index WHERE request_id = '{id}'",
            src = asked.record.src()
        ))
        .await;
    assert_eq!(api.get(&format!("/runs/{id}?turn=1")).await.body["status"], "queued");

    // Who waits for the turn is not given the result of the turn before.
    let (waited, path) = (format!("/runs/{id}?turn=1&wait=20s"), format!("{path}?wait=20s"));
    let (waited, resumed, ()) = tokio::join!(api.get(&waited), api.post(&path, &yes), async {
        let done = RunResult {
            turn: 1,
            ..Stage::completed()
        };
        stage.answer(&asked, done).await;
    });
    // It may have come after the result.
    let resumed = Some(resumed).filter(|answer| answer.status != 409);
    for answer in [waited, api.get(&format!("/runs/{id}")).await]
        .into_iter()
        .chain(resumed)
    {
        assert_eq!(answer.status, 200, "{:#}", answer.body);
        assert_eq!(
            (&answer.body["status"], &answer.body["turn"], &answer.body["output"]),
            (&json!("completed"), &json!(1), &json!("done"))
        );
    }
    let late = api.post(&path, &yes).await;
    assert_eq!((late.status, problem(&late.body)), (409, "not-interrupted"));
    assert_eq!(
        api.get(&format!("/runs/{id}?turn=0")).await.body["status"],
        "interrupted"
    );

    let quiet = tokio::time::timeout(std::time::Duration::from_millis(200), stage.next_request()).await;
    assert!(quiet.is_err(), "one request and no other went on the stream");
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_produced_once_whatever_the_api_has_lost() {
    let stage = Stage::set("api-decided").await;
    let api = stage.start(Start::default()).await;
    let interrupt = async || {
        let begun = api.post("/runs", &json!({"chain": "echo", "input": 1})).await;
        stage.answer(&stage.next_request().await, interrupted()).await;
        let id = begun.body["id"].as_str().unwrap().to_owned();
        let waited = api.get(&format!("/runs/{id}?wait=20s")).await;
        assert_eq!(waited.body["status"], "interrupted");
        id
    };
    let age = "UPDATE resumes SET claimed_at = claimed_at - interval '31 seconds'";
    let yes = json!({"approved": true, "by": "ada"});

    // Postgres is lost between the request and its confirmation.
    stage
        .sql(
            "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'lost'; END $$;
             CREATE TRIGGER lost BEFORE UPDATE OF src ON resumes FOR EACH ROW EXECUTE FUNCTION lose()",
        )
        .await;
    let id = interrupt().await;
    let path = format!("/runs/{id}/resume");
    assert_eq!(api.post(&path, &yes).await.status, 202);
    let asked = stage.next_request().await;
    stage.sql(&format!("DROP TRIGGER lost ON resumes; {age}")).await;

    // The recorder has not passed it: nobody can know whether it is there.
    let again = api.post(&path, &yes).await;
    assert_eq!((again.status, problem(&again.body)), (503, "unconfirmed"));
    assert!(again.header("retry-after").is_some());
    let src = asked.record.src();
    stage
        .sql(&format!(
            "INSERT INTO run_index VALUES ('default', '{id}', now());
             INSERT INTO runs (tenant, request_id, turn, accepted_at, kind, request_src)
                 SELECT tenant, request_id, 1, accepted_at, 'resume', '{src}' FROM run_index WHERE request_id = '{id}'"
        ))
        .await;
    stage.pass_requests().await;
    let again = api.post(&path, &yes).await;
    assert_eq!(
        (again.status, &again.body["request_src"]),
        (202, &json!(src)),
        "{:#}",
        again.body
    );
    let no = api.post(&path, &json!({"approved": false})).await;
    assert_eq!((no.status, problem(&no.body)), (409, "decided"));

    // The api dies between its claim and the request: it is not there, and is made once.
    let id = interrupt().await;
    let path = format!("/runs/{id}/resume");
    let decisions = json!({"approval": yes});
    stage
        .sql(&format!(
            "INSERT INTO resumes (tenant, request_id, turn, accepted_at, decisions)
             VALUES ('default', '{id}', 1, now(), '{decisions}')"
        ))
        .await;
    let early = api.post(&path, &yes).await;
    assert_eq!((early.status, problem(&early.body)), (503, "unconfirmed"));
    stage.sql(&format!("{age} WHERE request_id = '{id}'")).await;
    let (one, other) = tokio::join!(api.post(&path, &yes), api.post(&path, &yes));
    let mut answers = [one.status, other.status];
    answers.sort_unstable();
    assert_eq!(answers[0], 202, "{answers:?}");
    let made = stage.next_request().await;
    assert_eq!(
        (made.request.request_id.as_deref(), made.request.turn),
        (Some(id.as_str()), 1)
    );

    let quiet = tokio::time::timeout(std::time::Duration::from_millis(200), stage.next_request()).await;
    assert!(quiet.is_err(), "one request for each decision");
    api.stop().await;
}

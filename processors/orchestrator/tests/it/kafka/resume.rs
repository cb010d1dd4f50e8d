use schemas::{Request, request_kind, status};
use serde_json::{Value, json};
use topics::Headers;

use super::world::World;

fn start(id: &str) -> Request {
    Request {
        request_id: Some(id.to_owned()),
        tenant: "acme".to_owned(),
        chain: "refund-approval".to_owned(),
        input: json!({"order": "A-1", "amount": 70, "reason": "It broke on the first day."}).to_string(),
        ..Request::default()
    }
}

/// What whoever decides sends: the state as it is, and the decisions.
fn resume(id: &str, chain: &str, turn: i32, state: Option<String>, decisions: &Value) -> Request {
    Request {
        kind: request_kind::RESUME.to_owned(),
        chain: chain.to_owned(),
        turn,
        state,
        input: decisions.to_string(),
        ..start(id)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_waits_for_a_person_and_goes_on_in_another_process() {
    let mut world = World::new("orchestrator-resume").await;
    let mut first = world.start();
    first.ready().await;

    let src = world.ask(&start("r-1"), Headers::new()).await;
    let waits = world.committed(&src).await;
    let result = waits.result;
    assert_eq!(
        (result.status.as_str(), result.turn, result.error),
        (status::INTERRUPTED, 0, None)
    );
    let shown: Value = serde_json::from_str(&result.output.unwrap()).unwrap();
    assert_eq!(shown["approvals"][0]["step"], "approval");
    assert_eq!(shown["approvals"][0]["value"], json!({"amount": 70}));
    assert_eq!(waits.attempts.len(), 1, "the summary is paid");
    assert_eq!((waits.run.outcome.as_str(), waits.run.turn), ("ok", 0));

    // Nothing of it is left in a process.
    first.stop().await;
    let mut second = world.start();
    second.ready().await;

    let chain = result.chain.unwrap();
    let pinned = chain.split_once('#').unwrap().0;
    let decisions = json!({"approval": {"approved": true, "value": {"amount": 35}, "by": "ada"}});
    let src = world
        .ask(
            &resume("r-1", pinned, 1, result.state.clone(), &decisions),
            Headers::new(),
        )
        .await;
    let done = world.committed(&src).await;
    assert_eq!((done.result.status.as_str(), done.result.turn), (status::COMPLETED, 1));
    assert_eq!(done.result.chain.as_deref(), Some(chain.as_str()));
    assert_eq!(
        done.result.accepted_at, result.accepted_at,
        "its turns are kept together"
    );
    assert!(done.result.timings.queued_us < done.result.completed_at.micros_since(result.accepted_at));
    let output: Value = serde_json::from_str(&done.result.output.unwrap()).unwrap();
    assert_eq!(output["refunded"], 35);
    let paid: Vec<(&str, i32)> = done.attempts.iter().map(|row| (row.step.as_str(), row.turn)).collect();
    assert_eq!(paid, [("letter", 1)], "the summary is not paid again");
    assert_eq!(done.record.key, waits.record.key);

    // What cannot go on says so, under the turn it would have been.
    for (state, decisions, class) in [
        (None, decisions.clone(), "invalid_request"),
        (Some("{}".to_owned()), decisions.clone(), "invalid_input"),
        (
            result.state.clone(),
            json!({"letter": {"approved": true}}),
            "invalid_input",
        ),
    ] {
        let src = world
            .ask(&resume("r-1", pinned, 1, state, &decisions), Headers::new())
            .await;
        let refused = world.committed(&src).await;
        assert_eq!(
            (refused.result.status.as_str(), refused.result.turn),
            (status::FAILED, 1)
        );
        assert_eq!(refused.result.error.unwrap().class, class);
        assert!(refused.dead_letter.is_some());
    }
    second.stop().await;
}

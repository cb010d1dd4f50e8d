//! Runs that wait for a person, and go on.

use orchestrator::{Chain, Ending, Outcome, State};
use serde_json::{Value, json};
use testkit::Script;

use crate::{
    run::{Run, failure},
    scripted::{Scripted, chat},
};

fn approve(id: &str, value: &Value) -> Value {
    json!({"id": id, "approve": {"message": "Shall we?", "value": value}})
}

fn waits(outcome: Outcome) -> State {
    match outcome.ending {
        Ending::Interrupted(state) => *state,
        other => panic!("{other:?}"),
    }
}

fn steps(state: &State) -> Vec<&str> {
    state.approvals.iter().map(|approval| approval.step.as_str()).collect()
}

/// What the steps did, by their names.
fn trail(outcome: &Outcome) -> Vec<(&str, &str)> {
    let steps = outcome.trail.steps.iter();
    let mut trail: Vec<_> = steps
        .map(|taken| (taken.step.as_str(), taken.outcome.as_str()))
        .collect();
    trail.sort_unstable();
    trail
}

fn refused(chain: &Chain, state: &State, decisions: Value) -> String {
    let state_text = json!(state).to_string();
    chain.resume(&state_text, state.turn + 1, decisions).unwrap_err()
}

#[tokio::test]
async fn what_was_done_is_not_done_again_and_what_does_not_wait_goes_on() {
    let scripted = Scripted::new(Script::default()).await;
    let chain = scripted.run.chain(
        &json!([
            chat("before", "one"),
            {"id": "approval", "approve": {"message": "Send {{ steps.before.text }}?", "value": {"n": "{{ input.n }}"}}},
            chat("beside", "two"),
            chat("after", "three {{ steps.approval.value.n }}")]),
        "{{ [steps.approval.approved, steps.approval.comment, steps.beside.text is defined, steps.after.text is defined] }}",
    );

    let outcome = scripted.run.run(&chain, json!({"n": 7})).await;

    assert_eq!(outcome.bill.attempts.len(), 2, "before and beside");
    assert_eq!(
        trail(&outcome),
        [("approval", "interrupted"), ("before", "ok"), ("beside", "ok")]
    );
    let state = waits(outcome);
    let approval = &state.approvals[0];
    assert_eq!(
        (approval.step.as_str(), &approval.value),
        ("approval", &json!({"n": 7}))
    );
    assert!(approval.message.starts_with("Send "), "{}", approval.message);

    let decisions = json!({"approval": {"approved": true, "comment": "do", "by": "ada"}});
    let outcome = scripted.run.resume(&chain, &state, decisions).await;

    assert_eq!(outcome.bill.attempts.len(), 1, "only what had to wait");
    assert_eq!(outcome.bill.attempts[0].turn, 1);
    assert_eq!(
        trail(&outcome),
        [
            ("after", "ok"),
            ("approval", "ok"),
            ("before", "kept"),
            ("beside", "kept")
        ]
    );
    assert_eq!(outcome.ending, Ending::Completed(json!([true, "do", true, true])));
}

#[tokio::test]
async fn steps_wait_at_any_depth_and_some_may_wait_longer() {
    let run = Run::new().await;
    let chain = run.chain(
        &json!([
            {"id": "each", "map": {"over": "{{ input.l }}", "as": "n", "max_items": 5, "steps": [
                approve("asked", &json!("{{ n }}")),
                {"id": "made", "transform": "{{ n if steps.asked.approved else 0 }}"}]}},
            {"id": "twice", "loop": {"max": 2, "until": "{{ steps.ok.approved }}", "steps": [approve("ok", &json!("{{ round }}"))]}},
            {"id": "both", "parallel": {"branches": {
                "a": [{"id": "quick", "transform": 1}],
                "b": [approve("slow", &json!(0))]}}}]),
        "{{ [steps.each.items, steps.twice.rounds, steps.both.a, steps.both.b.approved] }}",
    );

    let state = waits(run.run(&chain, json!({"l": [1, 2]})).await);
    let mut waiting = steps(&state);
    waiting.sort_unstable();
    assert_eq!(
        waiting,
        ["both.b.slow", "each[0].asked", "each[1].asked", "twice[1].ok"]
    );

    let yes = json!({"approved": true});
    let no = json!({"approved": false});
    let some = json!({"each[1].asked": yes, "twice[1].ok": no, "both.b.slow": yes});
    let state = waits(run.resume(&chain, &state, some).await);
    assert_eq!(state.turn, 1);
    let mut waiting = steps(&state);
    waiting.sort_unstable();
    assert_eq!(
        waiting,
        ["each[0].asked", "twice[2].ok"],
        "the loop asks again, the rest is decided"
    );

    let rest = json!({"each[0].asked": no, "twice[2].ok": yes});
    let outcome = run.resume(&chain, &state, rest).await;
    assert_eq!(outcome.ending, Ending::Completed(json!([[0, 2], 2, 1, true])));
}

#[tokio::test]
async fn to_wait_is_no_error() {
    let run = Run::new().await;
    let mut skips = approve("skips", &json!(0));
    skips["on_error"] = json!("skip");
    skips["else"] = json!({"approved": false, "value": 0, "comment": "", "by": ""});
    skips["fallback"] =
        json!([{"id": "instead", "transform": {"approved": false, "value": 0, "comment": "", "by": ""}}]);
    skips["retry"] = json!({"max_attempts": 3});
    let chain = run.chain(&json!([skips]), "{{ steps.skips.approved }}");

    let state = waits(run.run(&chain, json!(null)).await);

    assert_eq!(steps(&state), ["skips"]);
    let outcome = run.resume(&chain, &state, json!({"skips": {"approved": true}})).await;
    assert_eq!(outcome.ending, Ending::Completed(json!(true)));
}

#[tokio::test]
async fn a_failure_elsewhere_ends_the_run() {
    let run = Run::new().await;
    let broken = json!({"id": "broken", "transform": "{{ input.missing.deep }}"});
    let chain = run.chain(
        &json!([approve("asked", &json!(0)), broken]),
        "{{ steps.asked.approved }}",
    );

    assert_eq!(failure(&run.run(&chain, json!({})).await).class, "template");
}

#[tokio::test]
async fn a_budget_is_that_of_all_turns() {
    let scripted = Scripted::new(Script::default()).await;
    let document = json!({
        "apiVersion": "chain/v1", "kind": "Chain", "metadata": {"name": "test", "version": 1},
        "input": {"schema": {}}, "budget": {"calls": 2},
        "steps": [
            chat("first", "one"),
            approve("asked", &json!("{{ steps.first.text }}")),
            chat("second", "{{ steps.asked.approved }}"),
            chat("third", "{{ steps.second.text }}")],
        "output": {"value": "{{ steps.third.text }}"}});
    let chain = scripted.run.read(&document.to_string());

    let state = waits(scripted.run.run(&chain, json!(null)).await);
    let outcome = scripted
        .run
        .resume(&chain, &state, json!({"asked": {"approved": true}}))
        .await;

    let failure = failure(&outcome);
    assert_eq!(
        (failure.class.as_str(), failure.step.as_deref()),
        ("budget_exceeded", Some("third"))
    );
}

#[tokio::test]
async fn a_value_may_be_changed_within_its_schema() {
    let run = Run::new().await;
    let mut asked = approve("asked", &json!({"n": 7}));
    asked["approve"]["schema"] = json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}});
    let free = run.chain(&json!([asked]), "{{ steps.asked.value.n }}");
    let fixed = run.chain(
        &json!([approve("asked", &json!({"n": 7}))]),
        "{{ steps.asked.value.n }}",
    );
    let decided = |value: Value| json!({"asked": {"approved": true, "value": value}});

    let state = waits(run.run(&free, json!(null)).await);
    assert!(state.approvals[0].schema.is_some());
    let outcome = run.resume(&free, &state, decided(json!({"n": 3}))).await;
    assert_eq!(outcome.ending, Ending::Completed(json!(3)));
    let outcome = run.resume(&free, &state, decided(json!({"n": "three"}))).await;
    assert_eq!(failure(&outcome).class, "invalid_option");

    let state = waits(run.run(&fixed, json!(null)).await);
    let outcome = run.resume(&fixed, &state, decided(json!({"n": 7}))).await;
    assert_eq!(outcome.ending, Ending::Completed(json!(7)), "it was not changed");
    let outcome = run.resume(&fixed, &state, decided(json!({"n": 3}))).await;
    assert_eq!(failure(&outcome).class, "invalid_option");
}

#[tokio::test]
async fn decisions_that_belong_to_nothing_are_refused() {
    let run = Run::new().await;
    let chain = run.chain(&json!([approve("asked", &json!(0))]), "{{ steps.asked.approved }}");
    let other = run.chain(&json!([approve("asked", &json!(1))]), "{{ steps.asked.approved }}");
    let state = waits(run.run(&chain, json!(null)).await);
    let yes = json!({"asked": {"approved": true}});

    for (why, told) in [
        (
            refused(&chain, &state, json!({"answer": {"approved": true}})),
            "no step `answer` waits for a decision, but asked",
        ),
        (refused(&chain, &state, json!({})), "nothing is decided: asked waits"),
        (
            refused(&chain, &state, json!({"asked": true})),
            "the input of a resume is",
        ),
        (
            refused(&chain, &state, json!({"asked": {"approved": "yes"}})),
            "the input of a resume is",
        ),
        (
            refused(&chain, &state, json!({"asked": {"approved": true, "why": ""}})),
            "the input of a resume is",
        ),
        (refused(&other, &state, yes.clone()), "`state` is of chain test@1#"),
        (
            chain.resume(&json!(state).to_string(), 7, yes.clone()).unwrap_err(),
            "a state of turn 0 goes on as the turn after it",
        ),
        (
            chain.resume("{}", 1, yes).unwrap_err(),
            "`state` is not that of a result",
        ),
    ] {
        assert!(why.starts_with(told), "{why}");
    }
}

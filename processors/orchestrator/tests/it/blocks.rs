//! Steps that hold steps, and what any step can say besides what it is: chains without models, and with local ones.

use std::{sync::Arc, time::Duration};

use orchestrator::{Chain, Ending, Failure, Outcome, Problem};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    resources::resources,
    run::{Run, failure},
};

fn completed(outcome: Outcome) -> Value {
    match outcome.ending {
        Ending::Completed(output) => output,
        other => panic!("{other:?}"),
    }
}

/// The class, and the step that failed.
fn why(outcome: &Outcome) -> (&str, &str) {
    let Failure { class, step, .. } = failure(outcome);
    (class, step.as_deref().unwrap_or_default())
}

/// A step that fails with the class `template`.
fn broken(id: &str) -> Value {
    json!({"id": id, "transform": "{{ input.missing.deep }}"})
}

/// A step that takes a while, for those who run at the same time.
fn asks(id: &str) -> Value {
    json!({"id": id, "chat": {"model": "answer", "messages": [{"role": "user", "content": "hello"}]}})
}

#[tokio::test]
async fn a_switch_runs_the_one_case_and_gives_its_output() {
    let run = Run::new().await;
    let chain = run.chain(
        &json!([
            {"id": "kind", "parse": {"text": "{{ input.text }}", "enum": ["refund", "question"]}},
            {"id": "answer", "switch": {
                "on": "{{ steps.kind }}",
                "cases": {
                    "refund": [{"id": "amount", "transform": 7}, {"id": "reply", "transform": "{{ steps.amount }} back"}],
                    "question": [{"id": "reply", "transform": "why not"}]}}}]),
        "{{ steps.answer }}",
    );

    assert_eq!(completed(run.run(&chain, json!({"text": "REFUND."})).await), "7 back");
    assert_eq!(
        completed(run.run(&chain, json!({"text": "a question, please"})).await),
        "why not"
    );
    assert_eq!(why(&run.run(&chain, json!({"text": "hello"})).await), ("parse", "kind"));
}

#[tokio::test]
async fn conditions_are_tried_in_the_order_of_the_file() {
    let run = Run::new().await;
    let case = |when: &str, value: &str| json!({"when": when, "steps": [{"id": "said", "transform": value}]});
    let chain = run.chain(
        &json!([{"id": "size", "switch": {
            "cases": [case("{{ input.n > 100 }}", "large"), case("{{ input.n > 10 }}", "middle")],
            "default": [{"id": "said", "transform": "small"}]}}]),
        "{{ steps.size }}",
    );

    for (n, size) in [(1000, "large"), (50, "middle"), (3, "small")] {
        assert_eq!(completed(run.run(&chain, json!({"n": n})).await), size);
    }
}

#[tokio::test]
async fn branches_run_at_once_and_all_their_outputs_are_there() {
    let run = Run::new().await;
    let chain = run.chain(
        &json!([
            {"id": "n", "transform": "{{ input.n }}"},
            {"id": "both", "parallel": {"branches": {
                "twice": [{"id": "made", "transform": "{{ steps.n * 2 }}"}],
                "asked": [asks("made")]}}}]),
        "{{ steps.both.twice }} {{ steps.both.asked.model }}",
    );

    let outcome = run.run(&chain, json!({"n": 4})).await;

    assert_eq!(
        outcome.bill.attempts[0].step, "both.asked.made",
        "records name the way to it"
    );
    assert!(completed(outcome).as_str().unwrap().starts_with("8 "));
}

#[tokio::test]
async fn a_branch_that_fails_ends_the_step_or_is_told_of() {
    let run = Run::new().await;
    let branches = json!({"bad": [broken("wrong")], "good": [{"id": "made", "transform": 1}]});
    let chain = |on_error: &str, output: &str| {
        let step = json!([{"id": "both", "parallel": {"branches": branches, "on_error": on_error}}]);
        run.chain(&step, output)
    };

    let failed = run.run(&chain("fail", "1"), json!({})).await;
    assert_eq!(why(&failed), ("template", "both.bad.wrong"));

    let told = chain(
        "collect",
        "{{ [steps.both.good | default(0), steps.both.errors.bad.class, steps.both.bad is defined] }}",
    );
    assert_eq!(
        completed(run.run(&told, json!({})).await),
        json!([1, "template", false])
    );
}

#[tokio::test]
async fn a_map_keeps_the_order_of_its_items() {
    let run = Run::new().await;
    let each = json!([{"id": "made", "transform": {"at": "{{ i }}", "twice": "{{ n * 2 }}"}}]);
    let map = json!({"over": "{{ input.ns }}", "as": "n", "index_as": "i", "max_items": 3, "steps": each});
    let chain = run.chain(&json!([{"id": "all", "map": map}]), "{{ steps.all.items }}");

    let output = completed(run.run(&chain, json!({"ns": [5, 6]})).await);
    assert_eq!(output, json!([{"at": 0, "twice": 10}, {"at": 1, "twice": 12}]));
    assert_eq!(completed(run.run(&chain, json!({"ns": []})).await), json!([]));
    let too_many = run.run(&chain, json!({"ns": [1, 2, 3, 4]})).await;
    assert_eq!(why(&too_many), ("too_many", "all"));
    assert_eq!(failure(&too_many).message, "`over` has 4 items, `max_items` is 3");
}

#[tokio::test]
async fn a_map_tells_which_items_failed_where_it_is_asked_to() {
    let run = Run::new().await;
    let each = json!([{"id": "made", "transform": "{{ 10 / n }}"}]);
    let map = |on_error: &str| {
        let map = json!({"over": "{{ input }}", "as": "n", "max_items": 9, "on_error": on_error, "steps": each});
        run.chain(&json!([{"id": "all", "map": map}]), "{{ steps.all }}")
    };

    let failed = run.run(&map("fail"), json!([5, "x", 2])).await;
    assert_eq!(why(&failed), ("template", "all[1].made"));

    let output = completed(run.run(&map("collect"), json!([5, "x", 2])).await);
    assert_eq!(output["items"], json!([2.0, 5.0]));
    assert_eq!(output["errors"][0]["index"], 1);
    assert_eq!(output["errors"][0]["class"], "template");
}

#[tokio::test]
async fn a_loop_ends_when_it_is_done_or_at_its_bound() {
    let run = Run::new().await;
    let body = json!([
        {"id": "grown", "transform": "{{ (previous if previous else input.from) * 2 }}"},
        {"id": "enough", "transform": "{{ steps.grown > 100 }}"},
        {"id": "kept", "transform": "{{ steps.grown }}"}]);
    let step = json!({"id": "doubled", "loop": {"max": 5, "until": "{{ steps.enough }}", "steps": body}});
    let chain = run.chain(&json!([step]), "{{ steps.doubled }}");

    let done = completed(run.run(&chain, json!({"from": 30})).await);
    assert_eq!(done, json!({"value": 120, "rounds": 2, "done": true}));
    let ended = completed(run.run(&chain, json!({"from": 1})).await);
    assert_eq!(ended, json!({"value": 32, "rounds": 5, "done": false}));
}

#[tokio::test]
async fn a_step_that_is_not_wanted_is_skipped_and_costs_nothing() {
    let run = Run::new().await;
    let mut extra = asks("extra");
    extra["when"] = json!("{{ input.deep }}");
    let chain = run.chain(
        &json!([extra]),
        "{{ steps.extra.model if steps.extra else \"skipped\" }}",
    );

    let skipped = run.run(&chain, json!({"deep": false})).await;
    assert!(skipped.bill.attempts.is_empty());
    assert_eq!(completed(skipped), "skipped");
    assert_ne!(completed(run.run(&chain, json!({"deep": true})).await), "skipped");

    let mut with_default = json!({"id": "extra", "when": false, "else": {"text": "nothing"}});
    with_default["chat"] = asks("extra")["chat"].clone();
    let chain = run.chain(&json!([with_default]), "{{ steps.extra.text }}");
    assert_eq!(completed(run.run(&chain, json!({})).await), "nothing");
}

#[tokio::test]
async fn a_fallback_sees_why_it_runs_and_for_what_it_is_not() {
    let run = Run::new().await;
    let with = |fallback: Value| {
        let mut step = broken("asked");
        step["fallback"] = fallback;
        run.chain(&json!([step]), "{{ steps.asked }}")
    };
    let steps = json!([{"id": "plain", "transform": "instead of {{ error.class }}"}]);

    let any = with(steps.clone());
    assert_eq!(completed(run.run(&any, json!({})).await), "instead of template");
    let others = with(json!({"on": ["timeout"], "steps": steps}));
    assert_eq!(why(&run.run(&others, json!({})).await), ("template", "asked"));
    let broken_too = with(json!([broken("plain")]));
    assert_eq!(
        why(&run.run(&broken_too, json!({})).await),
        ("template", "asked.fallback.plain")
    );
}

#[tokio::test]
async fn an_error_can_be_skipped() {
    let run = Run::new().await;
    let mut step = broken("extra");
    step["on_error"] = json!("skip");
    let chain = run.chain(&json!([step]), "{{ steps.extra is none }}");

    assert_eq!(completed(run.run(&chain, json!({})).await), json!(true));
}

#[tokio::test]
async fn a_step_is_tried_again_with_pauses_and_only_for_what_may_pass() {
    let run = Run::new().await;
    let retrieve = |retry: Value| {
        let step = json!({"id": "docs", "retry": retry, "retrieve": {"index": "millrace-docs", "query": "hello"}});
        run.chain(&json!([step]), "1")
    };

    // There is no such index: nothing that passes by itself.
    let once = run
        .run(&retrieve(json!({"max_attempts": 3, "initial": "1ms"})), json!({}))
        .await;
    assert_eq!((why(&once), once.bill.attempts.len()), (("retrieval", "docs"), 1));
    let thrice = retrieve(json!({"max_attempts": 3, "initial": "1ms", "on": ["retrieval"]}));
    let thrice = run.run(&thrice, json!({})).await;
    assert_eq!((why(&thrice), thrice.bill.attempts.len()), (("retrieval", "docs"), 3));
}

#[tokio::test]
async fn defaults_are_for_steps_that_reach_outside_and_say_nothing_themselves() {
    let run = Run::new().await;
    let retrieve = json!({"index": "millrace-docs", "query": "hello"});
    let document = json!({
        "apiVersion": "chain/v1", "kind": "Chain", "metadata": {"name": "test", "version": 1},
        "input": {"schema": {}},
        "defaults": {"retry": {"max_attempts": 3, "initial": "1ms", "on": ["retrieval", "template"]}},
        "steps": [{"id": "both", "parallel": {"on_error": "collect", "branches": {
            "plain": [{"id": "docs", "retrieve": retrieve}],
            "own": [{"id": "docs", "retrieve": retrieve, "retry": {"max_attempts": 1}}],
            "inside": [{"id": "each", "map": {"over": [1], "as": "one", "max_items": 1, "steps": [
                {"id": "docs", "retrieve": retrieve}]}}]}}}],
        "output": {"value": 1}});
    let chain = run.read(&document.to_string());

    let outcome = run.run(&chain, json!({})).await;

    let mut tried: Vec<&str> = outcome.bill.attempts.iter().map(|row| row.step.as_str()).collect();
    tried.sort_unstable();
    let expected = [
        ["both.inside.each[0].docs"; 3].as_slice(),
        &["both.own.docs"],
        &["both.plain.docs"; 3],
    ];
    assert_eq!(tried, expected.concat());
    let worst = chain.worst_case(&crate::resources::resources());
    assert_eq!(worst.calls, 7, "what a run may cost counts them too");
}

#[tokio::test]
async fn a_timeout_ends_the_step_and_not_the_run() {
    let run = Run::new().await;
    // The pause before the second attempt outlasts the time limit.
    let step = json!({
        "id": "docs", "timeout": "50ms",
        "retrieve": {"index": "millrace-docs", "query": "hello"},
        "retry": {"max_attempts": 1000, "initial": "10ms", "max": "10ms", "on": ["retrieval"]},
        "fallback": [{"id": "none", "transform": {"items": [], "why": "{{ error.class }}"}}]});
    let chain = run.chain(&json!([step]), "{{ steps.docs.items }}");

    let began = Instant::now();
    let output = completed(run.run(&chain, json!({})).await);

    assert_eq!(output, json!([]));
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

#[tokio::test]
async fn text_becomes_values() {
    let run = Run::new().await;
    let parse = |form: Value| {
        let mut parse = json!({"text": "{{ input }}"});
        parse.as_object_mut().unwrap().extend(form.as_object().unwrap().clone());
        run.chain(&json!([{"id": "read", "parse": parse}]), "{{ steps.read }}")
    };
    let schema = json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}});
    for (form, text, value) in [
        (json!({"json": schema}), "```json\n{\"n\": 1}\n```", json!({"n": 1})),
        (
            json!({"lines": true}),
            "1. one\n\n2) two\n- three\nfour",
            json!(["one", "two", "three", "four"]),
        ),
        (
            json!({"regex": "order (?<number>[0-9]+)(?<rest>x)?"}),
            "my order 77.",
            json!({"number": "77", "rest": null}),
        ),
        (json!({"enum": ["yes", "no"]}), "Yes!", json!("yes")),
    ] {
        assert_eq!(completed(run.run(&parse(form), json!(text)).await), value);
    }
    for (form, text) in [
        (json!({"json": schema}), "{\"n\": \"a secret\"}"),
        (json!({"regex": "order (?<number>[0-9]+)"}), "a secret"),
        (json!({"enum": ["yes", "no"]}), "yes or no, a secret"),
        (json!({"enum": ["yes", "no"]}), "I do not know, a secret"),
    ] {
        let outcome = run.run(&parse(form), json!(text)).await;
        assert_eq!(why(&outcome), ("parse", "read"));
        assert!(
            !failure(&outcome).message.contains("secret"),
            "{}",
            failure(&outcome).message
        );
    }
}

#[tokio::test]
async fn what_must_not_travel_is_covered_or_stops_the_run() {
    let run = Run::new().await;
    let redact = |more: Value| {
        let mut step = json!({"value": "{{ input }}"});
        step.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        run.chain(&json!([{"id": "covered", "redact": step}]), "{{ steps.covered }}")
    };
    let input = json!({"text": "Write to ada@example.com or call +49 30 1234567.", "n": 7});

    let all = completed(run.run(&redact(json!({})), input.clone()).await);
    assert_eq!(
        all,
        json!({"text": "Write to [REDACTED_EMAIL] or call [REDACTED_PHONE].", "n": 7})
    );
    let masked = run
        .run(&redact(json!({"types": ["email"], "strategy": "mask"})), input.clone())
        .await;
    assert_eq!(
        completed(masked)["text"],
        "Write to ***********.com or call +49 30 1234567."
    );
    let blocked = run.run(&redact(json!({"strategy": "block"})), input.clone()).await;
    assert_eq!(why(&blocked), ("blocked", "covered"));
    assert!(!failure(&blocked).message.contains("ada"));
}

#[tokio::test]
async fn a_chain_in_a_chain_gives_its_output_and_keeps_the_way_to_its_calls() {
    let mut resources = resources();
    let inner = json!({
        "apiVersion": "chain/v1", "kind": "Chain", "metadata": {"name": "inner", "version": 3},
        "input": {"schema": {"type": "object", "required": ["q"], "properties": {"q": {"type": "string"}}}},
        "params": {"n": {"type": "integer", "default": 1}},
        "steps": [asks("asked"), {"id": "made", "transform": "{{ input.q }} {{ params.n }}"}],
        "output": {"value": {"said": "{{ steps.made }}"}}});
    let inner = Chain::read(&inner.to_string(), "inner.yaml", &resources).unwrap();
    resources.chains.add(Arc::new(inner));
    let run = Run::with(resources).await;
    let chain = run.chain(
        &json!([{"id": "sub", "chain": {"name": "inner@3", "input": {"q": "{{ input.q }}"}, "params": {"n": 2}}}]),
        "{{ steps.sub.said }}",
    );

    let outcome = run.run(&chain, json!({"q": "what"})).await;

    assert_eq!(outcome.bill.attempts[0].step, "sub.asked");
    assert_eq!(completed(outcome), "what 2");
    let wrong = run.run(&chain, json!({"q": 7})).await;
    assert_eq!(why(&wrong), ("invalid_option", "sub"));
}

#[tokio::test]
async fn no_call_leaves_that_may_cost_more_than_is_left() {
    let run = Run::new().await;
    let bounded = |budget: Value| {
        let document = json!({
            "apiVersion": "chain/v1", "kind": "Chain", "metadata": {"name": "test", "version": 1},
            "input": {"schema": {}}, "budget": budget, "output": {"value": 1},
            "steps": [{"id": "each", "map": {
                "over": [1, 2, 3], "as": "n", "max_items": 3, "max_concurrency": 1, "steps": [asks("asked")]}}]});
        Chain::read(&document.to_string(), "test.yaml", &resources()).unwrap()
    };

    let two = run.run(&bounded(json!({"calls": 2})), json!({})).await;
    assert_eq!(why(&two), ("budget_exceeded", "each[2].asked"));
    assert_eq!(two.bill.attempts.len(), 2);
    let none = run.run(&bounded(json!({"tokens": 10})), json!({})).await;
    assert_eq!(why(&none), ("budget_exceeded", "each[0].asked"));
    assert!(none.bill.attempts.is_empty(), "it never left");
    completed(run.run(&bounded(json!({"calls": 3})), json!({})).await);
}

#[test]
fn what_is_inside_of_a_step_is_drawn_inside_of_it() {
    let document = json!({
        "apiVersion": "chain/v1", "kind": "Chain", "metadata": {"name": "test", "version": 1},
        "input": {"schema": {}}, "output": {"value": 1},
        "steps": [
            {"id": "n", "transform": 1},
            {"id": "both", "parallel": {"branches": {"a": [{"id": "one", "transform": "{{ steps.n }}"}]}}}]});
    let chain: Result<Chain, Vec<Problem>> = Chain::read(&document.to_string(), "test.yaml", &resources());

    assert_eq!(
        chain.unwrap().graph()["steps"][1],
        json!({"id": "both", "kind": "parallel", "waits_for": ["n"], "blocks": [
            {"name": "a", "steps": [{"id": "one", "kind": "transform", "waits_for": []}]}]})
    );
}

#[tokio::test]
async fn the_audit_tells_what_each_step_did() {
    let run = Run::new().await;
    let mut tried = broken("tried");
    tried["retry"] = json!({"max_attempts": 2, "initial": "1ms", "on": ["template"]});
    tried["fallback"] = json!([{"id": "plain", "transform": 1}]);
    let mut ignored = broken("ignored");
    ignored["on_error"] = json!("skip");
    let chain = run.chain(
        &json!([
            tried,
            ignored,
            {"id": "unwanted", "when": "{{ false }}", "transform": 1},
            {"id": "each", "map": {"over": [1, 2], "as": "n", "max_items": 2, "steps": [{"id": "made", "transform": "{{ n }}"}]}},
            {"id": "fails", "when": "{{ steps.tried == 1 and steps.each.items | length > 1 }}", "transform": "{{ input.missing.deep }}"}]),
        "1",
    );

    let outcome = run.run(&chain, json!({})).await;

    assert_eq!(why(&outcome), ("template", "fails"));
    let steps = &outcome.trail.steps;
    let mut told: Vec<_> = steps
        .iter()
        .map(|taken| {
            (
                taken.step.as_str(),
                taken.kind.as_str(),
                taken.outcome.as_str(),
                taken.attempts,
            )
        })
        .collect();
    told.sort_unstable();
    assert_eq!(
        told,
        [
            ("each", "map", "ok", 1),
            ("each[0].made", "transform", "ok", 1),
            ("each[1].made", "transform", "ok", 1),
            ("fails", "transform", "template", 1),
            ("ignored", "transform", "error_skipped", 1),
            ("tried", "transform", "fallback", 2),
            ("tried.fallback.plain", "transform", "ok", 1),
            ("unwanted", "transform", "skipped", 0),
        ]
    );
    assert!(steps.iter().all(|taken| taken.began_us >= 0 && taken.took_us >= 0));
    assert_eq!(steps.last().unwrap().step, "fails", "in the order of their ends");
}

#[tokio::test]
async fn a_run_of_very_many_steps_counts_those_that_it_does_not_tell() {
    let run = Run::new().await;
    let items: Vec<u32> = (0..1_500).collect();
    let each = json!({"over": items, "as": "n", "max_items": 1_500, "steps": [{"id": "made", "transform": 1}]});
    let chain = run.chain(&json!([{"id": "each", "map": each}]), "1");

    let outcome = run.run(&chain, json!({})).await;

    assert_eq!((outcome.trail.steps.len(), outcome.trail.left_out), (1_000, 501));
}

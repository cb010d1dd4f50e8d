//! Chains that call something outside.

mod site;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use egress::HostSettings;
use models::Models;
use orchestrator::{Chain, Ending, Outcome, Resources};
use retrieval::PineconeSettings;
use serde_json::{Value, json};
use testkit::{Answer, Script, ScriptedModel};
use tokio::time::Instant;

use self::site::{Reply, Site, found, redirect};
use crate::{
    resources::{hosts, resources},
    run::{Run, context, failure},
};

async fn run(listed: Vec<HostSettings>) -> Run {
    Run::with(with(listed)).await
}

fn with(listed: Vec<HostSettings>) -> Resources {
    Resources {
        hosts: Arc::new(hosts(listed)),
        ..resources()
    }
}

/// Runs one step and gives its outcome; the input is anything.
async fn called(run: &Run, step: Value, input: Value) -> Outcome {
    let mut call = json!({"id": "call"});
    call.as_object_mut().unwrap().extend(step.as_object().unwrap().clone());
    let chain = run.chain(&json!([call]), "{{ steps.call }}");
    run.run(&chain, input).await
}

fn output(outcome: Outcome) -> Value {
    match outcome.ending {
        Ending::Completed(output) => output,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_sent_is_what_the_file_says_and_what_comes_back_is_typed() {
    let site = Site::start(|_| found(&json!({"id": 7, "state": "open"}))).await;
    let run = run(vec![site.listed("hunter2")]).await;
    let step = json!({"http": {
        "method": "POST",
        "url": site.url("/v1/orders/{{ input.order }}/notes"),
        "query": {"q": "{{ input.order }}", "tag": ["a", "b"], "none": null, "n": 3},
        "headers": {"X-Team": "{{ input.team }}"},
        "body": {"text": "{{ input.order }}", "n": "{{ input.n }}"},
        "response": {
            "schema": {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}},
            "headers": ["ETag", "x-none"]}}});
    let input = json!({"order": "../a?b=1&c#d", "team": "support", "n": 1.5});

    let output = output(called(&run, step.clone(), input.clone()).await);

    let json = json!({"id": 7, "state": "open"});
    assert_eq!(
        output,
        json!({"status": 200, "json": json, "headers": {"etag": "\"7\""}})
    );
    called(&run, step, input).await;
    let [asked, again] = site.asked().try_into().unwrap();
    assert_eq!(
        asked.line,
        "POST /v1/orders/..%2Fa%3Fb%3D1%26c%23d/notes?q=..%2Fa%3Fb%3D1%26c%23d&tag=a&tag=b&n=3"
    );
    assert_eq!(asked.body, json!({"text": "../a?b=1&c#d", "n": 1.5}));
    assert_eq!(asked.headers["x-team"], "support");
    assert_eq!(asked.headers["authorization"], "Bearer hunter2");
    assert_eq!(asked.headers["content-type"], "application/json");
    let key = &asked.headers["idempotency-key"];
    assert_eq!(*key, again.headers["idempotency-key"], "the same run, made again");
}

#[tokio::test]
async fn an_input_does_not_choose_another_path() {
    let site = Site::start(|_| found(&json!({}))).await;
    let run = run(vec![site.listed("s")]).await;
    for (value, class) in [
        (json!(".."), "invalid_option"),
        (json!("."), "invalid_option"),
        (json!(""), "template"),
        (json!(null), "template"),
        (json!(["a"]), "template"),
    ] {
        let step = json!({"http": {"url": site.url("/users/{{ input }}/orders"), "method": "DELETE"}});
        let outcome = called(&run, step, value.clone()).await;
        assert_eq!(failure(&outcome).class, class, "{value}");
    }
    assert!(site.asked().is_empty());
}

#[tokio::test]
async fn a_redirect_to_a_listed_host_takes_no_secret_along() {
    let other = Site::start(|_| found(&json!({"moved": true}))).await;
    let to = other.url("/new");
    let first = Site::start(move |asked| match asked.line.split('/').nth(1) {
        Some("kept") => redirect(307, to.clone()),
        _ => redirect(303, to.clone()),
    })
    .await;
    let run = run(vec![first.listed("hunter2"), other.listed("hunter3")]).await;
    for path in ["/kept", "/seen"] {
        let step = json!({"http": {
            "url": first.url(path), "method": "POST", "headers": {"x-team": "support"}, "body": {"n": 1},
            "response": {"schema": {}}}});
        let output = output(called(&run, step, json!({})).await);
        assert_eq!(output["json"], json!({"moved": true}));
    }

    let [kept, seen] = other.asked().try_into().unwrap();
    for asked in [&kept, &seen] {
        assert_eq!(asked.headers["authorization"], "Bearer hunter3");
        assert!(!asked.headers.contains_key("x-team"), "{asked:?}");
    }
    assert_eq!((kept.line.as_str(), &kept.body), ("POST /new", &json!({"n": 1})));
    assert!(kept.headers.contains_key("idempotency-key"));
    assert_eq!((seen.line.as_str(), &seen.body), ("GET /new", &json!(null)));
    assert!(!seen.headers.contains_key("idempotency-key"));
}

#[tokio::test]
async fn a_redirect_leads_only_where_the_list_does() {
    let inside = Site::start(|_| found(&json!({}))).await;
    let places = [
        inside.url("/"),
        inside.url_by_name("/"),
        format!("//localhost:{}/", inside.url("").rsplit_once(':').unwrap().1),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "file:///etc/passwd".to_owned(),
    ];
    let classes = ["blocked", "blocked", "blocked", "blocked", "malformed"];
    let to = places.clone();
    let site = Site::start(move |asked| {
        let place: usize = asked.line.trim_start_matches("GET /").parse().unwrap();
        redirect(302, to[place].clone())
    })
    .await;
    // One is not listed, the other is, as a host that must not lead to this machine.
    let run = run(vec![site.listed("s"), inside.listed_as_public()]).await;
    for (number, class) in classes.iter().enumerate() {
        let outcome = called(
            &run,
            json!({"http": {"url": site.url(&format!("/{number}"))}}),
            json!({}),
        )
        .await;
        assert_eq!(
            failure(&outcome).class,
            *class,
            "{}: {:?}",
            places[number],
            outcome.ending
        );
    }
    assert!(inside.asked().is_empty());
}

#[tokio::test]
async fn a_name_that_resolves_to_this_machine_is_not_connected_to() {
    let site = Site::start(|_| found(&json!({}))).await;
    let run = run(vec![site.listed_as_public()]).await;

    let outcome = called(&run, json!({"http": {"url": site.url_by_name("/")}}), json!({})).await;

    assert_eq!(failure(&outcome).class, "blocked");
    assert!(
        failure(&outcome).message.contains("`localhost` leads to this machine"),
        "{outcome:?}"
    );
    assert!(site.asked().is_empty());
}

#[tokio::test]
async fn redirects_end() {
    let site = Site::start(|_| redirect(302, "/again".to_owned())).await;
    let run = run(vec![site.listed("s")]).await;
    let outcome = called(&run, json!({"http": {"url": site.url("/")}}), json!({})).await;
    assert_eq!(failure(&outcome).class, "too_many");
    assert_eq!(site.asked().len(), 6);
}

#[tokio::test]
async fn an_answer_is_as_large_as_the_file_allows() {
    let site = Site::start(|asked| match asked.line.as_str() {
        "GET /endless" => Reply::Endless,
        _ => Reply::Whole(200, Vec::new(), "x".repeat(100)),
    })
    .await;
    let run = run(vec![site.listed("s")]).await;
    for (path, max_bytes, class) in [
        ("/endless", 5_000, "too_many"),
        ("/told", 99, "too_many"),
        ("/told", 100, ""),
    ] {
        let step = json!({"http": {"url": site.url(path), "response": {"max_bytes": max_bytes}}});
        let outcome = called(&run, step, json!({})).await;
        match class {
            "" => drop(output(outcome)),
            class => assert_eq!(failure(&outcome).class, class, "{path}"),
        }
    }
}

#[tokio::test]
async fn who_does_not_answer_is_left_at_the_deadline() {
    let site = Site::start(|_| Reply::Never).await;
    let run = run(vec![site.listed("s")]).await;
    let step = json!({"timeout": "200ms", "http": {"url": site.url("/")}});

    let began = Instant::now();
    let outcome = called(&run, step, json!({})).await;

    assert_eq!(failure(&outcome).class, "timeout");
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

#[tokio::test]
async fn who_asks_to_be_left_alone_is_left_alone_and_asked_again() {
    let count = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let site = Site::start(move |_| match count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        0 => Reply::Whole(429, vec![("retry-after", "1".to_owned())], "slow down".to_owned()),
        _ => found(&json!({"n": 1})),
    })
    .await;
    let run = run(vec![site.listed("s")]).await;
    let call = json!({"method": "POST", "url": site.url("/"), "body": {}, "response": {"schema": {}}});
    let step = json!({"retry": {"max_attempts": 2, "initial": "1ms"}, "http": call});

    let began = Instant::now();
    let output = output(called(&run, step, json!({})).await);

    assert_eq!(output["json"], json!({"n": 1}));
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    let [first, second] = site.asked().try_into().unwrap();
    assert_eq!(first.headers["idempotency-key"], second.headers["idempotency-key"]);
}

#[tokio::test]
async fn a_wait_that_cannot_end_in_time_is_not_begun() {
    let forever = u64::MAX.to_string();
    let site = Site::start(move |_| Reply::Whole(429, vec![("retry-after", forever.clone())], String::new())).await;
    let run = run(vec![site.listed("s")]).await;
    let step = json!({"retry": {"max_attempts": 2}, "http": {"url": site.url("/")}});

    let outcome = called(&run, step, json!({})).await;

    assert_eq!(failure(&outcome).class, "rate_limited");
    assert_eq!(site.asked().len(), 1);
}

#[tokio::test]
async fn a_status_that_is_not_fine_is_a_failure_with_a_class() {
    let site = Site::start(|asked| {
        let status = asked.line.trim_start_matches("GET /").parse().unwrap();
        Reply::Whole(status, Vec::new(), "why".to_owned())
    })
    .await;
    let run = run(vec![site.listed("s")]).await;
    for (status, class) in [
        (400, "bad_request"),
        (401, "auth"),
        (403, "auth"),
        (404, "not_found"),
        (409, "bad_request"),
        (429, "rate_limited"),
        (500, "server"),
        (503, "overloaded"),
    ] {
        let step = json!({"http": {"url": site.url(&format!("/{status}"))}});
        let outcome = called(&run, step, json!({})).await;
        let failure = failure(&outcome);
        assert_eq!(failure.class, class);
        assert_eq!(failure.message, format!("`127.0.0.1` answered {status}: why"));
    }
    let fine = json!({"http": {"url": site.url("/404"), "response": {"schema": {}, "statuses": [200, 404]}}});
    assert_eq!(output(called(&run, fine, json!({})).await), json!({"status": 404}));
    let fallback = json!([{"id": "plain", "transform": "{{ error.class }}"}]);
    let caught = json!({"http": {"url": site.url("/404")}, "fallback": {"on": ["not_found"], "steps": fallback}});
    assert_eq!(output(called(&run, caught, json!({})).await), "not_found");
}

#[tokio::test]
async fn an_answer_that_is_not_what_the_file_says_is_a_failure() {
    let site = Site::start(|asked| match asked.line.as_str() {
        "GET /page" => Reply::Whole(200, Vec::new(), "<html>".to_owned()),
        _ => found(&json!({"id": "seven"})),
    })
    .await;
    let run = run(vec![site.listed("s")]).await;
    let schema = json!({"type": "object", "properties": {"id": {"type": "integer"}}});
    for (path, class) in [("/page", "malformed"), ("/order", "invalid_answer")] {
        let step = json!({"http": {"url": site.url(path), "response": {"schema": schema}}});
        let outcome = called(&run, step, json!({})).await;
        assert_eq!(failure(&outcome).class, class);
        assert!(!failure(&outcome).message.contains("seven"), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_model_may_call_it_as_a_tool() {
    let answer = Answer::Text(r#"{"order": "a/b"}"#.to_owned());
    let script = Script {
        answer,
        ..Script::default()
    };
    let model = ScriptedModel::start(script).await.unwrap();
    let models = format!(
        "providers:\n  scripted: {{dialect: openai, base_url: {}}}\nmodels:\n  told: {{provider: scripted, model: any, price: free}}\n",
        model.url
    );
    let site = Site::start(|_| found(&json!({"state": "open"}))).await;
    let run = Run::with(Resources {
        hosts: Arc::new(hosts(vec![site.listed("s")])),
        ..Resources::of(Arc::new(Models::load(&models, "models.yaml").unwrap()))
    })
    .await;
    let parameters = json!({"type": "object", "required": ["order"], "properties": {"order": {"type": "string"}}});
    let call = json!({"url": site.url("/orders/{{ arguments.order }}"), "response": {"schema": {}}});
    let tool =
        json!({"description": "Finds an order", "parameters": parameters, "steps": [{"id": "found", "http": call}]});
    let chat = json!({
        "model": "told", "messages": [{"role": "user", "content": "hello"}], "tools": {"order": tool}, "max_rounds": 1});
    let chain = run.chain(
        &json!([{"id": "asked", "chat": chat}]),
        "{{ steps.asked.calls[0].output.json.state }}",
    );

    assert_eq!(
        run.run(&chain, json!({})).await.ending,
        Ending::Completed(json!("open"))
    );
    assert_eq!(site.asked()[0].line, "GET /orders/a%2Fb");
}

#[tokio::test]
async fn what_would_be_sent_can_be_looked_at_without_secrets() {
    let resources = resources();
    let chain = json!({
        "apiVersion": "chain/v1", "kind": "Chain", "metadata": {"name": "test", "version": 1}, "input": {"schema": {}},
        "steps": [{"id": "call", "http": {
            "method": "PUT", "url": "https://api.example.com/v1/{{ input }}", "query": {"a": 1}, "body": {"b": "{{ input }}"}}}],
        "output": {"value": "{{ steps.call.status }}"}});
    let chain = Chain::read(&chain.to_string(), "test.yaml", &resources).unwrap();
    let accepted = chain.accept(json!("x y"), json!({})).unwrap();
    let mocks = BTreeMap::from([("call".to_owned(), json!({"status": 204}))]);

    let (mut shown, ending) = chain
        .render(
            &accepted,
            mocks,
            &context("acme"),
            &resources,
            &PineconeSettings::default(),
        )
        .await;

    assert_eq!(ending, Ending::Completed(json!(204)));
    assert_eq!(
        shown[0]["headers"]["idempotency-key"].take().as_str().unwrap().len(),
        32
    );
    assert_eq!(
        shown,
        [json!({
            "step": "call", "method": "PUT", "url": "https://api.example.com/v1/x%20y?a=1",
            "headers": {
                "accept": "*/*", "content-type": "application/json", "idempotency-key": null,
                "authorization": "(a secret of millrace.yaml)"},
            "body": {"b": "x y"}})]
    );
}

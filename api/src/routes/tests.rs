//! The routes of an api whose brokers, registry and Postgres are all away: what it refuses, and how it says so.

use std::sync::OnceLock;

use futures::future::join_all;
use metrics_exporter_prometheus::PrometheusBuilder;
use schemas::{ChainRecord, Registry, RegistrySettings};
use serde_json::{Value, json};
use tokio::sync::{Mutex, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use topics::{Catalog, KafkaSettings, Producer, ProducerSettings, standing::Standing};
use warp::http::StatusCode;

use super::*;
use crate::{
    ApiSettings, bridge::Bridge, chains::Chains, cluster::Cluster, health::say, history::History, instances::Instances,
    recorder::Recorder, records::Records, ring::Ring, waiters::Waiters,
};

/// Nothing listens there.
const NOWHERE: &str = "127.0.0.1:9";

/// An api whose brokers, registry and Postgres are all away.
struct Alone {
    routes: BoxedFilter<(Response,)>,
    chains: Arc<Chains>,
    ready: watch::Sender<Result<(), String>>,
    recorder: watch::Sender<Result<(), String>>,
}

fn alone() -> Alone {
    let kafka: KafkaSettings = serde_json::from_value(json!({"bootstrap_servers": NOWHERE})).unwrap();
    let registry: RegistrySettings = serde_json::from_value(json!({"url": format!("http://{NOWHERE}")})).unwrap();
    let registry = Registry::new(&registry).unwrap();
    let settings = ApiSettings {
        max_body_bytes: 1_000,
        ..ApiSettings::default()
    };
    let (ready, is_ready) = watch::channel(Ok(()));
    let (recorder, recorder_is_ready) = watch::channel(Ok(()));
    let chains = Arc::new(Chains::default());
    let history = History::new(&format!("postgres://nobody@{NOWHERE}/none"), &kafka).unwrap();
    let api = Arc::new(Api {
        settings,
        bridge: Arc::new(Bridge {
            requests: "requests.interactive".to_owned(),
            producer: Producer::new(&kafka, ProducerSettings::new("test")).unwrap(),
            encoder: OnceLock::new(),
            decoder: registry.decoder().unwrap(),
            ring: Ring::new(10, 10_000),
            waiters: Waiters::new(1),
            closing: CancellationToken::new(),
        }),
        chains: Arc::clone(&chains),
        recorder: Recorder::new(&kafka, &Catalog::embedded().unwrap(), history.clone()).unwrap(),
        history,
        records: Records::new(&kafka, &registry),
        cluster: Cluster::new(Standing::new(&kafka, &Catalog::embedded().unwrap()).unwrap()),
        instances: Instances::default(),
        instances_known: is_ready.clone(),
        counted: Mutex::default(),
        encodes: is_ready.clone(),
        results: is_ready.clone(),
        streams: Arc::new(Semaphore::new(1)),
        // Streams end at once: what takes a request here reads its answer to the end.
        stopping: stopped(),
        ready: is_ready.clone(),
        chains_known: is_ready.clone(),
    });
    let metrics = PrometheusBuilder::new().build_recorder().handle();
    let health = Health::new(vec![("api", is_ready), ("recorder", recorder_is_ready)], metrics);
    Alone {
        routes: all(&api, &health),
        chains,
        ready,
        recorder,
    }
}

fn stopped() -> CancellationToken {
    let token = CancellationToken::new();
    token.cancel();
    token
}

impl Alone {
    fn publish(&self, name: &str, input_schema: &Value) {
        let record = ChainRecord {
            name: name.to_owned(),
            version: 1,
            input_schema: input_schema.to_string(),
            ..ChainRecord::default()
        };
        self.chains.publish(record);
    }

    async fn get(&self, path: &str) -> (StatusCode, Value, HeaderMap) {
        self.send("GET", path, None, "").await
    }

    async fn post(&self, path: &str, body: &str) -> (StatusCode, Value, HeaderMap) {
        self.send("POST", path, Some("application/json"), body).await
    }

    /// Whatever is answered, it carries an id, and an error is a problem.
    async fn send(&self, method: &str, path: &str, kind: Option<&str>, body: &str) -> (StatusCode, Value, HeaderMap) {
        let mut request = warp::test::request().method(method).path(path).body(body);
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        let response = request.reply(&self.routes).await;
        let (status, headers) = (response.status(), response.headers().clone());
        let json: Value = serde_json::from_slice(response.body()).unwrap_or_default();
        assert!(headers.contains_key("x-request-id"), "{method} {path}");
        if status.is_client_error() || status.is_server_error() {
            assert_eq!(headers["content-type"], "application/problem+json", "{method} {path}");
            assert_eq!(json["status"], status.as_u16());
            assert_eq!(json["instance"], path.split('?').next().unwrap());
            assert!(json["type"].as_str().unwrap().starts_with("urn:problem-type:millrace:"));
            assert!(json["title"].is_string() && json["detail"].is_string() && json["retryable"].is_boolean());
        }
        (status, json, headers)
    }
}

#[tokio::test]
async fn every_path_takes_its_methods_and_says_which_when_it_gets_another() {
    let api = alone();
    let paths = ALL.concat();
    let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"];
    let checks = paths
        .iter()
        .flat_map(|path| methods.map(|method| (path, method)))
        .map(async |(path, method)| {
            let url = path
                .template
                .replace("{id}", "a")
                .replace("{chain}", "answer")
                .replace("{topic}/{partition}/{offset}", "requests/0/7")
                .replace("{path}", "live");
            let (status, _, headers) = api.send(method, &url, None, "").await;
            let takes = path.allow.split(", ").any(|it| it == method);
            assert_eq!(status != StatusCode::METHOD_NOT_ALLOWED, takes, "{method} {url}");
            assert!(takes || headers["allow"] == path.allow, "{method} {url}");
        });
    join_all(checks).await;
    for path in [
        "/uiless",
        "/nope",
        "/runs//",
        "/runs//steps",
        "/runs/a/b",
        "/chains/a/invoke/b",
        "/metrics/a",
    ] {
        let (status, problem, _) = api.get(path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(problem["type"], "urn:problem-type:millrace:no-such-path");
    }
    assert_eq!(
        api.send("PUT", "/runs/", None, "").await.0,
        StatusCode::METHOD_NOT_ALLOWED
    );
}

#[test]
fn the_contract_has_every_route_and_no_other() {
    let contract: Value = serde_json::from_str(contract::CONTRACT).unwrap();
    let in_contract = contract["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().keys();
        methods.map(move |method| format!("{} {path}", method.to_ascii_uppercase()))
    });
    let routes = ALL.concat();
    let served = routes.iter().flat_map(|path| {
        let methods = path.allow.split(", ").filter(|method| *method != "HEAD");
        methods.map(move |method| format!("{method} {}", path.template))
    });
    let sorted = |mut all: Vec<String>| {
        all.sort();
        all
    };
    assert_eq!(sorted(in_contract.collect()), sorted(served.collect()));
}

#[tokio::test]
async fn only_pages_of_our_own_may_call() {
    let api = alone();
    let status = async |name: &str, value: &str| {
        let request = warp::test::request().path("/healthz").header(name, value);
        request.reply(&api.routes).await.status().as_u16()
    };
    assert_eq!(status("host", "localhost:8080").await, 200);
    assert_eq!(status("host", "evil.example").await, 421);
    assert_eq!(status("origin", "https://evil.example").await, 403);
}

#[tokio::test]
async fn the_root_leads_to_the_page() {
    let api = alone();
    for path in ["/", "/ui"] {
        let (status, _, headers) = api.get(path).await;
        assert_eq!(
            (status, headers["location"].as_bytes()),
            (StatusCode::FOUND, b"/ui/".as_slice())
        );
    }
    let (status, _, headers) = api.get("/ui/runs/a").await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        headers["content-security-policy"]
            .to_str()
            .unwrap()
            .starts_with("default-src 'none'")
    );
    assert_eq!(api.get("/ui/assets/none.js").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_body_that_is_not_what_it_should_be_is_told_why() {
    let api = alone();
    let refused = async |kind: Option<&str>, body: &str| {
        let (status, problem, _) = api.send("POST", "/chains/answer/invoke", kind, body).await;
        (status.as_u16(), problem["detail"].as_str().unwrap().to_owned())
    };
    let form = Some("application/x-www-form-urlencoded");
    let (status, detail) = refused(form, "{}").await;
    assert_eq!(status, 415);
    assert_eq!(
        detail,
        "content-type is application/x-www-form-urlencoded: send application/json"
    );
    assert_eq!(refused(None, "{}").await.0, 415);

    let json = Some("application/json; charset=utf-8");
    let (status, detail) = refused(json, "{\n  \"input\": oops\n}").await;
    assert_eq!(
        (status, detail.as_str()),
        (400, "line 2, column 12, in /input: expected value")
    );
    for (body, told) in [
        (
            "{\"input\": {\"id\": 18446744073709551616}}",
            "line 1, column 18, in /input/id: this number has more digits",
        ),
        (
            "{\"input\":\n [1, 1e-400]}",
            "line 2, column 6, in /input/1: this number has more digits",
        ),
        (
            "{\"input\": 1, \"input\": 2}",
            "in /input: the object has this name twice",
        ),
        ("\u{feff}{\"input\": 1}", "byte order mark"),
        (
            "{\"input\": \"\\ud83d\"}",
            "in /input: this escape is half of a surrogate pair",
        ),
    ] {
        let (status, detail) = refused(json, body).await;
        assert!(status == 400 && detail.contains(told), "{body}: {detail}");
    }
    assert_eq!(refused(json, "").await.0, 400);
    assert_eq!(refused(json, &"[".repeat(500)).await.0, 400, "too deep");

    let (status, detail) = refused(json, &format!("\"{}\"", "x".repeat(1_000))).await;
    assert_eq!(status, 413);
    assert!(detail.starts_with("the body is larger than 1000 bytes"));
    assert_eq!(
        refused(json, &format!("{{\"nope\":\"{}\"}}", "x".repeat(900))).await.0,
        422,
        "just fits"
    );
}

#[tokio::test]
async fn mistakes_come_as_a_list_with_places() {
    let api = alone();
    api.publish("answer", &json!({"type": "object", "required": ["question"]}));
    let (status, problem, _) = api.post("/runs", r#"{"webhook": "x"}"#).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let expected = json!([
        {"loc": ["body", "chain"], "msg": "Field required", "type": "missing"},
        {"loc": ["body", "input"], "msg": "Field required", "type": "missing"},
        {"loc": ["body", "webhook"], "msg": "there is no such option", "type": "extra_forbidden"},
    ]);
    assert_eq!(problem["errors"], expected);

    let (status, problem, _) = api.post("/chains/answer/invoke", r#"{"input": {}}"#).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let expected = json!([
        {"loc": ["body", "input"], "msg": "\"question\" is a required property", "type": "required"}
    ]);
    assert_eq!(problem["errors"], expected);

    let (status, problem, _) = api.post("/runs?wait=1s", r#"{"chain": "answer", "input": 1}"#).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem["detail"], "query.wait: there is no such parameter");
    let (status, problem, _) = api.get("/runs?limit=0&colour=red").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem["errors"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn without_brokers_registry_and_postgres_it_says_what_is_missing() {
    let api = alone();
    api.publish("answer", &json!({}));
    let (status, problem, headers) = api.post("/chains/answer%401/invoke", r#"{"input": 1}"#).await;
    assert_eq!(
        (status, headers["retry-after"].as_bytes()),
        (StatusCode::SERVICE_UNAVAILABLE, b"1".as_slice())
    );
    assert_eq!(problem["type"], "urn:problem-type:millrace:not-ready");
    assert_eq!(
        api.post("/chains/other/invoke", r#"{"input": 1}"#).await.0,
        StatusCode::NOT_FOUND
    );

    let (status, problem, headers) = api.get("/runs/a").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(problem["type"], "urn:problem-type:millrace:history-unavailable");
    assert!(headers.contains_key("retry-after") && problem["retryable"] == true);
    let refused = "Postgres at 127.0.0.1:9 cannot be read: Connection refused (os error 111); is it up, and is \
                   `postgres.url` (MILLRACE_POSTGRES__URL) right?";
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.starts_with(refused), "{detail}");

    let (status, ready, _) = api.get("/readyz").await;
    assert_eq!((status, &ready["status"]), (StatusCode::OK, &json!("ready")));
    assert_eq!(ready["degraded"], json!([format!("history: {refused}")]));
    say(&api.recorder, Err("waiting for Postgres".to_owned()));
    let (status, ready, _) = api.get("/readyz").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(ready["degraded"][0], "recorder: waiting for Postgres");
    say(
        &api.ready,
        Err("the tail of results has not reached its end yet".to_owned()),
    );
    let (status, problem, _) = api.get("/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        problem["detail"],
        "api: the tail of results has not reached its end yet"
    );
    assert_eq!(api.get("/chains").await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(api.get("/healthz").await.0, StatusCode::OK);
    let (status, _, headers) = api.get("/metrics").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
}

#[tokio::test]
async fn published_chains_are_shown() {
    let api = alone();
    api.publish("answer", &json!({"type": "object"}));
    let (_, chains, _) = api.get("/chains").await;
    assert_eq!(chains["chains"][0]["name"], "answer");
    let (_, chain, _) = api.get("/chains/answer@1").await;
    assert_eq!(
        (&chain["version"], &chain["input_schema"]),
        (&json!(1), &json!({"type": "object"}))
    );
    assert_eq!(api.get("/chains/answer@2").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_id_of_the_exchange_is_kept_if_it_can_be_repeated_safely() {
    let api = alone();
    let echoed = async |id: &str| {
        let request = warp::test::request().path("/healthz").header("x-request-id", id);
        request.reply(&api.routes).await.headers()["x-request-id"]
            .to_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(echoed("call-7").await, "call-7");
    assert_ne!(echoed("a b").await, "a b");
    assert_ne!(echoed(&"x".repeat(129)).await.len(), 129);
}

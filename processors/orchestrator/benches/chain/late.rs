//! How long after its deadline a run ends that is in the middle of a step, for every kind of step.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use egress::{EgressSettings, Hosts};
use models::{Caller, Models, Unrecorded};
use orchestrator::{Ending, Others, Resources, SCHEMA, Services};
use retrieval::{ApiKey, Pinecone, PineconeSettings};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    ROUNDS, median,
    stage::{chain, context, print},
};

/// The last is well within a call, the first at the begin of whatever is done in one go.
const DEADLINES: [Duration; 3] = [
    Duration::from_millis(1),
    Duration::from_millis(5),
    Duration::from_millis(25),
];

/// Worth of text for what works on text.
const BYTES: usize = 1_000_000;

pub async fn every_kind() {
    let port = silence().await;
    let (resources, services) = world(port);
    for kind in kinds() {
        for (what, step, input) in busy(&kind, port) {
            let step = json!([{"id": "busy", (&kind): step}]);
            let chain = chain("bench", &step, "1", &json!([]), &resources);
            let accepted = chain.accept(input, Value::Null).unwrap();
            let mut worst = 0.0_f64;
            for deadline in DEADLINES {
                let mut rounds = Vec::new();
                for _ in 0..ROUNDS {
                    let began = Instant::now();
                    let outcome = chain.run(&accepted, &context(deadline), &services).await;
                    let took = began.elapsed();
                    assert!(took >= DEADLINES[0], "{what} is over before its deadline: {outcome:?}");
                    if let Ending::Failed(failure) = &outcome.ending {
                        // A template that would never end runs out of fuel.
                        let classes = ["deadline_exceeded", "template"];
                        assert!(classes.contains(&failure.class.as_str()), "{what}: {failure:?}");
                    }
                    rounds.push(took.saturating_sub(deadline).as_secs_f64() * 1e3);
                }
                worst = worst.max(median(rounds));
            }
            print(&format!("{kind}: {what}, past its deadline"), worst, "ms", Some(50.0));
        }
    }
}

/// The kinds of steps that the language has.
fn kinds() -> Vec<String> {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let kinds = schema["definitions"]["step"]["oneOf"].as_array().unwrap();
    let kind = |kind: &Value| kind["required"][0].as_str().unwrap().to_owned();
    kinds.iter().map(kind).collect()
}

/// What a step of this kind is that takes long, with the input of its chain.
fn busy(kind: &str, port: u16) -> Vec<(&'static str, Value, Value)> {
    let message = json!([{"role": "user", "content": "hello"}]);
    let unanswered = |step| vec![("a call that nobody answers", step, Value::Null)];
    let around = |step| vec![("steps that would never end", step, Value::Null)];
    let (endless, inside) = (endless(), json!([{"id": "inside", "loop": endless()}]));
    match kind {
        "chat" => unanswered(json!({"model": "told", "messages": message})),
        "embed" => unanswered(json!({"model": "told_vectors", "texts": ["hello"]})),
        "retrieve" => unanswered(json!({"index": "unheard", "query": "hello"})),
        "rerank" => unanswered(json!({"model": "any", "query": "hello", "documents": [{"text": "hello"}]})),
        "http" => unanswered(json!({"url": format!("http://127.0.0.1:{port}/")})),
        "transform" => {
            let long = "{% for a in range(100000) %}{% for b in range(100000) %}{{ a * b }}{% endfor %}{% endfor %}";
            vec![("a template that would never end", json!(long), Value::Null)]
        }
        "parse" => parses(),
        "redact" => vec![(
            "1 MB full of what it covers",
            json!({"value": "{{ input }}"}),
            json!(sensitive()),
        )],
        "switch" => around(
            json!({"cases": [{"when": "{{ input == none }}", "steps": inside}], "default": [{"id": "other", "transform": 1}]}),
        ),
        "parallel" => around(json!({"branches": {"a": inside, "b": inside}})),
        "map" => {
            let many =
                json!({"over": "{{ range(100000) | list }}", "as": "n", "max_items": 100_000, "steps": moment()});
            let few = json!({"over": [1, 2, 3], "as": "n", "max_items": 3, "steps": inside});
            vec![
                ("100,000 items", many, Value::Null),
                ("steps that would never end", few, Value::Null),
            ]
        }
        "loop" => around(endless),
        "chain" => around(json!({"name": "endless@1", "input": null})),
        // It ends the turn at once: nothing takes time before a person does.
        "approve" => Vec::new(),
        other => panic!("what takes long in the step `{other}`?"),
    }
}

/// A loop, to all intents.
fn endless() -> Value {
    json!({"max": 1_000_000, "until": false, "steps": moment()})
}

fn moment() -> Value {
    json!([{"id": "made", "transform": "{% for n in range(1000) %}{{ n }}{% endfor %}"}])
}

fn parses() -> Vec<(&'static str, Value, Value)> {
    let item = json!({"name": "Ada", "age": 36, "tags": ["a", "b"]});
    let schema = json!({"type": "array", "items": {"type": "object", "required": ["name"], "properties": {
        "name": {"type": "string"}, "age": {"type": "integer"}, "tags": {"type": "array", "items": {"type": "string"}}}}});
    let list = json!(vec![&item; BYTES / item.to_string().len()]).to_string();
    let letter = format!("{}\nSigned: Ada", "It rained all day.\n".repeat(BYTES / 19));
    let pattern = "(?s)^(?<body>.*)\nSigned: (?<who>.+)$";
    vec![
        (
            "JSON of 1 MB",
            json!({"text": "{{ input }}", "json": schema}),
            json!(list),
        ),
        (
            "a pattern over 1 MB",
            json!({"text": "{{ input }}", "regex": pattern}),
            json!(letter),
        ),
    ]
}

fn sensitive() -> String {
    let each = "Ada: ada@example.com, +49 30 1234567, 4111 1111 1111 1111, DE89 3704 0044 0532 0130 00, 192.168.0.255, \
                00:1B:44:11:3a:b7, https://example.com/a?b=c, sk-proj-0123456789abcdefXYZ.\n";
    each.repeat(BYTES / each.len())
}

/// Takes every connection, and never says a word.
async fn silence() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut taken = Vec::new();
        while let Ok((socket, _)) = listener.accept().await {
            taken.push(socket);
        }
    });
    port
}

/// Whatever is called is the silence behind this port.
fn world(port: u16) -> (Resources, Services) {
    let url = format!("http://127.0.0.1:{port}");
    let models = format!(
        "providers: {{silent: {{dialect: openai, base_url: '{url}'}}, local: {{dialect: local}}}}\n\
         models:\n  told: {{provider: silent, model: any, price: free}}\n  \
         told_vectors: {{provider: silent, model: any, dimension: 384, price: free}}\n  \
         vectors: {{provider: local, model: ngram, dimension: 384, price: free}}\n"
    );
    let models = Arc::new(Models::load(&models, "models.yaml").unwrap());
    let host = json!({"host": "127.0.0.1", "port": port, "plain": true, "private": true});
    let index = json!({"name": "unheard", "index": "unheard", "embedding": "vectors", "dimension": 384});
    let mut resources = Resources {
        hosts: Arc::new(
            Hosts::new(&EgressSettings {
                hosts: vec![serde_json::from_value(host).unwrap()],
            })
            .unwrap(),
        ),
        indexes: vec![serde_json::from_value(index).unwrap()],
        ..Resources::of(Arc::clone(&models))
    };
    let inside = json!([{"id": "inside", "loop": endless()}]);
    let inside = chain("endless", &inside, "1", &json!([]), &resources);
    resources.chains = Others::from_iter([Arc::new(inside)]);
    let pinecone = PineconeSettings {
        control_url: url,
        api_key: ApiKey::new("none"),
        ..PineconeSettings::default()
    };
    let caller = Arc::new(Caller::new(models, Arc::new(Unrecorded)).unwrap());
    let services = Services::new(resources.clone(), caller, Pinecone::new(&pinecone).unwrap()).unwrap();
    (resources, services)
}

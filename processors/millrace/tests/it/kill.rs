//! A worker dies, or is asked to stop, in the middle of slow and fast calls: each request still has exactly one result,
//! and no call is paid twice that need not be.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex},
};

use schemas::headers;
use testkit::{Script, ScriptedModel, kafka, until};
use topics::{KafkaSettings, Start, Tail, TailEvent, TailSettings, engine::core::Committed};

use crate::world::{Ask, SOON, World};

const REQUESTS: usize = 2_000;
/// Half of the calls take 5 ms, half 3 s.
const LATENCY: &str = "bimodal:5,3000,0.5";

const CHAIN: &str = r#"
apiVersion: chain/v1
kind: Chain
metadata: {name: ask, version: 1}
input:
  schema: {type: object, required: [question], properties: {question: {type: string}}}
steps:
  - id: answer
    chat: {model: paid, messages: [{role: user, content: "{{ input.question }}"}]}
output: {value: "{{ steps.answer.text }}"}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_killed_in_the_middle_of_its_calls() {
    let story = Story::begin("killed").await;
    let worker = story.world.start("first", "orchestrator").await;
    story.send_requests().await;
    story.results_are_at_least(REQUESTS / 4).await;

    worker.process.kill().unwrap();

    // what the dead one committed is final: nothing of it may be repeated, however the next one takes over
    let committed = story.committed();
    let seen = story.results.lock().unwrap().clone();
    assert!(seen.len() < REQUESTS, "the kill came too late to prove anything");
    assert!(
        committed.values().any(|state| !state.progress.is_empty()),
        "at the kill some partition had results above its watermark: {committed:?}"
    );
    let called: BTreeSet<String> = story.model.calls().into_iter().map(|call| call.request_id).collect();

    let _heir = story.world.start("heir", "orchestrator").await;
    story.each_has_exactly_one_result().await;
    let results = story.results.lock().unwrap();
    let repeated: Vec<&String> = called.iter().filter(|id| story.model.count(id) > 1).collect();
    let open = called.iter().filter(|id| !seen.contains_key(*id)).count();
    assert!(
        !repeated.is_empty() && repeated.len() <= open,
        "{} repeated, {open} open at the kill",
        repeated.len()
    );
    for id in repeated {
        assert!(
            !seen.contains_key(id),
            "{id} had a committed result and was called again"
        );
    }
    assert_eq!(results.len(), REQUESTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_asked_to_stop_finishes_what_runs() {
    let story = Story::begin("stopped").await;
    let worker = story.world.start("first", "orchestrator").await;
    story.send_requests().await;
    story.results_are_at_least(REQUESTS / 4).await;

    let exit = worker.process.stop(SOON).await.unwrap();
    assert!(exit.success(), "{exit}");
    assert!(
        story.committed().values().all(|state| state.writer.is_none()),
        "every partition is released"
    );

    let _heir = story.world.start("heir", "orchestrator").await;
    story.each_has_exactly_one_result().await;
    let twice: Vec<String> = story
        .requests
        .iter()
        .filter(|id| story.model.count(id) != 1)
        .cloned()
        .collect();
    assert!(
        twice.is_empty(),
        "called more than once, though every call could finish within the grace period: {twice:?}"
    );
}

struct Story {
    world: World,
    model: ScriptedModel,
    kafka: KafkaSettings,
    requests: Vec<String>,
    /// How often each request id has a committed result, kept up to date by a reader of its own.
    results: Arc<Mutex<HashMap<String, usize>>>,
}

impl Story {
    async fn begin(name: &str) -> Self {
        let mut world = World::new(name).await;
        let model = ScriptedModel::start(Script {
            seed: 7,
            ..Script::after(LATENCY.parse().unwrap())
        })
        .await
        .unwrap();
        world.write("chains/ask.yaml", CHAIN);
        let models = world.write("models.yaml", &models(&model.url));
        world.set("CHAINS", world.folder.path().join("chains").display().to_string());
        world.set("MODELS", models.display().to_string());
        let kafka = world.kafka();
        let results = Arc::default();
        watch_results(&kafka, Arc::clone(&results)).await;
        let requests = (0..REQUESTS).map(|number| format!("{name}-{number}")).collect();
        Self {
            world,
            model,
            kafka,
            requests,
            results,
        }
    }

    async fn send_requests(&self) {
        let sent = self.requests.iter().enumerate().map(|(number, id)| Ask {
            id: id.clone(),
            // most have no key; the keyed ones come often enough to have lanes
            key: (number % 10 == 0).then(|| format!("key-{}", number % 400)),
            input: format!("{{\"question\": \"number {number}\"}}"),
        });
        self.world.send("requests", "ask", sent).await;
    }

    async fn results_are_at_least(&self, count: usize) {
        let seen = until(SOON, async || {
            (self.results.lock().unwrap().len() >= count).then_some(())
        })
        .await;
        seen.unwrap_or_else(|late| panic!("{late}: {} results", self.results.lock().unwrap().len()));
    }

    async fn each_has_exactly_one_result(&self) {
        self.results_are_at_least(REQUESTS).await;
        // a second result would be committed by the time that everything is at its end
        until(SOON, async || {
            let committed = self.committed();
            let waits = committed.values().any(|state| !state.progress.is_empty());
            (!waits).then_some(())
        })
        .await
        .unwrap();
        let results = self.results.lock().unwrap();
        let wrong: Vec<_> = self.requests.iter().filter(|id| results.get(*id) != Some(&1)).collect();
        assert!(wrong.is_empty(), "not exactly one result: {wrong:?}");
    }

    fn committed(&self) -> BTreeMap<i32, Committed> {
        let group = self.kafka.group("orchestrator");
        let offsets = kafka::committed(&self.kafka.bootstrap_servers, &group, &self.kafka.topic("requests")).unwrap();
        offsets
            .into_iter()
            .map(|at| {
                (
                    at.partition,
                    Committed::decode(at.offset.unwrap(), &at.metadata).unwrap(),
                )
            })
            .collect()
    }
}

async fn watch_results(kafka: &KafkaSettings, results: Arc<Mutex<HashMap<String, usize>>>) {
    let settings = TailSettings {
        client_id: "witness".to_owned(),
        topics: vec![kafka.topic("results")],
        start: Start::Beginning,
        buffer_bytes: 16 << 20,
    };
    let mut tail = Tail::open(kafka, settings).unwrap();
    while !matches!(tail.recv().await.unwrap(), TailEvent::CaughtUp) {}
    tokio::spawn(async move {
        while let Ok(event) = tail.recv().await {
            let TailEvent::Record(record) = event else { continue };
            let id = record.headers.text(headers::REQUEST_ID).unwrap().to_owned();
            *results.lock().unwrap().entry(id).or_default() += 1;
        }
    });
}

fn models(url: &str) -> String {
    format!(
        "providers:
  scripted: {{dialect: openai, base_url: {url}/v1}}
models:
  paid: {{provider: scripted, model: scripted, max_tokens: 100, context: 8000, price: {{input: 1, output: 2}}, timeout: 30s}}
"
    )
}

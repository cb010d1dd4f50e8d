//! After a crash the books name the calls that were in flight, and no others: not those that came back, not those that a
//! rebalance or a stop cut off.

use std::collections::BTreeSet;

use sqlx::{Connection, PgConnection};
use testkit::{Outcome, Rule, Script, ScriptedModel, When, until};

use crate::world::{Ask, SOON, World, json_lines};

const FAST: usize = 40;
const SLOW: usize = 60;

const CHAIN: &str = r#"
apiVersion: chain/v1
kind: Chain
metadata: {name: ask, version: 1}
input:
  schema: {type: object, required: [question], properties: {question: {type: string}}}
budget: {deadline: 300s}
steps:
  - id: first
    chat: {model: paid, messages: [{role: user, content: "quick"}]}
  - id: answer
    chat: {model: paid, messages: [{role: user, content: "{{ input.question }} {{ steps.first.text }}"}]}
output: {value: "{{ steps.answer.text }}"}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_the_calls_that_were_in_flight_are_listed_and_no_others() {
    let story = Story::begin("unresolved").await;
    let _recorder = story.world.start("recorder", "recorder").await;
    let first = story.world.start("first", "orchestrator").await;
    story.send("fast", FAST).await;
    story.send("slow", SLOW).await;
    story.until_running("slow", SLOW).await;

    // Some partitions go to another member. Their calls are cut off, and settled; there they are made again.
    let second = story.world.start("second", "orchestrator").await;
    let mut moved = BTreeSet::new();
    let settled = until(SOON, async || {
        moved = story.calls("slow", Outcome::Abandoned);
        (!moved.is_empty() && story.settled().await == twice(&moved)).then_some(())
    });
    settled.await.unwrap();

    let in_flight = story.calls("slow", Outcome::Running);
    first.process.kill().unwrap();
    assert_eq!(in_flight.len() + moved.len(), SLOW);
    assert!(!in_flight.is_empty(), "all partitions moved");

    let mut listed = Vec::new();
    let exactly = until(SOON, async || {
        listed = json_lines(&story.world.succeed(&["audit", "unresolved", "--json"]));
        let mut ids: Vec<_> = listed
            .iter()
            .map(|call| call["request_id"].as_str().unwrap().to_owned())
            .collect();
        ids.sort();
        (ids == twice(&in_flight)).then_some(())
    });
    if exactly.await.is_err() {
        let said = story.world.succeed(&["audit", "unresolved"]);
        panic!("{said}instead of {in_flight:?}; moved: {moved:?}");
    }
    let completed = story
        .column("SELECT request_id FROM runs WHERE status = 'completed'")
        .await;
    assert_eq!(completed.len(), FAST + SLOW);

    let estimates = listed.iter().map(|call| call["estimate_nanos"].as_i64().unwrap());
    let sum = schemas::Money(estimates.sum());
    let said = story.world.succeed(&["audit", "unresolved"]);
    let sum = format!(
        "{} calls may have been paid without an outcome: {sum} at most",
        listed.len()
    );
    assert!(said.contains(&sum), "{said}");
    let nobody = story.world.succeed(&["audit", "unresolved", "--tenant", "nobody"]);
    assert!(nobody.starts_with("0 calls"), "{nobody}");
    second.process.stop(SOON).await.unwrap();
}

/// A stop whose grace is over cuts calls off: they are settled before the process ends.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_stop_cuts_off_is_settled() {
    let mut story = Story::begin("cut-off").await;
    story.world.set("ORCHESTRATOR__GRACE_MS", "500");
    let _recorder = story.world.start("recorder", "recorder").await;
    let first = story.world.start("first", "orchestrator").await;
    story.send("slow", SLOW).await;
    story.until_running("slow", SLOW).await;
    assert!(first.process.stop(SOON).await.unwrap().success());
    let settled = until(SOON, async || (story.settled().await.len() == 2 * SLOW).then_some(()));
    settled.await.unwrap();
    let said = story.world.succeed(&["audit", "unresolved", "--older-than", "1ms"]);
    assert!(said.starts_with("0 calls"), "{said}");
}

struct Story {
    world: World,
    model: ScriptedModel,
}

impl Story {
    /// Slow calls take minutes the first time, and are quick when they are made again.
    async fn begin(name: &str) -> Self {
        let mut world = World::new(name).await;
        let slow = Rule {
            when: When {
                contains: Some("slow".to_owned()),
                attempts: Some(1),
                ..When::default()
            },
            latency: Some("fixed:300000".parse().unwrap()),
            answer: None,
        };
        let script = Script {
            rules: vec![slow],
            ..Script::default()
        };
        let model = ScriptedModel::start(script).await.unwrap();
        world.write("chains/ask.yaml", CHAIN);
        let models = format!(
            "providers: {{scripted: {{dialect: openai, base_url: {}/v1}}}}
models: {{paid: {{provider: scripted, model: m, max_tokens: 10, context: 8000, price: {{input: 1, output: 2}}, timeout: 300s}}}}",
            model.url
        );
        let models = world.write("models.yaml", &models);
        world.set("CHAINS", world.folder.path().join("chains").display().to_string());
        world.set("MODELS", models.display().to_string());
        Self { world, model }
    }

    /// Half of them to either topic, so that a new member takes some of them whichever partitions it gets.
    async fn send(&self, kind: &str, count: usize) {
        for (remainder, topic) in ["requests", "requests.interactive"].into_iter().enumerate() {
            let numbers = (0..count).filter(|number| number % 2 == remainder);
            let asks = numbers.map(|number| Ask {
                id: format!("{kind}-{number}"),
                key: None,
                input: format!("{{\"question\": \"{kind} {number}\"}}"),
            });
            self.world.send(topic, "ask", asks).await;
        }
    }

    /// The requests whose first call is there with such an outcome.
    fn calls(&self, kind: &str, outcome: Outcome) -> BTreeSet<String> {
        let calls = self.model.calls().into_iter();
        calls
            .filter(|call| call.attempt == 1 && call.outcome == outcome && call.request_id.starts_with(kind))
            .map(|call| call.request_id)
            .collect()
    }

    async fn until_running(&self, kind: &str, count: usize) {
        let running = until(SOON, async || {
            (self.calls(kind, Outcome::Running).len() == count).then_some(())
        });
        running.await.unwrap();
    }

    async fn column(&self, query: &'static str) -> Vec<String> {
        let mut postgres = PgConnection::connect(&self.world.postgres_url).await.unwrap();
        sqlx::query_scalar(query).fetch_all(&mut postgres).await.unwrap()
    }

    /// The requests of the calls that are settled on `attempts`, in order.
    async fn settled(&self) -> Vec<String> {
        self.column("SELECT request_id FROM attempts WHERE phase = 'settled' AND cost_nanos > 0 ORDER BY request_id COLLATE \"C\"")
            .await
    }
}

/// A run makes two calls: one that came back, and the one that is cut off.
fn twice(requests: &BTreeSet<String>) -> Vec<String> {
    requests.iter().flat_map(|id| [id.clone(), id.clone()]).collect()
}

//! What of a chain's texts leaves: to a provider, and to the audit. The steps see all of it.

use std::sync::Arc;

use models::Models;
use orchestrator::{Ending, HashKey, Outcome, Resources};
use retrieval::Metric;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use testkit::{Answer, Rule, Script, ScriptedModel, When};

use crate::{
    resources,
    run::{Run, failure},
};

const ADDRESS: &str = "ada@example.com";
const PHONE: &str = "+49 30 1234567";

struct Watched {
    run: Run,
    model: ScriptedModel,
}

impl Watched {
    /// A provider that refuses whatever has the address in it.
    async fn new(answer: Answer) -> Self {
        let leak = Rule {
            when: When {
                contains: Some(ADDRESS.to_owned()),
                ..When::default()
            },
            answer: Some(Answer::Status(400)),
            ..Rule::default()
        };
        Self::with(Script {
            answer,
            dimension: 8,
            rules: vec![leak],
            ..Script::default()
        })
        .await
    }

    async fn with(script: Script) -> Self {
        let model = ScriptedModel::start(script).await.unwrap();
        let models = format!(
            "providers:\n  scripted: {{dialect: openai, base_url: {}}}\n\
             models:\n  told: {{provider: scripted, model: any, price: {{input: 1, output: 2}}}}\n  \
             meant: {{provider: scripted, model: any, dimension: 8, price: {{input: 1}}}}\n",
            model.url
        );
        let resources = Resources {
            models: Arc::new(Models::load(&models, "models.yaml").unwrap()),
            indexes: vec![resources::index("docs", "meant", 8, Metric::DotProduct)],
            hash_key: Some(HashKey::new(&"k".repeat(32)).unwrap()),
            ..resources::resources()
        };
        Self {
            run: Run::with(resources).await,
            model,
        }
    }

    async fn run(&self, redact: Value, steps: Value, output: &str) -> Outcome {
        let chain = self.run.redacting(&redact, &steps, output);
        let text = format!("I am {ADDRESS}, call {PHONE}.");
        self.run.run(&chain, json!({"text": text})).await
    }
}

fn completed(outcome: &Outcome) -> &Value {
    match &outcome.ending {
        Ending::Completed(output) => output,
        other => panic!("{other:?}"),
    }
}

fn prompts(outcome: &Outcome) -> String {
    let rows = outcome.bill.attempts.iter();
    rows.map(|row| row.prompt.clone().unwrap())
        .collect::<Vec<_>>()
        .join("\n")
}

fn asks(id: &str) -> Value {
    json!({"id": id, "chat": {"model": "told", "messages": [
        {"role": "system", "content": "Never write to ada@example.com."}, {"role": "user", "content": "{{ input.text }}"}]}})
}

#[tokio::test]
async fn no_address_gets_to_a_provider_and_the_steps_still_see_it() {
    let watched = Watched::new(Answer::Echo).await;
    let steps = json!([
        asks("asked"),
        {"id": "vectors", "embed": {"model": "meant", "texts": ["{{ input.text }}"]}},
        {"id": "shown", "transform": "{{ steps.asked.text }} / {{ input.text }}{{ steps.vectors.vectors | length }}"}]);

    let redact = json!({"provider": {"types": ["email"], "strategy": "mask"}});
    let outcome = watched.run(redact, steps.clone(), "{{ steps.shown }}").await;

    assert_eq!(
        completed(&outcome),
        "I am ***********.com, call +49 30 1234567. / I am ada@example.com, call +49 30 1234567.1"
    );
    assert_eq!(outcome.bill.attempts.len(), 2, "a chat and an embedding");
    assert!(!prompts(&outcome).contains(ADDRESS) && prompts(&outcome).contains(PHONE));

    let outcome = watched.run(json!({"audit": {}}), steps, "{{ steps.shown }}").await;
    assert_eq!(
        failure(&outcome).class,
        "bad_request",
        "the provider would have seen it"
    );
}

#[tokio::test]
async fn what_a_model_and_its_tools_said_before_is_covered_when_it_is_told_again() {
    let answer = Answer::Text(format!(r#"{{"to": "{ADDRESS}"}}"#));
    let watched = Watched::new(answer).await;
    let tool = json!({
        "description": "Writes", "parameters": {"type": "object", "required": ["to"], "properties": {"to": {"type": "string"}}},
        "steps": [{"id": "written", "transform": "written to {{ arguments.to }}"}]});
    let mut step = asks("asked");
    step["chat"]["tools"] = json!({"write": tool});
    step["chat"]["max_rounds"] = json!(1);

    let redact = json!({"provider": {"types": ["email"]}});
    let outcome = watched.run(redact, json!([step]), "{{ steps.asked.calls }}").await;

    let calls = completed(&outcome);
    assert_eq!(calls[0]["output"], format!("written to {ADDRESS}"), "the tool saw it");
    assert_eq!(outcome.bill.attempts.len(), 2);
    assert!(!prompts(&outcome).contains(ADDRESS), "{}", prompts(&outcome));

    let mut step = asks("asked");
    step["chat"]["output"] = json!({"schema": {"type": "object", "required": ["from"]}, "repair": 1});
    let outcome = watched
        .run(json!({"provider": {"types": ["email"]}}), json!([step]), "1")
        .await;
    assert_eq!(
        (failure(&outcome).class.as_str(), outcome.bill.attempts.len()),
        ("invalid_answer", 2)
    );
    assert!(!prompts(&outcome).contains(ADDRESS), "{}", prompts(&outcome));
}

#[tokio::test]
async fn the_audit_has_no_address_and_the_typed_answer_has() {
    // As a JSON writer may escape it.
    let answer = format!(
        r#"{{"to": "{}", "card": 4111111111111111}}"#,
        ADDRESS.replace('@', "\\u0040")
    );
    let watched = Watched::with(Script {
        answer: Answer::Text(answer.clone()),
        ..Script::default()
    })
    .await;
    let mut step = asks("asked");
    step["chat"]["messages"][1]["content"] = json!("A line.\n{{ input.text }}");
    step["chat"]["output"] =
        json!({"schema": {"type": "object", "required": ["to"], "properties": {"to": {"type": "string"}}}});

    let outcome = watched
        .run(
            json!({"audit": {"types": ["email", "phone", "credit_card"]}}),
            json!([step]),
            "{{ steps.asked.json.to }}",
        )
        .await;

    assert_eq!(completed(&outcome), ADDRESS);
    let row = &outcome.bill.attempts[0];
    let prompt: Value = serde_json::from_str(row.prompt.as_deref().unwrap()).unwrap();
    assert_eq!(prompt[0]["content"], "Never write to [REDACTED_EMAIL].");
    assert_eq!(
        prompt[1]["content"],
        "A line.\nI am [REDACTED_EMAIL], call [REDACTED_PHONE]."
    );
    assert_eq!(
        serde_json::from_str::<Value>(row.response.as_deref().unwrap()).unwrap(),
        json!({"to": "[REDACTED_EMAIL]", "card": "[REDACTED_CREDIT_CARD]"})
    );
    assert_eq!(
        row.response_sha256,
        format!("{:x}", Sha256::digest(answer)),
        "of what was answered"
    );
}

#[tokio::test]
async fn a_provider_that_must_see_none_is_not_called() {
    let watched = Watched::new(Answer::Echo).await;
    let redact = json!({"provider": {"types": ["phone"], "strategy": "block"}});

    let outcome = watched.run(redact, json!([asks("asked")]), "1").await;

    assert_eq!(failure(&outcome).class, "blocked");
    assert!(!failure(&outcome).message.contains(PHONE));
    assert_eq!((watched.model.count("r-1"), outcome.bill.attempts.len()), (0, 0));
}

#[tokio::test]
async fn a_hash_tells_the_same_from_another_and_not_what_it_was() {
    let watched = Watched::new(Answer::Echo).await;
    let step = |value: &str| json!({"value": value, "types": ["email"], "strategy": "hash"});
    let steps = json!([
        {"id": "one", "redact": step("{{ input.text }}")},
        {"id": "two", "redact": step("eve@example.com, ada@example.com")},
        asks("asked")]);

    let redact = json!({"provider": {"strategy": "hash"}});
    let outcome = watched
        .run(redact, steps, "{{ [steps.one, steps.two, steps.asked.text] }}")
        .await;

    let covered = completed(&outcome);
    let hashes = |place: usize| {
        let text = covered[place].as_str().unwrap();
        let hashes = text.split("[EMAIL_HASH_").skip(1);
        hashes.map(|rest| rest[..16].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(hashes(0)[0], hashes(1)[1]);
    assert_ne!(hashes(1)[0], hashes(1)[1]);
    assert_eq!(hashes(2), hashes(0), "wherever it is covered");
    assert!(covered[2].as_str().unwrap().contains("[PHONE_HASH_"), "{covered}");
}

#[tokio::test]
async fn a_question_to_an_index_is_covered_too() {
    let watched = Watched::new(Answer::Echo).await;
    watched.run.index("docs", "acme", &[("a", "A text.")]).await;
    let steps = json!([{"id": "found", "retrieve": {"index": "docs", "query": "{{ input.text }}"}}]);

    let redact = json!({"provider": {"types": ["email"]}, "audit": {"types": ["phone"]}});
    let outcome = watched.run(redact, steps, "{{ steps.found.items | length }}").await;

    assert_eq!(completed(&outcome), 1);
    assert_eq!(
        prompts(&outcome),
        r#"["I am [REDACTED_EMAIL], call [REDACTED_PHONE]."]"#
    );
}

#[tokio::test]
async fn a_chain_in_a_chain_keeps_what_it_promises_and_what_the_outer_one_does() {
    let watched = Watched::new(Answer::Echo).await;
    let steps = json!([asks("asked")]);
    let provider = json!({"provider": {"types": ["email"]}});
    let inner = watched.run.redacting(&provider, &steps, "{{ steps.asked.text }}");
    let watched = Watched {
        run: watched.run.knowing(inner),
        ..watched
    };
    let calls = json!([{"id": "called", "chain": {"name": "test@1", "input": "{{ input }}"}}]);

    let redact = json!({"audit": {"types": ["phone"]}});
    let outcome = watched.run(redact, calls, "{{ steps.called }}").await;

    assert_eq!(
        completed(&outcome),
        "I am [REDACTED_EMAIL], call +49 30 1234567.",
        "the outer one covers no number for the provider"
    );
    assert!(!prompts(&outcome).contains(PHONE), "but for the audit");
}

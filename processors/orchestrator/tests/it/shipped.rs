//! The chains that ship with Millrace load, and run with the local models.

use std::path::PathBuf;

use orchestrator::{Chains, Ending, SCHEMA, Verdict};
use serde_json::{Value, json};

use crate::{
    resources::resources,
    run::{Run, context},
};

#[test]
fn they_load_against_the_models_that_ship() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../chains");

    let chains = Chains::load(&[folder], &resources()).unwrap();

    let keys: Vec<String> = chains.runnable().iter().map(|chain| chain.key()).collect();
    let shipped = [
        "agent@1",
        "answer@1",
        "compare-models@1",
        "echo@1",
        "extract@1",
        "moderated-chat@1",
        "refund-approval@1",
        "summarize@1",
        "summarize-long@1",
        "support-answer@1",
        "triage@1",
    ];
    assert_eq!(keys, shipped);
}

#[test]
fn they_fit_the_schema_for_editors() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../chains");
    for chain in Chains::load(&[folder], &resources()).unwrap().runnable() {
        let problems = yaml::Problems::of(&chain.name);
        let document = yaml::Node::read(&chain.source, &problems).unwrap().to_json();
        let mistakes: Vec<String> = schema.iter_errors(&document).map(|error| error.to_string()).collect();
        assert!(mistakes.is_empty(), "{}: {mistakes:?}", chain.name);
    }
}

#[tokio::test]
async fn their_tests_pass() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../chains");
    let patterns = folder.join("patterns");
    let chains = Chains::load(&[folder, patterns], &resources()).unwrap();

    for chain in chains.runnable() {
        let simple = ["answer", "echo", "summarize"].contains(&chain.name.as_str());
        assert!(simple || !chain.trials().is_empty(), "{} has no tests", chain.name);
        for trial in chain.trials() {
            let verdict = chain.try_out(trial, &context("acme")).await;
            assert_eq!(verdict, Verdict::Passed, "{}: {}", chain.name, trial.name);
        }
    }
}

#[tokio::test]
async fn an_answer_quotes_and_cites_what_was_retrieved() {
    let run = Run::new().await;
    run.index(
        "millrace-docs",
        "acme",
        &[
            ("engine#1", "A transaction spans milliseconds."),
            ("web#1", "The page shows results as they arrive."),
        ],
    )
    .await;

    let outcome = run
        .shipped("answer", json!({"question": "How long is a transaction?"}), "acme")
        .await;

    let Ending::Completed(output) = &outcome.ending else {
        panic!("{:?}", outcome.ending)
    };
    let answer = output["answer"].as_str().unwrap();
    assert!(answer.contains("A transaction spans milliseconds."), "{answer}");
    assert_eq!(output["documents"][0], json!("engine#1"));
    let found: Vec<&str> = outcome
        .bill
        .documents
        .iter()
        .map(|document| document.id.as_str())
        .collect();
    assert_eq!(found, ["engine#1", "web#1"], "nearest first");
    assert_eq!(outcome.bill.attempts.len(), 2, "one embedding, one chat");
    assert_eq!(outcome.bill.attempts[0].documents, outcome.bill.documents);
}

#[tokio::test]
async fn an_agent_looks_up_what_it_answers_with() {
    let run = Run::new().await;
    run.index(
        "millrace-docs",
        "acme",
        &[("engine#1", "A transaction spans milliseconds.")],
    )
    .await;

    let outcome = run
        .shipped("agent", json!({"question": "How long is a transaction?"}), "acme")
        .await;

    let Ending::Completed(output) = &outcome.ending else {
        panic!("{:?}", outcome.ending)
    };
    let answer = output["answer"].as_str().unwrap();
    assert!(answer.contains("A transaction spans milliseconds."), "{answer}");
    assert_eq!(output["calls"], json!(["search"]));
    let steps: Vec<&str> = outcome.bill.attempts.iter().map(|row| row.step.as_str()).collect();
    assert_eq!(steps, ["answer", "answer.search[0].docs", "answer"]);
}

#[tokio::test]
async fn a_tenant_finds_nothing_of_another() {
    let run = Run::new().await;
    run.index("millrace-docs", "acme", &[("secret", "The launch is on Monday.")])
        .await;

    let outcome = run
        .shipped("answer", json!({"question": "When is the launch?"}), "other")
        .await;

    let Ending::Completed(output) = &outcome.ending else {
        panic!("{:?}", outcome.ending)
    };
    assert_eq!(output["documents"], json!([]));
}

#[tokio::test]
async fn echo_gives_back_any_json() {
    let run = Run::new().await;
    for input in [
        json!(null),
        json!("{{ x }}"),
        json!({"b": [1, 2.5, {"a": null}], "a": "é"}),
    ] {
        let outcome = run.shipped("echo", input.clone(), "acme").await;
        assert_eq!(outcome.ending, Ending::Completed(input));
    }
}

#[tokio::test]
async fn a_summary_comes_with_its_bill() {
    let run = Run::new().await;
    let text = "Chains run on tokio. The web page shows runs.";

    let outcome = run
        .shipped("summarize", json!({"text": text, "about": "the web page"}), "acme")
        .await;

    let Ending::Completed(Value::Object(output)) = &outcome.ending else {
        panic!("{:?}", outcome.ending)
    };
    assert!(output["summary"].as_str().unwrap().contains("The web page shows runs."));
    assert!(outcome.bill.usage.input_tokens > 0);
}

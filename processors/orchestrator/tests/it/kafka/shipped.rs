//! Every chain that ships, from its request to its result, with a model that says what it is told to.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use models::Models;
use orchestrator::Resources;
use schemas::{Request, status};
use serde_json::{Value, json};
use testkit::{
    Answer, Script, ScriptedModel,
    scripted::{Rule, When},
};
use topics::{Headers, engine::EngineTuning};

use super::world::World;
use crate::{resources::resources, run::Run};

/// The first that is part of a message decides; what is not here is said again.
const SAYS: [(&str, &str); 14] = [
    // No provider may ever see it.
    ("ada@example.com", "403"),
    ("Say which of these words fits", "text:Refund."),
    ("Answer briefly and kindly", "text:Hello!"),
    ("rude, dangerous", "text:No."),
    (
        "That answer cannot be used",
        r#"text:{"order": "77", "items": ["lamp"], "wish": "replacement"}"#,
    ),
    ("Read the mail", "text:It is about a lamp."),
    (
        "Say which is more right",
        r#"text:{"better": "b", "why": "It doubts."}"#,
    ),
    ("Think of what could be wrong", "text:No."),
    ("Is 7 prime?", "text:Yes."),
    ("Make one summary", "text:Of numbers."),
    ("Summarize the text", "text:It counts."),
    ("Say in one sentence why", "text:It broke."),
    ("Ask for ever", r#"calls:{"query": "What is a lane?"}"#),
    ("Look up what you do not know", r#"text:{"query": "What is a lane?"}"#),
];

/// A request, and what must come of it.
struct Case {
    chain: &'static str,
    input: Value,
    status: &'static str,
    /// Some of the output, by JSON pointer.
    output: Vec<(&'static str, Value)>,
    /// Of the paid calls, in the order of their names.
    paid: Vec<&'static str>,
}

fn case(chain: &'static str, input: Value, output: Vec<(&'static str, Value)>, paid: Vec<&'static str>) -> Case {
    Case {
        chain,
        input,
        status: status::COMPLETED,
        output,
        paid,
    }
}

fn cases() -> Vec<Case> {
    let question = json!({"question": "What is a lane?"});
    vec![
        case("echo", json!({"n": 7}), vec![("/n", json!(7))], vec![]),
        case(
            "answer",
            question.clone(),
            vec![("/documents/0", json!("engine#1"))],
            vec!["answer", "docs"],
        ),
        case(
            "support-answer",
            question.clone(),
            vec![("/answered", json!(true)), ("/citations/0", json!("engine#1"))],
            vec!["docs", "reply.default.answer"],
        ),
        case(
            "support-answer",
            json!({"question": "zzz qqq"}),
            vec![("/answered", json!(false)), ("/citations", json!([]))],
            vec!["docs"],
        ),
        case(
            "triage",
            json!({"message": "I want my money back."}),
            vec![("/kind", json!("refund")), ("/queue", json!("billing"))],
            vec!["asked"],
        ),
        case(
            "extract",
            json!({"mail": "My lamp from order 77 is broken."}),
            vec![("/order", json!("77")), ("/wish", json!("replacement"))],
            vec!["fields", "fields"],
        ),
        case(
            "compare-models",
            json!({"question": "Is 7 prime?"}),
            vec![("/better", json!("b")), ("/answers", json!({"a": "Yes.", "b": "No."}))],
            vec!["answers.a.said", "answers.b.said", "verdict"],
        ),
        case(
            "moderated-chat",
            json!({"message": "I am ada@example.com. Hello."}),
            vec![("/answer", json!("Hello!")), ("/withheld", json!(false))],
            vec!["answer", "checked"],
        ),
        case(
            "summarize",
            json!({"text": "One. Two."}),
            vec![("/summary", json!("It counts."))],
            vec!["summary"],
        ),
        case(
            "summarize-long",
            json!({"text": (["One."; 10].join("\n\n"))}),
            vec![("/summary", json!("Of numbers."))],
            vec!["parts[0].summary", "parts[1].summary", "whole"],
        ),
        case(
            "agent",
            question,
            vec![("/calls", json!(["search"]))],
            vec!["answer", "answer", "answer.search[0].docs"],
        ),
        case(
            "agent",
            json!({"question": "Ask for ever: what is a lane?"}),
            vec![("/calls", json!(vec!["search"; 4]))],
            vec![
                "answer",
                "answer",
                "answer",
                "answer",
                "answer",
                "answer.search[0].docs",
                "answer.search[1].docs",
                "answer.search[2].docs",
                "answer.search[3].docs",
            ],
        ),
        Case {
            status: status::INTERRUPTED,
            ..case(
                "refund-approval",
                json!({"order": "A-1", "amount": 70, "reason": "It broke on the first day."}),
                vec![("/approvals/0/message", json!("Give back 70 for order A-1? It broke."))],
                vec!["summary"],
            )
        },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_does_what_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../chains");
    let files = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
    let shipped: BTreeSet<String> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    let tried: BTreeSet<String> = cases().iter().map(|case| case.chain.to_owned()).collect();
    assert_eq!(
        tried, shipped,
        "each file of processors/chains has a case here: add one to `cases`"
    );

    let model = scripted().await;
    let models = format!(
        "providers:\n  scripted: {{dialect: openai, base_url: {}}}\n  local: {{dialect: local}}\n\
         models:\n  answer: {{provider: scripted, model: any, price: free}}\n  \
         embedding: {{provider: local, model: ngram, dimension: 384, price: free}}\n",
        model.url
    );
    let resources = Resources {
        models: Arc::new(Models::load(&models, "models.yaml").unwrap()),
        ..resources()
    };
    let run = Run::with(resources.clone()).await;
    let texts = [
        ("engine#1", "A lane is what must stay in order."),
        ("web#1", "The page shows results."),
    ];
    run.index("millrace-docs", "acme", &texts).await;
    let mut world = World::new("orchestrator-shipped").await;
    world.pinecone = run.pinecone();
    let mut running = world.start_tuned(folder, world.registry.clone(), resources, EngineTuning::default());
    running.ready().await;

    for Case {
        chain,
        input,
        status,
        output,
        mut paid,
    } in cases()
    {
        let request = Request {
            tenant: "acme".to_owned(),
            chain: chain.to_owned(),
            input: input.to_string(),
            ..Request::default()
        };
        let src = world.ask(&request, Headers::new()).await;
        let done = world.committed(&src).await;

        let result = &done.result;
        assert_eq!((result.status.as_str(), &result.error), (status, &None), "{chain}");
        let given: Value = serde_json::from_str(result.output.as_deref().unwrap()).unwrap();
        for (pointer, expected) in output {
            assert_eq!(given.pointer(pointer), Some(&expected), "{chain}{pointer}: {given:#}");
        }
        let mut called: Vec<&str> = done.attempts.iter().map(|row| row.step.as_str()).collect();
        called.sort_unstable();
        paid.sort_unstable();
        assert_eq!(called, paid, "{chain}");
        assert!(!done.run.trail.is_empty(), "{chain}");
    }
    running.stop().await;
}

async fn scripted() -> ScriptedModel {
    let rule = |(part, answer): (&str, &str)| Rule {
        when: When {
            contains: Some(part.to_owned()),
            ..When::default()
        },
        answer: Some(answer.parse::<Answer>().unwrap()),
        ..Rule::default()
    };
    let script = Script {
        rules: SAYS.map(rule).into(),
        ..Script::default()
    };
    ScriptedModel::start(script).await.unwrap()
}

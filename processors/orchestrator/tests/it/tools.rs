//! Chats whose models ask for tools.

use orchestrator::Ending;
use serde_json::{Value, json};
use testkit::{Answer, Script};

use crate::scripted::{Scripted, chat};

#[tokio::test]
async fn a_model_uses_a_tool_and_answers_with_what_it_gave() {
    let answer = Answer::Text(r#"{"n": 21}"#.to_owned());
    let scripted = Scripted::new(Script {
        answer,
        ..Script::default()
    })
    .await;
    let parameters = json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}});
    let doubles = json!([{"id": "made", "transform": "{{ arguments.n * 2 }}"}]);
    let tool = json!({"description": "Doubles", "parameters": parameters, "steps": doubles});
    let chain = scripted
        .run
        .chain(&json!([chat_with(&tool, "hello", 2)]), "{{ steps.asked }}");

    let outcome = scripted.run.run(&chain, json!({})).await;

    assert_eq!(outcome.bill.attempts.len(), 2);
    assert!(
        outcome.bill.attempts[0].response.as_deref().unwrap().contains("double"),
        "the audit has the call"
    );
    let Ending::Completed(output) = outcome.ending else {
        panic!("{:?}", outcome.ending)
    };
    assert_eq!(output["text"], "42");
    assert_eq!(
        output["calls"],
        json!([{"tool": "double", "arguments": "{\"n\": 21}", "output": 42}])
    );
}

#[tokio::test]
async fn a_tool_that_is_asked_wrongly_or_fails_is_told_to_the_model() {
    let answer = Answer::Text(r#"{"n": "many"}"#.to_owned());
    let scripted = Scripted::new(Script {
        answer,
        ..Script::default()
    })
    .await;
    let number = json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}});
    let anything = json!({"type": "object", "required": ["n"], "properties": {"n": {}}});
    let fails = json!([{"id": "made", "transform": "{{ arguments.n - 1 }}"}]);
    for (parameters, class) in [(number, "invalid_option"), (anything, "template")] {
        let tool = json!({"description": "Doubles", "parameters": parameters, "steps": fails});
        let chain = scripted
            .run
            .chain(&json!([chat_with(&tool, "hello", 2)]), "{{ steps.asked }}");

        let outcome = scripted.run.run(&chain, json!({})).await;

        let Ending::Completed(output) = outcome.ending else {
            panic!("{:?}", outcome.ending)
        };
        assert_eq!(output["calls"][0]["error"]["class"], class, "{output}");
        assert!(
            output["text"].as_str().unwrap().contains(class),
            "the model was told: {output}"
        );
    }
}

#[tokio::test]
async fn a_model_that_goes_on_asking_is_held_to_its_bounds() {
    let answer = Answer::Calls(r#"{"n": 21}"#.to_owned());
    let scripted = Scripted::new(Script {
        answer,
        ..Script::default()
    })
    .await;
    let doubles = json!([{"id": "made", "transform": "{{ arguments.n * 2 }}"}]);
    let tool = json!({"description": "Doubles", "parameters": {"type": "object"}, "steps": doubles});
    let mut step = chat_with(&tool, "hello", 3);
    step["chat"]["max_calls"] = json!(2);
    let chain = scripted.run.chain(&json!([step]), "{{ steps.asked }}");

    let outcome = scripted.run.run(&chain, json!({})).await;

    assert_eq!(outcome.bill.attempts.len(), 4, "after three rounds it must answer");
    let Ending::Completed(output) = outcome.ending else {
        panic!("{:?}", outcome.ending)
    };
    let calls = output["calls"].as_array().unwrap();
    let given: Vec<&Value> = calls.iter().filter_map(|call| call.get("output")).collect();
    assert_eq!(given, [42, 42]);
    assert_eq!(calls[2]["error"]["class"], "too_many", "{output}");
}

fn chat_with(tool: &Value, says: &str, max_rounds: u32) -> Value {
    let mut step = chat("asked", says);
    step["chat"]["tools"] = json!({"double": tool});
    step["chat"]["max_rounds"] = json!(max_rounds);
    step
}

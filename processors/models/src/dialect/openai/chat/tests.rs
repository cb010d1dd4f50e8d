use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    ChatRequest, ErrorClass, FinishReason, Format, Message, Method, Role, Tool, ToolCall,
    dialect::{Reply, Tokens, openai::TokenCap},
};

const TERMS: Terms<'static> = Terms {
    model: "m",
    cap: TokenCap::MaxTokens,
    max_tokens: 9,
    streams: false,
    knows_schemas: false,
};

#[test]
fn a_provider_is_told_of_json_as_it_can_understand_it() {
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
    let told = |method, knows_schemas| {
        let format = Format {
            schema: schema.clone(),
            strict: true,
            method,
        };
        let request = ChatRequest {
            format: Some(format),
            ..ChatRequest::default()
        };
        let body: Value = serde_json::from_slice(&encode(Terms { knows_schemas, ..TERMS }, &request)).unwrap();
        body["response_format"].clone()
    };
    let by_schema = json!({"type": "json_schema",
        "json_schema": {"name": "answer", "strict": true, "schema": schema}});
    assert_eq!(told(Method::Auto, true), by_schema);
    assert_eq!(told(Method::Auto, false), Value::Null);
    assert_eq!(told(Method::JsonSchema, false), by_schema, "the step insists");
    assert_eq!(told(Method::JsonMode, false), json!({"type": "json_object"}));
    assert_eq!(told(Method::Prompt, true), Value::Null);
}

#[test]
fn a_request_says_what_was_set_and_nothing_else() {
    let message = Message::new(Role::User, "Hello");
    let plain = ChatRequest {
        messages: vec![message],
        ..ChatRequest::default()
    };
    let terms = Terms {
        model: "gpt-4o-mini",
        cap: TokenCap::MaxCompletionTokens,
        max_tokens: 100,
        ..TERMS
    };
    let body = String::from_utf8(encode(terms, &plain)).unwrap();
    assert_eq!(
        body,
        r#"{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hello"}],"max_completion_tokens":100}"#
    );
    let full = ChatRequest {
        temperature: Some(0.0),
        top_p: Some(0.9),
        stop: vec!["END".to_owned()],
        seed: Some(7),
        ..plain
    };
    let streams = Terms { streams: true, ..TERMS };
    let body = String::from_utf8(encode(streams, &full)).unwrap();
    assert!(
        body.ends_with(
            r#""temperature":0.0,"top_p":0.9,"stop":["END"],"seed":7,"max_tokens":9,"stream":true,"stream_options":{"include_usage":true}}"#
        ),
        "{body}"
    );
}

#[test]
fn an_answer_is_read_with_its_usage() {
    let reply = decode(
        br#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o-mini-2024-07-18",
        "choices":[{"index":0,"message":{"role":"assistant","content":"Hi!","refusal":null},"logprobs":null,
        "finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11},
        "system_fingerprint":"fp_1"}"#,
    );
    let completion = Completion {
        text: "Hi!".to_owned(),
        tool_calls: Vec::new(),
        finish_reason: FinishReason::Stop,
        model: "gpt-4o-mini-2024-07-18".to_owned(),
    };
    let expected = Reply {
        outcome: Ok(completion),
        tokens: Some(Tokens { input: 9, output: 2 }),
        text: Some("Hi!".to_owned()),
    };
    assert_eq!(reply, expected);
}

#[test]
fn a_model_asks_for_tools_and_gets_what_they_gave() {
    let call = ToolCall {
        id: "call_1".to_owned(),
        name: "search".to_owned(),
        arguments: r#"{"query":"lanes"}"#.to_owned(),
    };
    let reply = decode(
        br#"{"model":"m","choices":[{"message":{"role":"assistant","content":null,"tool_calls":[{"id":"call_1",
        "type":"function","function":{"name":"search","arguments":"{\"query\":\"lanes\"}"}}]},
        "finish_reason":"tool_calls"}]}"#,
    );
    let completion = reply.outcome.unwrap();
    assert_eq!(
        (&completion.tool_calls, completion.finish_reason),
        (&vec![call.clone()], FinishReason::ToolCalls)
    );
    assert!(reply.text.unwrap().contains("lanes"), "the audit has what it asked for");

    let request = ChatRequest {
        messages: vec![
            Message {
                tool_calls: vec![call],
                ..Message::new(Role::Assistant, "")
            },
            Message {
                tool_call_id: Some("call_1".to_owned()),
                ..Message::new(Role::Tool, "[]")
            },
        ],
        tools: vec![Tool {
            name: "search".to_owned(),
            description: "Finds".to_owned(),
            parameters: json!({"type": "object"}),
        }],
        no_more_tools: true,
        ..ChatRequest::default()
    };
    let body: Value = serde_json::from_slice(&encode(TERMS, &request)).unwrap();
    assert_eq!(
        body,
        json!({"model": "m", "max_tokens": 9, "tool_choice": "none",
            "tools": [{"type": "function", "function": {
                "name": "search", "description": "Finds", "parameters": {"type": "object"}}}],
            "messages": [
                {"role": "assistant", "content": "", "tool_calls": [
                    {"id": "call_1", "type": "function", "function": {
                        "name": "search", "arguments": "{\"query\":\"lanes\"}"}}]},
                {"role": "tool", "content": "[]", "tool_call_id": "call_1"}]})
    );
}

#[test]
fn what_is_no_answer_has_a_class_of_its_own() {
    let class = |body: &str| decode(body.as_bytes()).outcome.unwrap_err().class;
    let choice =
        |message: &str, reason: &str| format!(r#"{{"choices":[{{"message":{message},"finish_reason":"{reason}"}}]}}"#);
    assert_eq!(class(&choice(r#"{"refusal":"I cannot"}"#, "stop")), ErrorClass::Refused);
    assert_eq!(
        class(&choice(r#"{"content":"so f"}"#, "content_filter")),
        ErrorClass::ContentFilter
    );
    for body in ["", "{", "[]", r#"{"choices":[]}"#, r#"{"choices":[{}]}"#, "<html>"] {
        assert_eq!(class(body), ErrorClass::Malformed, "{body}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_an_answer_or_a_failure(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(decode(&body).outcome.is_err());
    }
}

//! `POST /chat/completions`: <https://platform.openai.com/docs/api-reference/chat>.

use super::{TokenCap, WireUsage};
use crate::dialect::{Failure, Reply, Tokens};
use crate::{ChatRequest, ChatResponse, ErrorClass, FinishReason, Format, Message, Method, Tool, ToolCall};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The answer of one attempt, before the caller says which alias it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Completion {
    pub(crate) text: String,
    pub(crate) tool_calls: Vec<ToolCall>,
    pub(crate) finish_reason: FinishReason,
    pub(crate) model: String,
}

impl Completion {
    pub(crate) fn by(self, alias: &str) -> ChatResponse {
        let Self {
            text,
            tool_calls,
            finish_reason,
            model,
        } = self;
        ChatResponse {
            text,
            tool_calls,
            finish_reason,
            alias: alias.to_owned(),
            model,
        }
    }
}

#[derive(Serialize)]
struct WireRequest<'a> {
    model: &'a str,
    messages: &'a [Message],
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(flatten)]
    more: Value,
}

/// What depends on the model that is asked.
#[derive(Clone, Copy)]
pub(crate) struct Terms<'m> {
    pub(crate) model: &'m str,
    pub(crate) cap: TokenCap,
    /// Caps the answer.
    pub(crate) max_tokens: u32,
    pub(crate) streams: bool,
    /// It can be held to a JSON Schema.
    pub(crate) knows_schemas: bool,
}

/// The body of a request. A streamed one asks for the usage, which is else left out.
pub(crate) fn encode(terms: Terms<'_>, request: &ChatRequest) -> Vec<u8> {
    let Terms {
        model,
        cap,
        max_tokens,
        streams,
        knows_schemas,
    } = terms;
    let mut more = json!({ cap.field(): max_tokens });
    if let Some(format) = request
        .format
        .as_ref()
        .and_then(|format| response_format(format, knows_schemas))
    {
        more["response_format"] = format;
    }
    if !request.tools.is_empty() {
        more["tools"] = request.tools.iter().map(function).collect();
        if request.no_more_tools {
            more["tool_choice"] = json!("none");
        }
    }
    if streams {
        more["stream"] = json!(true);
        more["stream_options"] = json!({"include_usage": true});
    }
    let wire = WireRequest {
        model,
        messages: &request.messages,
        temperature: request.temperature,
        top_p: request.top_p,
        stop: &request.stop,
        seed: request.seed,
        more,
    };
    // Only a map with keys that are not text could fail, and there is none in it.
    serde_json::to_vec(&wire).unwrap_or_default()
}

fn response_format(format: &Format, knows_schemas: bool) -> Option<Value> {
    let Format { schema, strict, method } = format;
    match method {
        Method::Auto if !knows_schemas => None,
        Method::Auto | Method::JsonSchema => Some(json!({
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": strict, "schema": schema},
        })),
        Method::JsonMode => Some(json!({"type": "json_object"})),
        Method::Prompt => None,
    }
}

fn function(tool: &Tool) -> Value {
    let Tool {
        name,
        description,
        parameters,
    } = tool;
    json!({"type": "function", "function": {"name": name, "description": description, "parameters": parameters}})
}

#[derive(Deserialize)]
struct WireResponse {
    #[serde(default)]
    model: String,
    choices: Vec<WireChoice>,
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct WireChoice {
    message: WireMessage,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct WireMessage {
    content: Option<String>,
    refusal: Option<String>,
    #[serde(default)]
    tool_calls: Vec<ToolCall>,
}

/// An answer that came in one piece.
pub(crate) fn decode(body: &[u8]) -> Reply<Completion> {
    let response: WireResponse = match serde_json::from_slice(body) {
        Ok(response) => response,
        Err(e) => return Reply::failed(Failure::malformed(format!("not a chat completion: {e}"))),
    };
    let tokens = response.usage.map(Tokens::from);
    let Some(choice) = response.choices.into_iter().next() else {
        let failure = Failure::malformed("a chat completion without choices");
        return Reply {
            tokens,
            ..Reply::failed(failure)
        };
    };
    let spoken = Spoken {
        text: choice.message.content.unwrap_or_default(),
        refusal: choice.message.refusal.unwrap_or_default(),
        tool_calls: choice.message.tool_calls,
        finish_reason: choice.finish_reason,
        model: response.model,
    };
    spoken.into_reply(tokens)
}

/// All that a model said, in one piece or gathered from a stream.
#[derive(Debug, Default)]
pub(super) struct Spoken {
    pub(super) text: String,
    pub(super) refusal: String,
    pub(super) tool_calls: Vec<ToolCall>,
    pub(super) finish_reason: Option<String>,
    pub(super) model: String,
}

impl Spoken {
    pub(super) fn into_reply(self, tokens: Option<Tokens>) -> Reply<Completion> {
        let Self {
            text,
            refusal,
            tool_calls,
            finish_reason,
            model,
        } = self;
        if !refusal.is_empty() {
            let failure = Failure::new(ErrorClass::Refused, format!("the model refused: {refusal}"));
            return Reply {
                outcome: Err(failure),
                tokens,
                text: Some(refusal),
            };
        }
        let finish_reason = match finish_reason.as_deref() {
            Some("content_filter") => {
                let failure = Failure::new(
                    ErrorClass::ContentFilter,
                    "the provider's content filter cut the answer",
                );
                return Reply {
                    outcome: Err(failure),
                    tokens,
                    text: Some(text),
                };
            }
            Some("stop") => FinishReason::Stop,
            Some("length") => FinishReason::Length,
            Some("tool_calls") => FinishReason::ToolCalls,
            Some(_) | None => FinishReason::Other,
        };
        let audited = Some(audited(&text, &tool_calls));
        Reply {
            outcome: Ok(Completion {
                text,
                tool_calls,
                finish_reason,
                model,
            }),
            tokens,
            text: audited,
        }
    }
}

/// What the audit keeps of an answer.
pub(super) fn audited(text: &str, calls: &[ToolCall]) -> String {
    match calls {
        [] => text.to_owned(),
        // Only a map with keys that are not text could fail.
        calls => serde_json::to_string(calls).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;
    use proptest::prelude::*;

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
        let choice = |message: &str, reason: &str| {
            format!(r#"{{"choices":[{{"message":{message},"finish_reason":"{reason}"}}]}}"#)
        };
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
}

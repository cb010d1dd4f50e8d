//! `POST /chat/completions`: <https://platform.openai.com/docs/api-reference/chat>.

use super::{TokenCap, WireUsage};
use crate::dialect::{Failure, Reply, Tokens};
use crate::{ChatRequest, ChatResponse, ErrorClass, FinishReason, Message};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The answer of one attempt, before the caller says which alias it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Completion {
    pub(crate) text: String,
    pub(crate) finish_reason: FinishReason,
    pub(crate) model: String,
}

impl Completion {
    pub(crate) fn by(self, alias: &str) -> ChatResponse {
        let Self {
            text,
            finish_reason,
            model,
        } = self;
        ChatResponse {
            text,
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

/// The body of a request. `max_tokens` caps the answer. A streamed request asks for the usage, which is else left out.
pub(crate) fn encode(model: &str, cap: TokenCap, max_tokens: u32, request: &ChatRequest) -> Vec<u8> {
    let mut more = json!({ cap.field(): max_tokens });
    if request.stream {
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
    pub(super) finish_reason: Option<String>,
    pub(super) model: String,
}

impl Spoken {
    pub(super) fn into_reply(self, tokens: Option<Tokens>) -> Reply<Completion> {
        let Self {
            text,
            refusal,
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
            Some(_) | None => FinishReason::Other,
        };
        let audited = Some(text.clone());
        Reply {
            outcome: Ok(Completion {
                text,
                finish_reason,
                model,
            }),
            tokens,
            text: audited,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;
    use proptest::prelude::*;

    #[test]
    fn a_request_says_what_was_set_and_nothing_else() {
        let message = Message {
            role: Role::User,
            content: "Hello".to_owned(),
        };
        let plain = ChatRequest {
            messages: vec![message],
            ..ChatRequest::default()
        };
        let body = String::from_utf8(encode("gpt-4o-mini", TokenCap::MaxCompletionTokens, 100, &plain)).unwrap();
        assert_eq!(
            body,
            r#"{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hello"}],"max_completion_tokens":100}"#
        );
        let full = ChatRequest {
            temperature: Some(0.0),
            top_p: Some(0.9),
            stop: vec!["END".to_owned()],
            seed: Some(7),
            stream: true,
            ..plain
        };
        let body = String::from_utf8(encode("m", TokenCap::MaxTokens, 100, &full)).unwrap();
        assert!(
            body.ends_with(
                r#""temperature":0.0,"top_p":0.9,"stop":["END"],"seed":7,"max_tokens":100,"stream":true,"stream_options":{"include_usage":true}}"#
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

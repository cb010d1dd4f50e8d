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

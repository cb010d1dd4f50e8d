use serde::Deserialize;

use crate::{
    ChatResponse, ErrorClass, FinishReason, ToolCall,
    dialect::{Failure, Reply, Tokens, openai::WireUsage},
};

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

/// All that a model said, in one piece or gathered from a stream.
#[derive(Debug, Default)]
pub(in crate::dialect::openai) struct Spoken {
    pub(in crate::dialect::openai) text: String,
    pub(in crate::dialect::openai) refusal: String,
    pub(in crate::dialect::openai) tool_calls: Vec<ToolCall>,
    pub(in crate::dialect::openai) finish_reason: Option<String>,
    pub(in crate::dialect::openai) model: String,
}

impl Spoken {
    pub(in crate::dialect::openai) fn into_reply(self, tokens: Option<Tokens>) -> Reply<Completion> {
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
pub(in crate::dialect::openai) fn audited(text: &str, calls: &[ToolCall]) -> String {
    match calls {
        [] => text.to_owned(),
        // Only a map with keys that are not text could fail.
        calls => serde_json::to_string(calls).unwrap_or_default(),
    }
}

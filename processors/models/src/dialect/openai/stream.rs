//! A streamed chat completion: <https://platform.openai.com/docs/api-reference/chat-streaming>.

use super::chat::{Completion, Spoken};
use super::{WireUsage, error};
use crate::dialect::sse::Events;
use crate::dialect::{Failure, Reply, Tokens};
use serde::Deserialize;

/// One event may not outgrow this: a server that never ends its line would take all memory.
const MAX_EVENT: usize = 1 << 20;

/// Gathers the chunks of one answer.
#[derive(Debug, Default)]
pub(crate) struct ChatStream {
    events: Events,
    spoken: Spoken,
    tokens: Option<Tokens>,
    failure: Option<Failure>,
}

#[derive(Deserialize)]
struct WireChunk {
    #[serde(default)]
    model: String,
    #[serde(default)]
    choices: Vec<WireChoice>,
    usage: Option<WireUsage>,
    error: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct WireChoice {
    #[serde(default)]
    delta: WireDelta,
    finish_reason: Option<String>,
}

#[derive(Deserialize, Default)]
struct WireDelta {
    content: Option<String>,
    refusal: Option<String>,
}

impl ChatStream {
    pub(crate) fn push(&mut self, chunk: &[u8]) {
        for event in self.events.push(chunk) {
            if self.failure.is_none() && event != b"[DONE]" {
                self.take(&event);
            }
        }
        if self.events.pending() > MAX_EVENT {
            self.fail(Failure::malformed("an event of the stream is larger than 1 MiB"));
        }
    }

    /// What was said so far.
    pub(crate) fn said(&self) -> &str {
        if self.spoken.refusal.is_empty() {
            &self.spoken.text
        } else {
            &self.spoken.refusal
        }
    }

    /// The stream ended. It is whole if a finish reason came: not every server sends `[DONE]`.
    pub(crate) fn finish(self) -> Reply<Completion> {
        let failure = match self.failure {
            None if self.spoken.finish_reason.is_some() => return self.spoken.into_reply(self.tokens),
            None => Failure::malformed("the stream ended in the middle of the answer"),
            Some(failure) => failure,
        };
        Reply {
            outcome: Err(failure),
            tokens: self.tokens,
            text: Some(self.spoken.text),
        }
    }

    fn take(&mut self, event: &[u8]) {
        let chunk: WireChunk = match serde_json::from_slice(event) {
            Ok(chunk) => chunk,
            Err(e) => return self.fail(Failure::malformed(format!("not a chunk of a chat completion: {e}"))),
        };
        if let Some(error) = chunk.error {
            return self.fail(error::in_stream(&error));
        }
        if let Some(usage) = chunk.usage {
            self.tokens = Some(usage.into());
        }
        if !chunk.model.is_empty() {
            self.spoken.model = chunk.model;
        }
        if let Some(choice) = chunk.choices.into_iter().next() {
            self.spoken.text.push_str(&choice.delta.content.unwrap_or_default());
            self.spoken.refusal.push_str(&choice.delta.refusal.unwrap_or_default());
            self.spoken.finish_reason = choice.finish_reason.or(self.spoken.finish_reason.take());
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
    }
}

//! A streamed chat completion: <https://platform.openai.com/docs/api-reference/chat-streaming>.

use super::chat::{Completion, Spoken};
use super::{WireUsage, error};
use crate::dialect::sse::Events;
use crate::dialect::{Failure, Reply, Tokens};
use serde::Deserialize;

/// One event may not outgrow this: a server that never ends its line would take all memory.
const MAX_EVENT: usize = 1 << 20;
/// Nor all of them together this, which no model can say.
const MAX_TEXT: usize = 16 << 20;

/// Gathers the chunks of one answer.
#[derive(Debug, Default)]
pub(crate) struct ChatStream {
    events: Events,
    spoken: Spoken,
    tokens: Option<Tokens>,
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
    /// # Errors
    /// The rest of the stream need not be read.
    pub(crate) fn push(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        for event in self.events.push(chunk) {
            if event != b"[DONE]" {
                self.take(&event)?;
            }
        }
        if self.events.pending() > MAX_EVENT {
            return Err(Failure::malformed("an event of the stream is larger than 1 MiB"));
        }
        if self.said().len() > MAX_TEXT {
            return Err(Failure::malformed("the answer is larger than 16 MiB"));
        }
        Ok(())
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
        if self.spoken.finish_reason.is_some() {
            return self.spoken.into_reply(self.tokens);
        }
        let failure = Failure::malformed("the stream ended in the middle of the answer");
        Reply {
            outcome: Err(failure),
            tokens: self.tokens,
            text: Some(self.said().to_owned()),
        }
    }

    fn take(&mut self, event: &[u8]) -> Result<(), Failure> {
        let chunk: WireChunk = serde_json::from_slice(event)
            .map_err(|e| Failure::malformed(format!("not a chunk of a chat completion: {e}")))?;
        if let Some(error) = chunk.error {
            return Err(error::in_stream(&error));
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
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorClass, FinishReason};
    use proptest::prelude::*;

    fn read(stream: &str) -> Result<Reply<Completion>, Failure> {
        let mut gathered = ChatStream::default();
        gathered.push(stream.as_bytes())?;
        Ok(gathered.finish())
    }

    const HELLO: &str = concat!(
        r#"data: {"id":"c","model":"m-1","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
        "\n\n",
        r#"data: {"id":"c","model":"m-1","choices":[{"index":0,"delta":{"content":"Hel"},"finish_reason":null}]}"#,
        "\n\n: ping\n\n",
        r#"data: {"id":"c","model":"m-1","choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":null}]}"#,
        "\n\n",
        r#"data: {"id":"c","model":"m-1","choices":[{"index":0,"delta":{},"finish_reason":"length"}]}"#,
        "\n\n",
        r#"data: {"id":"c","model":"m-1","choices":[],"usage":{"prompt_tokens":4,"completion_tokens":2}}"#,
        "\n\ndata: [DONE]\n\n",
    );

    #[test]
    fn the_pieces_of_an_answer_are_gathered() {
        let reply = read(HELLO).unwrap();
        let completion = Completion {
            text: "Hello".to_owned(),
            tool_calls: Vec::new(),
            finish_reason: FinishReason::Length,
            model: "m-1".to_owned(),
        };
        assert_eq!(reply.outcome, Ok(completion));
        assert_eq!(reply.tokens, Some(Tokens { input: 4, output: 2 }));
    }

    #[test]
    fn a_stream_that_ends_early_keeps_what_was_said() {
        let reply = read(&HELLO[..HELLO.find("length").unwrap()]).unwrap();
        assert_eq!(reply.outcome.unwrap_err().class, ErrorClass::Malformed);
        assert_eq!(reply.text.as_deref(), Some("Hello"));
    }

    #[test]
    fn an_error_in_the_middle_has_its_own_class() {
        let error = r#"data: {"error":{"message":"busy","type":"server_error","code":null}}"#;
        let failure = read(&format!("{error}\n\n{HELLO}")).unwrap_err();
        assert_eq!((failure.class, failure.message.as_str()), (ErrorClass::Server, "busy"));
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let mut stream = ChatStream::default();
        let failure = stream.push(&vec![b'x'; MAX_EVENT + 1]).unwrap_err();
        assert_eq!(failure.class, ErrorClass::Malformed);
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_or_a_failure(stream in "(data: |\\{\"choices\":\\[|\\]\\}|\"error\":1|\n|.){0,60}") {
            let _ = read(&stream);
        }

        #[test]
        fn where_the_chunks_end_makes_no_difference(cut in 0usize..HELLO.len()) {
            let (left, right) = HELLO.as_bytes().split_at(cut);
            let mut gathered = ChatStream::default();
            gathered.push(left).unwrap();
            gathered.push(right).unwrap();
            prop_assert_eq!(gathered.finish(), read(HELLO).unwrap());
        }
    }
}

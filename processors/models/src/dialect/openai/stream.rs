//! A streamed chat completion: <https://platform.openai.com/docs/api-reference/chat-streaming>.

use super::chat::{Completion, Spoken, audited};
use super::{WireUsage, error};
use crate::dialect::sse::Events;
use crate::dialect::{Failure, Reply, Tokens};
use crate::{ErrorClass, ToolCall};
use serde::Deserialize;

/// One event may not outgrow this: a server that never ends its line would take all memory.
const MAX_EVENT: usize = 1 << 20;
/// Nor all of them together this, which no model can say.
const MAX_TEXT: usize = 16 << 20;
/// As many tools as a request may offer to OpenAI.
const MAX_CALLS: usize = 128;

/// Gathers the chunks of one answer.
#[derive(Debug, Default)]
pub(crate) struct ChatStream {
    events: Events,
    spoken: Spoken,
    /// The index that the server gave to each of `spoken.tool_calls`.
    indexes: Vec<usize>,
    tokens: Option<Tokens>,
    /// Bytes of all that was said.
    length: usize,
    is_over: bool,
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
    #[serde(default)]
    tool_calls: Option<Vec<WireFragment>>,
}

/// A piece of a call. The first one of a call has its id and name, each has some of its arguments.
#[derive(Deserialize)]
struct WireFragment {
    /// Some servers leave it out and send each call whole.
    index: Option<usize>,
    id: Option<String>,
    #[serde(default)]
    function: WireFunction,
}

#[derive(Deserialize, Default)]
struct WireFunction {
    name: Option<String>,
    arguments: Option<String>,
}

impl ChatStream {
    /// # Errors
    /// The rest of the stream need not be read.
    pub(crate) fn push(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        for event in self.events.push(chunk) {
            if event == b"[DONE]" {
                self.is_over = true;
            } else {
                self.take(&event)?;
            }
        }
        if self.events.pending() > MAX_EVENT {
            return Err(Failure::malformed("an event of the stream is larger than 1 MiB"));
        }
        if self.length > MAX_TEXT {
            return Err(Failure::malformed("the answer is larger than 16 MiB"));
        }
        Ok(())
    }

    /// Bytes said so far.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// The server said so.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// What was said so far.
    pub(crate) fn into_said(self) -> String {
        let Spoken {
            text,
            refusal,
            tool_calls,
            ..
        } = self.spoken;
        if refusal.is_empty() {
            audited(&text, &tool_calls)
        } else {
            refusal
        }
    }

    /// The stream ended. It is whole if a finish reason came: not every server sends `[DONE]`.
    pub(crate) fn finish(self) -> Reply<Completion> {
        if self.spoken.finish_reason.is_some() {
            return self.spoken.into_reply(self.tokens);
        }
        let failure = Failure::new(ErrorClass::Transport, "the stream ended in the middle of the answer");
        Reply {
            outcome: Err(failure),
            tokens: self.tokens,
            text: Some(self.into_said()),
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
            let WireDelta {
                content,
                refusal,
                tool_calls,
            } = choice.delta;
            for (said, more) in [(&mut self.spoken.text, content), (&mut self.spoken.refusal, refusal)] {
                let more = more.unwrap_or_default();
                self.length += more.len();
                said.push_str(&more);
            }
            for fragment in tool_calls.unwrap_or_default() {
                self.piece(fragment)?;
            }
            self.spoken.finish_reason = choice.finish_reason.or(self.spoken.finish_reason.take());
        }
        Ok(())
    }

    /// A fragment goes on with the call that has its index, unless it brings another id.
    fn piece(&mut self, fragment: WireFragment) -> Result<(), Failure> {
        let WireFragment { index, id, function } = fragment;
        let (id, name, arguments) = (
            id.unwrap_or_default(),
            function.name.unwrap_or_default(),
            function.arguments.unwrap_or_default(),
        );
        self.length += id.len() + name.len() + arguments.len();
        let calls = &mut self.spoken.tool_calls;
        let begun = match index {
            Some(index) => self.indexes.iter().rposition(|known| *known == index),
            None => calls.len().checked_sub(1),
        };
        let begun = begun
            .and_then(|place| calls.get_mut(place))
            .filter(|call| id.is_empty() || call.id == id);
        if let Some(call) = begun {
            if call.name.is_empty() {
                call.name = name;
            }
            call.arguments.push_str(&arguments);
            return Ok(());
        }
        if calls.len() == MAX_CALLS {
            return Err(Failure::malformed(format!("more than {MAX_CALLS} calls of tools")));
        }
        self.indexes.push(index.unwrap_or(calls.len()));
        calls.push(ToolCall { id, name, arguments });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FinishReason;
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
        assert_eq!(reply.outcome.unwrap_err().class, ErrorClass::Transport);
        assert_eq!(reply.text.as_deref(), Some("Hello"));
    }

    #[test]
    fn an_error_in_the_middle_has_its_own_class() {
        let error = r#"data: {"error":{"message":"busy","type":"server_error","code":null}}"#;
        let failure = read(&format!("{error}\n\n{HELLO}")).unwrap_err();
        assert_eq!((failure.class, failure.message.as_str()), (ErrorClass::Server, "busy"));
    }

    fn calls(fragments: &[&str]) -> Reply<Completion> {
        let mut stream: String = fragments
            .iter()
            .map(|fragment| format!("data: {{\"choices\":[{{\"delta\":{{\"tool_calls\":[{fragment}]}}}}]}}\n\n"))
            .collect();
        stream.push_str("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n");
        read(&stream).unwrap()
    }

    #[test]
    fn calls_are_put_together_from_their_fragments() {
        let call = |id: &str, name: &str, arguments: &str| ToolCall {
            id: id.to_owned(),
            name: name.to_owned(),
            arguments: arguments.to_owned(),
        };
        let expected = vec![call("c1", "find", r#"{"q":1}"#), call("c2", "sum", "{}")];
        // As OpenAI sends them, with two calls at once.
        let woven = calls(&[
            r#"{"index":0,"id":"c1","type":"function","function":{"name":"find","arguments":""}}"#,
            r#"{"index":0,"function":{"arguments":"{\"q\""}}"#,
            r#"{"index":1,"id":"c2","type":"function","function":{"name":"sum","arguments":"{"}}"#,
            r#"{"index":0,"function":{"arguments":":1}"}}"#,
            r#"{"index":1,"function":{"arguments":"}"}}"#,
        ]);
        assert!(woven.text.unwrap().contains("find"), "the audit has what it asked for");
        let completion = woven.outcome.unwrap();
        assert_eq!(
            (&completion.tool_calls, completion.finish_reason),
            (&expected, FinishReason::ToolCalls)
        );
        // As others do: whole calls, without an index or all with the same one.
        for index in ["", r#""index":0,"#] {
            let whole = [("c1", "find", r#"{\"q\":1}"#), ("c2", "sum", "{}")].map(|(id, name, arguments)| {
                format!(r#"{{{index}"id":"{id}","function":{{"name":"{name}","arguments":"{arguments}"}}}}"#)
            });
            let completion = calls(&[&whole[0], &whole[1]]).outcome.unwrap();
            assert_eq!(completion.tool_calls, expected, "{index}");
        }
    }

    #[test]
    fn there_is_an_end_to_calls() {
        let call = "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"id\":\"ID\"}]}}]}\n\n";
        let stream: String = (0..=MAX_CALLS).map(|n| call.replace("ID", &n.to_string())).collect();
        assert_eq!(read(&stream).unwrap_err().class, ErrorClass::Malformed);
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

//! The shapes of OpenAI's API that are served: <https://platform.openai.com/docs/api-reference>.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Deserialize;
use serde_json::{Value, json};

/// What the server reads of a request; it takes no offence at the rest.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Request {
    pub model: String,
    messages: Vec<Message>,
    input: Value,
    pub stream: bool,
    stream_options: Option<StreamOptions>,
    tools: Vec<Tool>,
    tool_choice: Value,
    pub dimensions: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message {
    role: String,
    content: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tool {
    function: Function,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Function {
    name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct StreamOptions {
    include_usage: bool,
}

/// What a model says.
enum Spoken<'a> {
    Text(String),
    /// It asks for this tool.
    Call(&'a str),
}

impl Request {
    /// Of all messages, or all inputs.
    pub fn texts(&self) -> Vec<String> {
        match &self.input {
            Value::String(text) => vec![text.clone()],
            Value::Array(inputs) => inputs.iter().map(text).collect(),
            _ => self.messages.iter().map(|message| text(&message.content)).collect(),
        }
    }

    pub fn last_user_text(&self) -> String {
        let last = self.messages.iter().rev().find(|message| message.role == "user");
        last.map(|message| text(&message.content)).unwrap_or_default()
    }

    /// Where the request offers tools the first one is called, with the answer as its arguments, until a tool has spoken: then
    /// that is the answer. One who `insists` goes on to call.
    fn spoken(&self, answer: &str, insists: bool) -> Spoken<'_> {
        let told = self.messages.last().filter(|message| message.role == "tool");
        let tool = self.tools.first().filter(|_| self.tool_choice != "none");
        match (told, tool) {
            (Some(message), None) => Spoken::Text(text(&message.content)),
            (Some(message), Some(_)) if !insists => Spoken::Text(text(&message.content)),
            (_, Some(tool)) => Spoken::Call(&tool.function.name),
            (None, None) => Spoken::Text(answer.to_owned()),
        }
    }

    pub fn chat(&self, id: &str, answer: &str, insists: bool) -> Value {
        let (message, finish_reason) = match self.spoken(answer, insists) {
            Spoken::Call(tool) => {
                let function = json!({ "name": tool, "arguments": answer });
                let call = json!({ "id": format!("call-{id}"), "type": "function", "function": function });
                (
                    json!({ "role": "assistant", "content": null, "tool_calls": [call] }),
                    "tool_calls",
                )
            }
            Spoken::Text(text) => (json!({ "role": "assistant", "content": text }), "stop"),
        };
        json!({
            "id": id,
            "object": "chat.completion",
            "created": super::calls::now() / 1_000_000,
            "model": self.model,
            "choices": [{
                "index": 0,
                "message": message,
                "finish_reason": finish_reason,
            }],
            "usage": self.usage(answer),
        })
    }

    /// The events of a stream, without `data:`; the last one is `[DONE]`.
    pub fn chunks(&self, id: &str, answer: &str, insists: bool) -> Vec<String> {
        let chunk = |choices: Value, usage: Value| {
            json!({
                "id": id,
                "object": "chat.completion.chunk",
                "created": super::calls::now() / 1_000_000,
                "model": self.model,
                "choices": choices,
                "usage": usage,
            })
            .to_string()
        };
        let delta = |delta: Value, finish: Value| {
            chunk(
                json!([{ "index": 0, "delta": delta, "finish_reason": finish }]),
                Value::Null,
            )
        };
        let words = |text: &str| text.split_inclusive(' ').map(str::to_owned).collect::<Vec<_>>();
        let (mut chunks, finish_reason) = match self.spoken(answer, insists) {
            Spoken::Text(text) => {
                let first = delta(json!({ "role": "assistant", "content": "" }), Value::Null);
                let rest = words(&text);
                let rest = rest.iter().map(|word| delta(json!({ "content": word }), Value::Null));
                (std::iter::once(first).chain(rest).collect::<Vec<_>>(), "stop")
            }
            Spoken::Call(tool) => {
                let function = json!({ "name": tool, "arguments": "" });
                let call = json!({ "index": 0, "id": format!("call-{id}"), "type": "function", "function": function });
                let first = json!({ "role": "assistant", "content": null, "tool_calls": [call] });
                let more = |word: &String| {
                    let piece = json!({ "index": 0, "function": { "arguments": word } });
                    delta(json!({ "tool_calls": [piece] }), Value::Null)
                };
                let rest = words(answer);
                let first = delta(first, Value::Null);
                (
                    std::iter::once(first).chain(rest.iter().map(more)).collect(),
                    "tool_calls",
                )
            }
        };
        chunks.push(delta(json!({}), json!(finish_reason)));
        if self
            .stream_options
            .as_ref()
            .is_some_and(|options| options.include_usage)
        {
            chunks.push(chunk(json!([]), self.usage(answer)));
        }
        chunks.push("[DONE]".to_owned());
        chunks
    }

    pub fn embeddings(&self, dimension: usize) -> Value {
        let texts = self.texts();
        let data = texts.iter().enumerate().map(
            |(index, text)| json!({ "object": "embedding", "index": index, "embedding": embedding(text, dimension) }),
        );
        let tokens: usize = texts.iter().map(|text| tokens(text)).sum();
        json!({
            "object": "list",
            "data": data.collect::<Vec<_>>(),
            "model": self.model,
            "usage": { "prompt_tokens": tokens, "total_tokens": tokens },
        })
    }

    fn usage(&self, answer: &str) -> Value {
        let prompt: usize = self.texts().iter().map(|text| tokens(text)).sum();
        let completion = tokens(answer);
        json!({ "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion })
    }
}

pub fn models() -> Value {
    json!({ "object": "list", "data": [{ "id": "scripted", "object": "model", "created": 0, "owned_by": "testkit" }] })
}

pub fn error(status: u16, message: &str) -> Value {
    let kind = match status {
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    };
    json!({ "error": { "message": message, "type": kind, "param": null, "code": null } })
}

/// Content is text, or a list of parts of which some are text.
fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    }
}

/// A word is a token: enough to check sums by hand.
fn tokens(text: &str) -> usize {
    text.split_whitespace().count()
}

/// Words hashed into a vector of length 1: texts that share words are near each other.
fn embedding(text: &str, dimension: usize) -> Vec<f64> {
    let mut vector = vec![0.0; dimension];
    for word in text.split_whitespace() {
        let mut hasher = DefaultHasher::new();
        word.to_lowercase().hash(&mut hasher);
        let hash = hasher.finish();
        let place = usize::try_from(hash >> 1).unwrap_or_default().checked_rem(dimension);
        if let Some(component) = place.and_then(|place| vector.get_mut(place)) {
            *component += if hash & 1 == 0 { 1.0 } else { -1.0 };
        }
    }
    let norm = vector.iter().map(|component| component * component).sum::<f64>().sqrt();
    if norm > 0.0 {
        vector.iter_mut().for_each(|component| *component /= norm);
    }
    vector
}

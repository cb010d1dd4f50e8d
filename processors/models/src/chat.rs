use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Content, dialect::estimate};

/// For its role and the marks around it, as OpenAI's cookbook counts them.
const TOKENS_OF_A_MESSAGE: i64 = 4;

/// What a chat model is asked. Unset options are left to the provider.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChatRequest {
    pub messages: Vec<Message>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    /// Cap on the answer in tokens; the model's own `max_tokens` if unset, and never more than that.
    pub max_tokens: Option<u32>,
    pub stop: Vec<String>,
    pub seed: Option<i64>,
    /// Whether the answer is asked for piece by piece; unset: where the models file says that the model can.
    pub stream: Option<bool>,
    /// What the answer must be, where it is not just text.
    pub format: Option<Format>,
    /// What the model may ask for instead of answering.
    pub tools: Vec<Tool>,
    /// The tools are there only to understand what was called before: the model must answer.
    pub no_more_tools: bool,
}

/// An answer in JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct Format {
    /// JSON Schema, of an object.
    pub schema: Value,
    /// The provider lets nothing else through. It must know the whole schema.
    pub strict: bool,
    pub method: Method,
}

/// How a provider is told that the answer is JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// By its schema where the models file says that the model can, else not at all.
    Auto,
    JsonSchema,
    /// That it is JSON, not which.
    JsonMode,
    /// Not at all: the messages say it.
    Prompt,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub role: Role,
    pub content: Content,
    /// Of an assistant's message: what it asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Of a tool's message: which call it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
}

impl Message {
    #[must_use]
    pub fn new(role: Role, content: impl Into<Content>) -> Self {
        Self {
            role,
            content: content.into(),
            tool_calls: Vec::new(),
            tool_call_id: None,
        }
    }

    /// Tokens, by estimate, where an image in high detail has `image_tokens` at most.
    #[must_use]
    pub fn tokens(&self, image_tokens: u32) -> i64 {
        let asked = self.tool_calls.iter().map(|call| estimate(&call.arguments));
        self.content.tokens(image_tokens) + asked.sum::<i64>() + TOKENS_OF_A_MESSAGE
    }
}

/// Something that a model may ask to be done.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    pub name: String,
    pub description: String,
    /// JSON Schema of the arguments.
    pub parameters: Value,
}

/// What a model asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "WireCall", from = "WireCall")]
pub struct ToolCall {
    pub id: String,
    pub name: String,
    /// JSON, if the model did as it was told.
    pub arguments: String,
}

/// In the form of OpenAI's API.
#[derive(Clone, Serialize, Deserialize)]
struct WireCall {
    #[serde(default)]
    id: String,
    #[serde(default = "function", rename = "type")]
    kind: String,
    function: WireFunction,
}

#[derive(Clone, Serialize, Deserialize)]
struct WireFunction {
    name: String,
    #[serde(default)]
    arguments: String,
}

fn function() -> String {
    "function".to_owned()
}

impl From<ToolCall> for WireCall {
    fn from(ToolCall { id, name, arguments }: ToolCall) -> Self {
        Self {
            id,
            kind: function(),
            function: WireFunction { name, arguments },
        }
    }
}

impl From<WireCall> for ToolCall {
    fn from(WireCall { id, function, .. }: WireCall) -> Self {
        let WireFunction { name, arguments } = function;
        Self { id, name, arguments }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    System,
    User,
    Assistant,
    /// What a tool gave.
    Tool,
}

/// What a chat model answered. Tokens and cost are in [`crate::Called`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatResponse {
    pub text: String,
    /// What it wants to know before it answers.
    pub tool_calls: Vec<ToolCall>,
    pub finish_reason: FinishReason,
    /// The alias that answered, which a fallback may have made another than the first one asked.
    pub alias: String,
    /// The model as the provider names it, often a dated snapshot of the one asked for.
    pub model: String,
}

/// Why the model stopped, in the words of OpenAI's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    Stop,
    /// The answer is cut: `max_tokens` was reached.
    Length,
    /// It asks for tools.
    ToolCalls,
    /// A reason this crate has no name for, or none given.
    Other,
}

impl FinishReason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::Other => "other",
        }
    }
}

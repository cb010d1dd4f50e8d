use serde::{Deserialize, Serialize};

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
    /// Ask the provider to stream, so that the latency to the first token is known.
    pub stream: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub role: Role,
    pub content: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    System,
    User,
    Assistant,
}

/// What a chat model answered. Tokens and cost are in [`crate::Called`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatResponse {
    pub text: String,
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
    /// A reason this crate has no name for, or none given.
    Other,
}

impl FinishReason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::Other => "other",
        }
    }
}

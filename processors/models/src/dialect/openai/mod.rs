//! The dialect of OpenAI's REST API, which Azure, vLLM, Ollama, Groq, Mistral, DeepSeek and others speak too.
//! Source: <https://platform.openai.com/docs/api-reference>.

mod body;
pub(crate) mod chat;
pub(crate) mod embeddings;
mod endpoint;
mod error;
mod stream;

pub(crate) use body::Body;
pub use embeddings::MAX_EMBED_INPUTS;
pub(crate) use endpoint::{Endpoint, TokenCap};
pub(crate) use error::classify;

use super::Tokens;
use serde::Deserialize;

/// `usage` of a chat or an embeddings answer. Servers that count nothing leave it out or send null.
#[derive(Debug, Deserialize)]
struct WireUsage {
    #[serde(default)]
    prompt_tokens: i64,
    #[serde(default)]
    completion_tokens: Option<i64>,
}

impl From<WireUsage> for Tokens {
    fn from(usage: WireUsage) -> Self {
        Self {
            input: usage.prompt_tokens.max(0),
            output: usage.completion_tokens.unwrap_or(0).max(0),
        }
    }
}

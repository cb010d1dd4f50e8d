//! The dialect of OpenAI's REST API, which Azure, vLLM, Ollama, Groq, Mistral, DeepSeek and others speak too.
//! Source: <https://platform.openai.com/docs/api-reference>.

mod endpoint;

pub(crate) use endpoint::{Endpoint, TokenCap};

/// Texts in one embeddings request at most; the provider refuses more.
pub const MAX_EMBED_INPUTS: usize = 2048;

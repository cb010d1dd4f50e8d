//! Models that run inside this process: no key, no network, the same answer for the same question every time. They say
//! plainly what they are.

pub(crate) mod extractive;
pub(crate) mod ngram;
mod passages;
mod words;

use crate::config::Kind;

const DIMENSION: u32 = 384;
const MAX_TOKENS: u32 = 512;

/// What the local model of this name is.
///
/// # Errors
/// How to mend it.
pub(crate) fn kind(name: &str, dimension: Option<u32>, max_tokens: Option<u32>) -> Result<Kind, &'static str> {
    match (name, dimension, max_tokens) {
        ("extractive", None, max_tokens) => Ok(Kind::Chat {
            max_tokens: max_tokens.unwrap_or(MAX_TOKENS),
        }),
        ("extractive", Some(_), _) => Err("remove `dimension`: `extractive` is a chat model"),
        ("ngram", dimension, None) => match dimension.unwrap_or(DIMENSION) {
            dimension @ 64..=4096 => Ok(Kind::Embed { dimension }),
            _ => Err("choose a `dimension` from 64 to 4096"),
        },
        ("ngram", _, Some(_)) => Err("remove `max_tokens`: `ngram` is an embedding model"),
        _ => Err("there is `extractive` (chat) and `ngram` (embedding)"),
    }
}

//! How providers are spoken to: one folder each, pure code, no I/O.

mod failure;
pub(crate) mod local;
pub(crate) mod openai;
mod reply;
mod sse;

pub(crate) use failure::Failure;
pub(crate) use reply::{Reply, Tokens, estimate, tokens_of};

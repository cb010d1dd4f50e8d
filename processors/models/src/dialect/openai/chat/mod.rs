//! `POST /chat/completions`: <https://platform.openai.com/docs/api-reference/chat>.

mod answer;
mod request;

pub(crate) use answer::{Completion, decode};
pub(super) use answer::{Spoken, audited};
pub(crate) use request::{Terms, encode};

#[cfg(test)]
mod tests;

//! How providers are spoken to: one folder each, pure code, no I/O.

pub(crate) mod local;
pub(crate) mod openai;

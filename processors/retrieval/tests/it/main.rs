//! The client against the twin, over real HTTP, and against a server that misbehaves by script.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod rerank;
mod retries;
mod twin;

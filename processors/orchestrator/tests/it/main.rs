//! Chain files and their authors, chains that run, and requests that go through Kafka.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod any_bytes;
mod approve;
mod blocks;
mod chains;
mod http;
mod included;
mod kafka;
mod leaving;
mod lint;
mod numbers;
mod page;
mod reranking;
mod resources;
mod retrieval;
mod run;
mod scripted;
mod shipped;
mod tools;
mod worst;

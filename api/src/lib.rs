//! HTTP over the stream: a call becomes a record on `requests.interactive`, and is answered from `results`.
//!
//! In reading order: the `server` that puts the parts together, the `routes` (one file per resource, thin), what they
//! read and write (`body`, `call`, `problem`, `run`, ...), and what they stand on: the `bridge` to the stream with its
//! `ring` and `waiters`, the published `chains`, the `history` in Postgres, the `records` in Kafka. What every process has,
//! with the api role or without: its `health`, and the `reporting` of it, which the `instances` of the others are known by.
//! The only crate that knows warp. Nothing here decides what a run is: it asks, waits and shows.

mod http;
mod listener;
mod origin;
mod server;
mod settings;

mod api;
mod routes;

mod assets;
mod body;
mod call;
mod problem;
mod query;
mod run;
mod sse;
mod trace;

mod bridge;
mod chains;
mod cluster;
mod feed;
mod history;
mod progress;
mod recorder;
mod records;
mod ring;
mod tail;
mod waiters;

mod gauges;
mod instance;
mod instances;
mod metrics;
mod overview;
mod reporting;

pub mod health;

pub use server::{ApiError, Dependencies, run};
pub use settings::ApiSettings;

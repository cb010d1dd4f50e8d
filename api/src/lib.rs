//! HTTP over the stream: a call becomes a record on `requests.interactive`, and is answered from `results`.
//!
//! In reading order: `settings`, the `server` that puts the parts together, the `routes` (one file per resource, thin),
//! and what they stand on. The only crate that knows warp. Nothing here decides what a run is: it asks, waits and shows.

mod settings;

mod server;

mod routes;

mod metrics;
mod problem;

pub mod health;

pub use server::{ApiError, Dependencies, run};
pub use settings::ApiSettings;

//! The api on real parts: a Kafka broker, a schema registry, PostgreSQL, and raw HTTP over TCP. The orchestrator and the
//! recorder are played by the tests. Each file is one story.

#![cfg(test)]

mod contract;
mod crowd;
mod events;
mod http;
mod reports;
mod running;
mod stage;

mod agree;
mod away;
mod feed;
mod grammar;
mod history;
mod instances;
mod invoke;
mod late;
mod leave;
mod numbers;
mod progress;
mod record;
mod resume;

use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

//! The figures of `make bench`: one JSON object a line.
//!
//! What Kafka and a pooled HTTP client cost without Millrace is measured first, on the same machine and in the same run:
//! without that floor beside it a figure of the system says nothing.

mod bad_topic;
mod bare;
mod calls;
mod closed_loop;
mod engine;
mod figure;
mod floor;
mod flow;
mod hot_key;
mod inflight;
mod kafka;
mod keys;
mod latency;
mod memory;
mod meter;
mod model;
mod restart;
mod skeleton;
mod steady;
mod system;
mod takeover;
mod transaction;

use std::time::Duration;

use anyhow::Context;
use clap::{Parser, ValueEnum};
use testkit::{Broker, OwnParts, PartsConfig};
use tracing_subscriber::EnvFilter;

use crate::kafka::Bench;

/// Performance figures, one JSON object a line
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Which, in this order; all without it
    #[arg(long, value_enum, value_delimiter = ',')]
    scenario: Vec<Scenario>,
    /// Length of one measurement
    #[arg(long, env = "SECONDS", default_value_t = 2)]
    seconds: u64,
    /// Measurements of the same thing, interleaved with the others; the median counts
    #[arg(long, env = "ROUNDS", default_value_t = 3)]
    rounds: usize,
    /// Length of `memory`
    #[arg(long, env = "MINUTES", default_value_t = 2)]
    minutes: u64,
    /// What this program is told when it is the skeleton
    #[arg(long, hide = true)]
    skeleton: Option<String>,
    /// The same when it is the engine without chains
    #[arg(long, hide = true)]
    bare: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// Transactional copy loops by records per transaction
    Floor,
    /// The engine with a chain that does nothing, on a backlog
    Engine,
    /// One record at a time, from produce to the committed result
    Latency,
    /// Model calls over HTTP
    Calls,
    /// Ten thousand at once in one process
    Inflight,
    /// A thousand keys in their order
    Keys,
    /// A member dies under load
    Takeover,
    /// One key has half of the traffic
    HotKey,
    /// A tenth of the results goes to a topic that takes none
    BadTopic,
    /// A rolling restart under load
    Restart,
    /// A thousand requests a second for a minute: does it keep up?
    Steady,
    /// The same for minutes: does it grow?
    Memory,
}

/// As the binary has it: the engine and the floors are measured with the same one.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,librdkafka=error"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let arguments = Arguments::parse();
    if let Some(errand) = &arguments.skeleton {
        return skeleton::serve(serde_json::from_str(errand)?).await;
    }
    if let Some(errand) = &arguments.bare {
        return bare::serve(serde_json::from_str(errand)?).await;
    }
    let config = PartsConfig {
        name: "bench".to_owned(),
        broker: Broker::for_measurements(),
        ..PartsConfig::default()
    };
    let set = OwnParts::start(config).await?;
    let bench = Bench {
        parts: set.parts.clone(),
        broker: set.kafka.pid().context("the broker does not run")?,
        measurement: Duration::from_secs(arguments.seconds),
        rounds: arguments.rounds.max(1),
    };
    let scenarios = match arguments.scenario.as_slice() {
        [] => Scenario::value_variants(),
        asked => asked,
    };
    for scenario in scenarios {
        let bench = bench.clone();
        match scenario {
            Scenario::Floor => floor::run(&bench).await?,
            Scenario::Latency => latency::run(&bench).await?,
            Scenario::Engine => engine::run(&bench).await?,
            Scenario::Calls => calls::run(&bench).await?,
            Scenario::Inflight => inflight::run(&bench).await?,
            Scenario::Keys => keys::run(&bench).await?,
            Scenario::Takeover => takeover::run(&bench).await?,
            Scenario::HotKey => hot_key::run(&bench).await?,
            Scenario::BadTopic => bad_topic::run(&bench).await?,
            Scenario::Restart => restart::run(&bench).await?,
            Scenario::Steady => steady::run(&bench).await?,
            Scenario::Memory => memory::run(&bench, Duration::from_secs(60 * arguments.minutes)).await?,
        }
    }
    set.end()?;
    Ok(())
}

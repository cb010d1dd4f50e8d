//! The figures of `make bench`: one JSON object a line.
//!
//! What Kafka and a pooled HTTP client cost without Millrace is measured first, on the same machine and in the same run:
//! without that floor beside it a figure of the system says nothing.

mod calls;
mod figure;
mod floor;
mod kafka;
mod latency;
mod model;
mod skeleton;
mod steady;
mod system;
mod transaction;

use clap::{Parser, ValueEnum};
use testkit::{Broker, OwnParts, PartsConfig};
use tracing_subscriber::EnvFilter;

use crate::kafka::Bench;

/// Performance figures, one JSON object a line
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "floor,latency,calls,steady"
    )]
    scenario: Vec<Scenario>,
    /// Length of one measurement
    #[arg(long, env = "SECONDS", default_value_t = 3)]
    seconds: u64,
    /// Measurements of the same thing, interleaved with the others; the median counts
    #[arg(long, env = "ROUNDS", default_value_t = 3)]
    rounds: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// Transactional copy loops by records per transaction
    Floor,
    /// One record at a time, from produce to the committed result
    Latency,
    /// Model calls over HTTP
    Calls,
    /// A thousand requests a second for twenty measurements' time
    Steady,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,librdkafka=error"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let arguments = Arguments::parse();
    let config = PartsConfig {
        name: "bench".to_owned(),
        broker: Broker::for_measurements(),
        ..PartsConfig::default()
    };
    let set = OwnParts::start(config).await?;
    let bench = Bench::new(set.parts.clone(), arguments.seconds, arguments.rounds);
    for scenario in &arguments.scenario {
        let bench = bench.clone();
        match scenario {
            Scenario::Floor => tokio::task::spawn_blocking(move || floor::run(&bench)).await??,
            Scenario::Latency => {
                let floor = bench.clone();
                tokio::task::spawn_blocking(move || latency::run(&floor)).await??;
                latency::run_system(&bench).await?;
            }
            Scenario::Calls => calls::run(&bench).await?,
            Scenario::Steady => steady::run(&bench).await?,
        }
    }
    set.end()?;
    Ok(())
}

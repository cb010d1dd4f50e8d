//! `make chaos`: Millrace's own processes under load on real parts, while all of them are broken in turn, and a judge at the
//! end. Reads top to bottom as what happens; the last line is one JSON object.

mod board;
mod books;
mod death;
mod drain;
mod faults;
mod judge;
mod lanes;
mod load;
mod maps;
mod report;
mod running;
mod setup;
mod silence;
mod takeover;
mod witness;
mod world;

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use testkit::chaos::schedule::schedule;

use crate::{
    lanes::Lanes,
    load::{FeedReader, Load},
    report::Report,
    setup::Setup,
};

/// Of this program, and of all that it builds.
pub const PROFILE: &str = if cfg!(debug_assertions) { "dev" } else { "release" };

/// Breaks Millrace for a while and judges what came of it
///
/// Brokers, registry, Postgres, workers, recorder and api are real processes; clients come through a proxy. The same seed
/// plans the same faults. Ends with 0 only if nothing was violated and enough was done.
#[derive(Parser, Debug, Clone)]
#[command(version)]
pub struct Arguments {
    /// How long requests are sent; a cycle of all faults takes about 90
    #[arg(long, default_value_t = 90)]
    seconds: u64,
    /// Requests a second
    #[arg(long, default_value_t = 100)]
    rate: u64,
    /// Of faults and load [default: of the clock]
    #[arg(long)]
    seed: Option<u64>,
    /// 1, or a cluster of 3
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=3))]
    brokers: u8,
    /// Another build of millrace, from which one worker of three is always started
    #[arg(long, value_name = "PATH")]
    predecessor: Option<PathBuf>,
    /// Where everything that happens is written; kept if the run fails [default: .millrace/chaos/SEED-PID]
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Keep the folder also when all is well
    #[arg(long)]
    keep: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        // clients of brokers that come and go
        .with_env_filter("info,rdkafka=off,librdkafka=off")
        .init();
    raise_file_limit();
    let seed = arguments.seed.unwrap_or_else(seed_of_the_clock);
    let folder = arguments.folder.clone().unwrap_or_else(|| folder(seed));
    let outcome = tokio::select! {
        outcome = run(&arguments, seed, folder.clone()) => outcome,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    match outcome {
        Ok(report) => {
            let holds = report.holds();
            if !holds {
                eprintln!("\nit failed: {}", report.complaints.join("; "));
                eprintln!("logs and evidence: {}", folder.display());
                eprintln!("again: {}\n", again(&arguments, seed));
            } else if !arguments.keep {
                let _ = std::fs::remove_dir_all(&folder);
            }
            println!("{}", report.json());
            if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("\nthe run could not be finished: {error:#}");
            eprintln!("logs: {}", folder.display());
            eprintln!("again: {}", again(&arguments, seed));
            let error = format!("{error:#}");
            println!(
                "{}",
                json!({"seed": seed, "error": error, "folder": folder, "verdict": "unfinished"})
            );
            ExitCode::from(2)
        }
    }
}

async fn run(arguments: &Arguments, seed: u64, folder: PathBuf) -> anyhow::Result<Report> {
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let brokers = usize::from(arguments.brokers);
    let plan = schedule(seed, arguments.seconds, brokers);
    let Setup { world, stage, witness } = setup::start(arguments, seed, folder.canonicalize()?).await?;
    tracing::info!(seed, faults = plan.len(), "everything runs; breaking it");

    let feed = FeedReader::start(&world, seed).await?;
    let load = Load::start(&world, seed, arguments.rate).await?;
    let began = Instant::now();
    world.board.load_begins();
    let stage = Lanes::of(plan).run(&world, stage, began).await?;
    let planned = Duration::from_secs(arguments.seconds);
    tokio::time::sleep(planned.saturating_sub(began.elapsed())).await;
    world.board.load_ends();
    let seconds = began.elapsed().as_secs();
    load.stop().await?;

    drain::results(&world).await?;
    drain::postgres(&world).await?;
    feed.stop().await?;
    let parts = stage.stop_millrace(&world).await?;
    drop(witness);
    let summary = report::summary(&world)?;
    let unresolved = books::unresolved(&world).await?;
    let report = report::judged(&world, arguments, seed, seconds, summary, unresolved).await;
    drop(parts);
    report
}

fn again(arguments: &Arguments, seed: u64) -> String {
    let Arguments {
        seconds, rate, brokers, ..
    } = arguments;
    let predecessor = arguments
        .predecessor
        .as_ref()
        .map(|path| format!(" PREDECESSOR={}", path.display()));
    let predecessor = predecessor.unwrap_or_default();
    format!("make chaos SECONDS={seconds} RATE={rate} SEED={seed} BROKERS={brokers} PROFILE={PROFILE}{predecessor}")
}

fn folder(seed: u64) -> PathBuf {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.millrace/chaos");
    PathBuf::from(root).join(format!("{seed}-{}", std::process::id()))
}

fn seed_of_the_clock() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs() % 1_000_000
}

/// One connection through the proxy, two file descriptors.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            ..limit
        },
    );
}

//! The judge of a fault run, a program of its own: it believes nothing that the workers say.

use std::{path::PathBuf, process::ExitCode, time::Instant};

use anyhow::Context;
use clap::Parser;
use testkit::{
    Usage,
    chaos::{
        RunFolder,
        check::{Isolation, gather, judge},
    },
};

/// Judges a fault run by the topics, the committed offsets, Postgres and what its readers saw
///
/// The last line is one JSON object. Ends with 1 if anything was violated, with 2 if there is no verdict.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The folder that the driver left behind
    #[arg(long, value_name = "FOLDER")]
    run: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        // clients of brokers that may still be on their way back
        .with_env_filter("info,rdkafka=off,librdkafka=off")
        .init();
    match verdict(Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            tracing::error!("no verdict: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn verdict(Arguments { run }: Arguments) -> anyhow::Result<bool> {
    let began = Instant::now();
    let evidence = gather(&RunFolder::at(run), Isolation::ReadCommitted).await?;
    let gathered = began.elapsed();
    let verdict = judge(&evidence);
    let megabytes = Usage::of(std::process::id()).map(|usage| usage.resident_bytes / 1_000_000);
    tracing::info!(?gathered, judged = ?began.elapsed() - gathered, ?megabytes, "the judge is done");
    println!("{}", serde_json::to_string(&verdict).context("the verdict is no JSON")?);
    Ok(verdict.holds())
}

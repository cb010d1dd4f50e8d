//! `make demo`: everything for real on one laptop, until Ctrl-C. Reads top to bottom as what happens.

mod models;
mod results;
mod system;
mod traffic;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use clap::Parser;
use testkit::Parts;

use crate::{system::System, traffic::Traffic};

/// Starts all of Millrace on this machine, indexes its own documentation, asks about it, and runs until Ctrl-C.
#[derive(Parser)]
struct Arguments {
    /// Where logs and the file `env` with the addresses go; its former content is removed
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.millrace/demo"))]
    folder: PathBuf,
}

/// About Millrace itself: the documents that are indexed are its own.
const QUESTIONS: [&str; 5] = [
    "What is a lane?",
    "What happens before a paid call?",
    "When is a record a dead letter?",
    "How does a synchronous caller get its answer?",
    "What is the ledger?",
];

#[tokio::main]
async fn main() -> ExitCode {
    match demo(&Arguments::parse().folder).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nthe demo cannot go on: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn demo(folder: &Path) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;

    let mut stopped = false;
    let mut system = tokio::select! {
        system = start(folder, began) => Some(system?),
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
    };
    if let Some(system) = &mut system {
        let parts = system.parts().clone();
        stopped = tokio::select! {
            _ = interrupt.recv() => true,
            _ = terminate.recv() => true,
            ended = system.watch() => { ended?; false }
            ended = trickle(&parts) => { ended?; false }
        };
    }
    println!("\nstopping what was started ...");
    if let Some(system) = system {
        system.stop().await?;
    }
    anyhow::ensure!(stopped, "interrupted while starting");
    println!("done");
    Ok(())
}

async fn trickle(parts: &Parts) -> anyhow::Result<()> {
    Traffic::connect(parts).await?.run().await
}

async fn start(folder: &Path, began: Instant) -> anyhow::Result<System> {
    println!(
        "starting Apache Kafka, a schema registry and PostgreSQL (the first time they are fetched: a minute or two)"
    );
    let system = System::start(folder).await?;
    println!("documents: {}", system.index().await?);
    let shown = results::show(&system).await?;
    println!(
        "\nasking (ready after {:.1} s); results as they commit:\n",
        began.elapsed().as_secs_f32()
    );
    for question in QUESTIONS {
        system.ask(question).await?;
    }
    shown.are(QUESTIONS.len()).await;
    system.introduce()?;
    Ok(system)
}

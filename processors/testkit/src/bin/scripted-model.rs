//! A model provider whose latency, errors and answers are scripted.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use testkit::{Script, ScriptedModel};

/// A model provider whose latency, errors and answers are scripted
///
/// Speaks OpenAI's chat completions, embeddings and models under /v1. Drive it with
/// PUT /control/script, GET /control/calls, GET /control/summary, POST /control/reset.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// A YAML or JSON file; without it every answer is an echo, at once
    #[arg(long)]
    script: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    let script = match &arguments.script {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            serde_yaml_ng::from_str(&text).with_context(|| format!("{} is no script", path.display()))?
        }
        None => Script::default(),
    };
    raise_file_limit();
    let model = ScriptedModel::listen(arguments.listen, script).await?;
    println!("listening on {}", model.url);
    model.serve().await;
    Ok(())
}

/// One connection, one file descriptor. A lower limit only means fewer callers at once.
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

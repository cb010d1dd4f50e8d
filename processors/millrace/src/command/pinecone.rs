use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::Args;
use retrieval::twin::{self, TwinSettings};

use crate::shutdown;

/// A server on loopback that speaks Pinecone's API, keeps what it is given in a folder and searches exactly. For
/// development and tests: point `pinecone.control_url`, or any Pinecone client, at it.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  millrace pinecone --listen 127.0.0.1:5081
  MILLRACE_PINECONE__CONTROL_URL=http://127.0.0.1:5081 millrace run")]
pub struct Pinecone {
    #[arg(long, default_value = "127.0.0.1:5081")]
    listen: SocketAddr,
    /// Where the vectors are kept
    #[arg(long, default_value = ".millrace/pinecone", value_name = "FOLDER")]
    data: PathBuf,
}

pub async fn execute(command: Pinecone) -> anyhow::Result<ExitCode> {
    let settings = TwinSettings {
        listen: command.listen,
        data_dir: command.data,
    };
    twin::run(settings, shutdown::on_signal(None)?).await?;
    Ok(ExitCode::SUCCESS)
}

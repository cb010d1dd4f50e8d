//! What can be typed. Each subcommand is an enum arm and a file.

mod audit;
mod chain;
mod config;
mod index;
pub mod output;
mod pinecone;
mod request;
mod run;
mod schemas;
mod tail;
mod topics;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand, ValueEnum};

use crate::config::load;

/// AI model chains on Kafka: requests in, results out, exactly once.
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = 110,
    after_help = "\
Examples:
  millrace topics apply && millrace schemas register     prepare an empty cluster
  millrace run                                           every role in one process
  millrace run --roles orchestrator                      one role, as many copies as you like
  millrace request --chain answer '{\"question\": \"What is a lane?\"}'
  millrace tail results                                  watch results as they commit

Every setting of millrace.yaml has an environment variable: kafka.bootstrap_servers is
MILLRACE_KAFKA__BOOTSTRAP_SERVERS. `millrace config example` lists them all."
)]
pub struct Arguments {
    /// The configuration; without it millrace.yaml of this folder, if there is one.
    #[arg(long, global = true, env = "MILLRACE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Form of the log on standard error [default: pretty on a terminal, else json]
    #[arg(long, global = true, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum LogFormat {
    Pretty,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run roles until a signal
    Run(run::Run),
    /// Show, compare and make the topics
    #[command(
        subcommand,
        after_help = "\
Examples:
  millrace topics diff
  millrace topics apply
  millrace topics list --rights
  millrace topics list --yaml > topics.yaml"
    )]
    Topics(topics::Topics),
    /// Register the Avro schemas, or check them against what is registered
    #[command(
        subcommand,
        after_help = "\
Examples:
  millrace schemas check
  millrace schemas register"
    )]
    Schemas(schemas::Schemas),
    /// Write, check, test, look into and run chain files, without Kafka
    #[command(
        subcommand,
        after_help = "\
Examples:
  millrace chain new mine --from support-answer
  millrace chain lint
  millrace chain test
  millrace chain run chains/echo.yaml '{\"text\": \"hello\"}'"
    )]
    Chain(chain::Chain),
    /// Send one request and wait for its result
    Request(request::Request),
    /// Watch a topic, decoded, as its records commit
    Tail(tail::Tail),
    /// Ask the books of paid calls
    #[command(
        subcommand,
        after_help = "\
Examples:
  millrace audit unresolved
  millrace audit unresolved --since 7d --json | jq -r .request_id"
    )]
    Audit(audit::AuditCommand),
    /// Send documents to the indexer
    Index(index::Index),
    /// Run the local twin of Pinecone
    Pinecone(pinecone::Pinecone),
    /// Check the configuration, or print an example
    #[command(
        subcommand,
        after_help = "\
Examples:
  millrace config example > millrace.yaml
  millrace --config millrace.yaml config check"
    )]
    Config(config::ConfigCommand),
}

pub async fn execute(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let path = arguments.config.as_deref();
    let config = || load(path);
    match arguments.command {
        Command::Run(command) => run::execute(command, config()?).await,
        Command::Topics(command) => topics::execute(command, &config()?).await,
        Command::Schemas(command) => schemas::execute(command, &config()?).await,
        Command::Chain(command) => chain::execute(command, &config()?).await,
        Command::Request(command) => request::execute(command, &config()?).await,
        Command::Tail(command) => tail::execute(command, &config()?).await,
        Command::Audit(command) => audit::execute(command, &config()?).await,
        Command::Index(command) => index::execute(command, &config()?).await,
        Command::Pinecone(command) => pinecone::execute(command).await,
        Command::Config(command) => config::execute(&command, path),
    }
}

use std::{fs, path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use models::{Caller, LimitWait, Models, Unrecorded};
use orchestrator::{Chain as ChainFile, Chains, Ending, Failure, Outcome, Resources, Services};
use schemas::{Timestamp, status};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{config::Config, shutdown};

use super::output;

#[derive(Debug, Subcommand)]
pub enum Chain {
    /// Check chain files: every mistake at once, with file:line:col and a fix; exit 1 if there is one
    #[command(after_help = "\
Examples:
  millrace chain lint
  millrace chain lint chains/answer.yaml more-chains/")]
    Lint {
        /// Files or folders [default: the configured folder]
        paths: Vec<PathBuf>,
    },
    /// Run one chain file here, without Kafka, and print the outcome
    Run(Run),
}

/// Paid calls of this run are paid; nothing but the printed outcome keeps account of them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  millrace chain run chains/echo.yaml '{\"text\": \"hello\"}'
  millrace chain run chains/answer.yaml '{\"question\": \"What is a lane?\"}' --params '{\"top_k\": 3}'")]
pub struct Run {
    file: PathBuf,
    /// The chain's input as JSON
    #[arg(value_name = "JSON")]
    input: String,
    /// The chain's params as JSON
    #[arg(long, value_name = "JSON", default_value = "{}")]
    params: String,
}

pub async fn execute(command: Chain, config: &Config) -> anyhow::Result<ExitCode> {
    let resources = Resources {
        models: models(config)?,
        indexes: config.indexes.clone(),
    };
    match command {
        Chain::Lint { paths } => lint(paths, config, &resources),
        Chain::Run(command) => run(command, config, resources).await,
    }
}

fn lint(paths: Vec<PathBuf>, config: &Config, resources: &Resources) -> anyhow::Result<ExitCode> {
    let paths = if paths.is_empty() {
        vec![config.chains.clone()]
    } else {
        paths
    };
    match Chains::load(&paths, resources) {
        Ok(chains) if chains.runnable().is_empty() => {
            let searched: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
            bail!("no chain file (*.yaml) under {}", searched.join(", "))
        }
        Ok(chains) => {
            for chain in chains.runnable() {
                output::line(format_args!("{}  {}", chain.key(), chain.digest))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            eprintln!("{error}");
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn run(command: Run, config: &Config, resources: Resources) -> anyhow::Result<ExitCode> {
    let name = command.file.display().to_string();
    let source = fs::read_to_string(&command.file).with_context(|| format!("cannot read {name}"))?;
    let chain = match ChainFile::read(&source, &name, &resources) {
        Ok(chain) => chain,
        Err(problems) => {
            for problem in problems {
                eprintln!("{problem}");
            }
            return Ok(ExitCode::FAILURE);
        }
    };
    let input: Value = serde_json::from_str(&command.input).context("the input is no JSON")?;
    let params: Value = serde_json::from_str(&command.params).context("the params are no JSON")?;
    let accepted = match chain.accept(input, params) {
        Ok(accepted) => accepted,
        Err(mistake) => bail!("{mistake}"),
    };
    let services = Services {
        caller: Arc::new(Caller::new(Arc::clone(&resources.models), Arc::new(Unrecorded))?),
        pinecone: config.pinecone()?,
        indexes: resources.indexes,
    };
    let cancelled = shutdown::on_signal()?;
    let outcome = chain.run(&accepted, &context(&chain, cancelled), &services).await;
    let (completed, shown) = show(&outcome);
    output::json(&shown)?;
    Ok(if completed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn context(chain: &ChainFile, cancelled: CancellationToken) -> orchestrator::Context {
    orchestrator::Context {
        request_id: Uuid::now_v7().to_string(),
        tenant: schemas::identity::DEFAULT_TENANT.to_owned(),
        src: String::new(),
        accepted_at: Timestamp::now(),
        turn: 0,
        trace_id: None,
        deadline: Instant::now() + chain.deadline,
        cancelled,
        limit_wait: LimitWait::default(),
    }
}

/// Whether it completed, and what a person sees of it.
fn show(outcome: &Outcome) -> (bool, Value) {
    let bill = json!({
        "usage": outcome.bill.usage,
        "cost": outcome.bill.cost.to_string(),
        "calls": outcome.bill.attempts.len(),
        "documents": outcome.bill.documents,
    });
    let failed = |status: &str, failure: &Failure| json!({"status": status, "error": {"class": failure.class, "message": failure.message, "step": failure.step}});
    let (completed, mut shown) = match &outcome.ending {
        Ending::Completed(output) => (true, json!({"status": status::COMPLETED, "output": output})),
        Ending::Failed(failure) => (false, failed(status::FAILED, failure)),
        Ending::Cancelled(failure) => (false, failed(status::CANCELLED, failure)),
    };
    shown["bill"] = bill;
    (completed, shown)
}

/// The models of the configured file, or the `local` ones.
pub fn models(config: &Config) -> anyhow::Result<Arc<Models>> {
    let (text, path) = match &config.models {
        Some(path) => {
            let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            (text, path.display().to_string())
        }
        None => (models::DEFAULT_FILE.to_owned(), "the models that ship".to_owned()),
    };
    match Models::load(&text, &path) {
        Ok(models) => Ok(Arc::new(models)),
        Err(problems) => bail!(
            "{}",
            problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        ),
    }
}

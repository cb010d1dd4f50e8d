use std::{path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::{Context, bail};
use clap::Args;
use models::{Caller, Unrecorded};
use orchestrator::{Ending, Failure, Outcome, Resources, Services};
use schemas::status;
use serde_json::{Value, json};

use super::{context, read};
use crate::{command::output, config::Config, shutdown};

/// Paid calls of this run are paid; nothing but the printed outcome keeps account of them. A run that waits for a decision
/// goes on with those of --decisions.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  millrace chain run chains/echo.yaml '{\"text\": \"hello\"}'
  millrace chain run chains/answer.yaml '{\"question\": \"What is a lane?\"}' --params '{\"top_k\": 3}'
  millrace chain run chains/refund-approval.yaml '{\"order\": \"A-1\", \"amount\": 70, \"reason\": \"It broke.\"}' \\
    --decisions '{\"approval\": {\"approved\": true}}'")]
pub struct Run {
    file: PathBuf,
    /// The chain's input as JSON
    #[arg(value_name = "JSON")]
    input: String,
    /// The chain's params as JSON
    #[arg(long, value_name = "JSON", default_value = "{}")]
    params: String,
    /// What is decided where steps wait for it, by the name of the step, as JSON
    #[arg(long, value_name = "JSON")]
    decisions: Option<String>,
}

pub(super) async fn execute(command: Run, config: &Config, resources: Resources) -> anyhow::Result<ExitCode> {
    let Some(chain) = read(&command.file, &resources)? else {
        return Ok(ExitCode::FAILURE);
    };
    let input = schemas::json::read(command.input.as_bytes()).context("the input is no JSON")?;
    let params = schemas::json::read(command.params.as_bytes()).context("the params are no JSON")?;
    let accepted = match chain.accept(input, params) {
        Ok(accepted) => accepted,
        Err(mistake) => bail!("{mistake}"),
    };
    let caller = Caller::new(Arc::clone(&resources.models), Arc::new(Unrecorded))?;
    let services = Services::new(resources, Arc::new(caller), config.pinecone()?)?;
    let cancelled = shutdown::on_signal(None)?;
    let context = context(&chain, cancelled);
    let mut outcome = chain.run(&accepted, &context, &services).await;
    if let (Ending::Interrupted(state), Some(decisions)) = (&outcome.ending, command.decisions) {
        let decisions = schemas::json::read(decisions.as_bytes()).context("the decisions are no JSON")?;
        let turn = context.turn + 1;
        let resumed = chain.resume(&json!(state).to_string(), turn, decisions);
        let accepted = resumed.map_err(anyhow::Error::msg)?;
        outcome = chain.run(&accepted, &context, &services).await;
    }
    let (completed, shown) = show(&outcome);
    output::json(&shown)?;
    Ok(if completed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
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
        Ending::Interrupted(state) => (
            true,
            json!({"status": status::INTERRUPTED, "approvals": state.approvals}),
        ),
        Ending::Failed(failure) => (false, failed(status::FAILED, failure)),
        Ending::Cancelled(failure) => (false, failed(status::CANCELLED, failure)),
    };
    shown["bill"] = bill;
    (completed, shown)
}

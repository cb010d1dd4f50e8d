use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use clap::Args;
use orchestrator::{Ending, Resources};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{context, read};
use crate::{command::output, config::Config};

/// Nothing is called: steps that would call something give what `--mock` says, and the first without one ends it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  millrace chain render chains/summarize.yaml '{\"text\": \"hello\"}'
  millrace chain render chains/answer.yaml '{\"question\": \"Who?\"}' \\
      --mock 'docs={\"items\": [{\"id\": \"a\", \"score\": 1, \"text\": \"It was Ada.\", \"metadata\": {}}]}'")]
pub struct Render {
    file: PathBuf,
    /// The chain's input as JSON
    #[arg(value_name = "JSON")]
    input: String,
    /// The chain's params as JSON
    #[arg(long, value_name = "JSON", default_value = "{}")]
    params: String,
    /// What a step gives; `pages[].summary` stands for every item of the map `pages`
    #[arg(long = "mock", value_name = "STEP=JSON")]
    mocks: Vec<String>,
}

pub(super) async fn execute(command: Render, config: &Config, resources: &Resources) -> anyhow::Result<ExitCode> {
    let Some(chain) = read(&command.file, resources)? else {
        return Ok(ExitCode::FAILURE);
    };
    let input = schemas::json::read(command.input.as_bytes()).context("the input is no JSON")?;
    let params = schemas::json::read(command.params.as_bytes()).context("the params are no JSON")?;
    let mocks: BTreeMap<String, Value> = command.mocks.iter().map(|mock| pair(mock)).collect::<Result<_, _>>()?;
    let accepted = match chain.accept(input, params) {
        Ok(accepted) => accepted,
        Err(mistake) => bail!("{mistake}"),
    };
    let context = context(&chain, CancellationToken::new());
    let rendered = chain.render(&accepted, mocks, &context, resources, &config.pinecone);
    let (requests, ending) = rendered.await;
    for shown in &requests {
        output::line(format_args!("{shown:#}"))?;
    }
    let Ending::Failed(failure) = ending else {
        return Ok(ExitCode::SUCCESS);
    };
    let step = failure.step.unwrap_or_default();
    if failure.class == "not_mocked" {
        eprintln!("What comes after step `{step}` depends on what it gives: --mock '{step}={{…}}'");
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("The run fails in step `{step}`: {}", failure.message);
    Ok(ExitCode::FAILURE)
}

fn pair(mock: &str) -> anyhow::Result<(String, Value)> {
    let (step, output) = mock
        .split_once('=')
        .with_context(|| format!("`--mock {mock}` is not STEP=JSON"))?;
    let output = schemas::json::read(output.as_bytes()).with_context(|| format!("the mock of `{step}` is no JSON"))?;
    Ok((step.to_owned(), output))
}

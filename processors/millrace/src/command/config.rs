use std::{path::Path, process::ExitCode};

use clap::Subcommand;
use orchestrator::{Chains, Resources};

use crate::{
    config::{self, Config},
    telemetry,
};

use super::{chain::models, output, topics::catalog};

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Report every mistake of the configuration and of the topics, models and chains that it names
    #[command(after_help = "\
Examples:
  millrace config check
  MILLRACE_KAFKA__PREFIX=staging. millrace --config millrace.yaml config check")]
    Check,
    /// Print the annotated example of a millrace.yaml
    #[command(after_help = "\
Example:
  millrace config example > millrace.yaml")]
    Example,
}

pub fn execute(command: &ConfigCommand, path: Option<&Path>) -> anyhow::Result<ExitCode> {
    match command {
        ConfigCommand::Check => {
            let mistakes = mistakes(&config::load(path)?);
            for mistake in &mistakes {
                eprintln!("error: {}", telemetry::with_causes(mistake.as_ref()));
            }
            if !mistakes.is_empty() {
                return Ok(ExitCode::FAILURE);
            }
            output::line("the configuration is right")?;
        }
        ConfigCommand::Example => output::text(config::EXAMPLE)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn mistakes(config: &Config) -> Vec<anyhow::Error> {
    let mut mistakes: Vec<_> = catalog(config).err().into_iter().collect();
    match models(config) {
        Err(error) => mistakes.push(error),
        Ok(models) => {
            let resources = Resources {
                models,
                indexes: config.indexes.clone(),
                chains: orchestrator::Others::default(),
                hash_key: config.hash_key.clone(),
            };
            let loaded = Chains::load(std::slice::from_ref(&config.chains), &resources);
            mistakes.extend(loaded.err().map(anyhow::Error::from));
        }
    }
    mistakes
}

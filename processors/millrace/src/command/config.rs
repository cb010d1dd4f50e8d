use std::{path::Path, process::ExitCode};

use clap::Subcommand;
use orchestrator::Chains;
use schemas::Registry;

use crate::{
    config::{self, Config},
    telemetry,
};

use super::{chain::resources, output, topics::catalog};

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
    let fits = catalog(config).and_then(|catalog| config.fits(&catalog));
    let mut mistakes: Vec<_> = [
        fits,
        Registry::new(&config.registry).map(drop).map_err(Into::into),
        config.pinecone().map(drop),
    ]
    .into_iter()
    .filter_map(Result::err)
    .collect();
    match resources(config) {
        Err(error) => mistakes.push(error),
        Ok(resources) => {
            let loaded = Chains::load(std::slice::from_ref(&config.chains), &resources);
            mistakes.extend(loaded.err().map(anyhow::Error::from));
        }
    }
    mistakes
}

use std::{path::Path, process::ExitCode};

use clap::Subcommand;

use crate::config;

use super::output;

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Report every mistake of the configuration and of what it names
    Check,
    /// Print the annotated example of a millrace.yaml
    Example,
}

pub fn execute(command: &ConfigCommand, path: Option<&Path>) -> anyhow::Result<ExitCode> {
    match command {
        ConfigCommand::Check => {
            config::load(path)?;
            output::line("the configuration is right")?;
        }
        ConfigCommand::Example => output::text(config::EXAMPLE)?,
    }
    Ok(ExitCode::SUCCESS)
}

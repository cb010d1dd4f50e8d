use std::process::ExitCode;

use clap::Subcommand;
use schemas::{Check, Registry};

use crate::config::Config;

use super::output;

#[derive(Debug, Subcommand)]
pub enum Schemas {
    /// Register every record type under <topic>-value, FULL_TRANSITIVE
    #[command(after_help = "\
Examples:
  millrace schemas register
  MILLRACE_KAFKA__PREFIX=staging. millrace schemas register")]
    Register,
    /// Compare with what is registered, changing nothing; exit 1 if something is missing or incompatible
    #[command(after_help = "\
Example:
  millrace schemas check || millrace schemas register")]
    Check,
}

pub async fn execute(command: Schemas, config: &Config) -> anyhow::Result<ExitCode> {
    let registry = Registry::new(&config.registry)?;
    let mut code = ExitCode::SUCCESS;
    for (topic, definition) in schemas::topics() {
        let topic = config.kafka.topic(topic);
        match command {
            Schemas::Register => {
                let id = registry.register(&topic, definition).await?;
                output::line(format_args!("{topic}-value  {}  id {id}", definition.name))?;
            }
            Schemas::Check => {
                let (right, said) = match registry.check(&topic, definition).await? {
                    Check::Registered { id } => (true, format!("id {id}")),
                    Check::New => (false, "is not registered: run `millrace schemas register`".to_owned()),
                    Check::Compatible => (
                        false,
                        "has an older version: run `millrace schemas register`".to_owned(),
                    ),
                    Check::Incompatible { reasons } => (false, format!("would be refused: {}", reasons.join("; "))),
                };
                if !right {
                    code = ExitCode::FAILURE;
                }
                output::line(format_args!("{topic}-value  {}  {said}", definition.name))?;
            }
        }
    }
    Ok(code)
}

use std::process::ExitCode;

use clap::Subcommand;
use schemas::Registry;

use crate::config::Config;

#[derive(Debug, Subcommand)]
pub enum Schemas {
    /// Register every record type under <topic>-value, FULL_TRANSITIVE
    Register,
    /// Compare with what is registered, changing nothing; exit 1 if something is missing or incompatible
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
                println!("{topic}-value  {}  id {id}", definition.name);
            }
            Schemas::Check => {
                let check = registry.check(&topic, definition).await?;
                if !check.is_right() {
                    code = ExitCode::FAILURE;
                }
                println!("{topic}-value  {}  {check}", definition.name);
            }
        }
    }
    Ok(code)
}

use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use topics::{
    Catalog,
    admin::{self, Admin, From, Listing, Options, Rights},
};

use crate::config::Config;

use super::output;

#[derive(Debug, Subcommand)]
pub enum Topics {
    /// Print the list: topics, keys, schemas, retention, writers, readers
    #[command(after_help = "\
Examples:
  millrace topics list
  millrace topics list --rights
  millrace topics list --yaml > topics.yaml")]
    List {
        /// Print who needs which right on the cluster (for ACLs)
        #[arg(long, conflicts_with = "yaml")]
        rights: bool,
        /// Print the file that ships, to start one of your own from
        #[arg(long)]
        yaml: bool,
    },
    /// Compare the list with the cluster, changing nothing; exit 1 if they differ
    #[command(after_help = "\
Example:
  millrace topics diff || millrace topics apply")]
    Diff,
    /// Make the cluster as the list says: create, alter, initialise groups. Deletes nothing
    #[command(after_help = "\
Examples:
  millrace topics apply
  millrace topics apply --allow-reorder        after raising `partitions` in topics.yaml
  millrace topics apply --from latest          a group begins where its topic ends, leaving what lies there")]
    Apply {
        /// Add partitions too: records of one key may overtake each other once
        #[arg(long)]
        allow_reorder: bool,
        /// Where a group begins on partitions that hold records but no commit of it
        #[arg(long, value_name = "WHERE")]
        from: Option<Begin>,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Begin {
    /// Run what lies there, and pay for it
    Earliest,
    /// Leave it, begin with what comes
    Latest,
}

pub async fn execute(command: Topics, config: &Config) -> anyhow::Result<ExitCode> {
    let catalog = catalog(config)?;
    match command {
        Topics::List { yaml: true, .. } => output::text(topics::catalog::EMBEDDED)?,
        Topics::List { rights: false, .. } => output::text(Listing {
            catalog: &catalog,
            kafka: &config.kafka,
        })?,
        Topics::List { rights: true, .. } => output::text(Rights {
            catalog: &catalog,
            kafka: &config.kafka,
        })?,
        Topics::Diff => {
            let state = Admin::new(&config.kafka)?.observe(&catalog).await?;
            let plan = admin::plan(&catalog, &config.kafka, &state, Options::default());
            output::text(&plan)?;
            if !plan.is_empty() {
                return Ok(ExitCode::FAILURE);
            }
        }
        Topics::Apply { allow_reorder, from } => {
            let options = Options {
                allow_reorder,
                from: from.map(|begin| match begin {
                    Begin::Earliest => From::Earliest,
                    Begin::Latest => From::Latest,
                }),
            };
            let admin = Admin::new(&config.kafka)?;
            let state = admin.observe(&catalog).await?;
            let plan = admin::plan(&catalog, &config.kafka, &state, options);
            output::text(&plan)?;
            admin.apply(&plan).await?;
            if !plan.findings.is_empty() {
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The list in use: the configured file, or the one that ships.
pub fn catalog(config: &Config) -> anyhow::Result<Catalog> {
    Ok(match &config.topics {
        Some(path) => Catalog::load(path)?,
        None => Catalog::embedded()?,
    })
}

use std::{path::PathBuf, process::ExitCode};

use anyhow::bail;
use orchestrator::{Chains, LoadError, Resources};

use super::draw;
use crate::{command::output, config::Config};

pub(super) fn execute(paths: Vec<PathBuf>, config: &Config, resources: &Resources) -> anyhow::Result<ExitCode> {
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
        Err(LoadError::Problems(problems)) => {
            draw::problems(&problems);
            Ok(ExitCode::FAILURE)
        }
        Err(error @ LoadError::Read { .. }) => Err(error.into()),
    }
}

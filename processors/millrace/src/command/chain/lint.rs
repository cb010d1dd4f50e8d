use std::{path::PathBuf, process::ExitCode};

use anyhow::bail;
use models::Worst;
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
                let worst = worst(&chain.worst_case(resources));
                output::line(format_args!("{}  {}  {worst}", chain.key(), chain.digest))?;
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

/// The most that a run can cost.
fn worst(worst: &Worst) -> String {
    let Worst { calls, tokens, cost } = worst;
    if *calls == 0 {
        return "calls no model".to_owned();
    }
    let calls = match calls {
        1 => "1 call".to_owned(),
        many => format!("{many} calls"),
    };
    let tokens = tokens.map_or("tokens without a bound".to_owned(), |tokens| format!("{tokens} tokens"));
    let cost = cost.map_or("a cost without a bound".to_owned(), |cost| cost.to_string());
    format!("at most {calls}, {tokens}, {cost}")
}

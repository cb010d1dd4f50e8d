use std::{path::PathBuf, process::ExitCode, time::Duration};

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
                let worst = worst(&chain.worst_case(resources), chain.deadline);
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

/// The most that a run can cost, and take.
fn worst(worst: &Worst, deadline: Duration) -> String {
    let Worst {
        calls,
        tokens,
        cost,
        time,
    } = worst;
    if *calls == 0 {
        return "calls no model".to_owned();
    }
    let time = time_of(*time, deadline);
    let calls = match calls {
        1 => "1 call".to_owned(),
        many => format!("{many} calls"),
    };
    let tokens = tokens.map_or("tokens without a bound".to_owned(), |tokens| format!("{tokens} tokens"));
    let cost = cost.map_or("a cost without a bound".to_owned(), |cost| cost.to_string());
    format!("at most {calls}, {tokens}, {cost}, {time}")
}

/// A run ends at its deadline, whatever its steps would like; that is worth knowing where they could like more.
fn time_of(time: Option<Duration>, deadline: Duration) -> String {
    let at_most = deadline.as_secs_f64();
    match time {
        Some(time) if time <= deadline => format!("{} s", time.as_secs_f64()),
        Some(time) => {
            let needed = time.as_secs_f64();
            format!("{at_most} s (its deadline; {needed} s if every call took all its time)")
        }
        None => format!("{at_most} s (its deadline; nothing else ends its calls)"),
    }
}

use std::{path::PathBuf, process::ExitCode};

use anyhow::bail;
use orchestrator::{Chains, LoadError, Resources, Verdict};
use serde_json::Value;
use similar::{ChangeTag, TextDiff};
use tokio_util::sync::CancellationToken;

use super::{context, draw};
use crate::{command::output, config::Config};

pub(super) async fn execute(paths: Vec<PathBuf>, config: &Config, resources: &Resources) -> anyhow::Result<ExitCode> {
    let paths = if paths.is_empty() {
        vec![config.chains.clone()]
    } else {
        paths
    };
    let chains = match Chains::load(&paths, resources) {
        Ok(chains) => chains.runnable(),
        Err(LoadError::Problems(problems)) => {
            draw::problems(&problems);
            return Ok(ExitCode::FAILURE);
        }
        Err(error @ LoadError::Read { .. }) => return Err(error.into()),
    };
    let (mut passed, mut failed) = (0, 0);
    for chain in &chains {
        for trial in chain.trials() {
            let context = context(chain, CancellationToken::new());
            match chain.try_out(trial, &context).await {
                Verdict::Passed => {
                    passed += 1;
                    output::line(format_args!("ok    {}: {}", chain.key(), trial.name))?;
                }
                Verdict::Differs { expected, actual, why } => {
                    failed += 1;
                    output::line(format_args!("FAIL  {}: {}", chain.key(), trial.name))?;
                    output::text(difference(&expected, &actual))?;
                    if let Some(why) = why {
                        output::line(format_args!("      {why}"))?;
                    }
                }
            }
        }
    }
    if passed + failed == 0 {
        let searched: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        bail!(
            "no test in the chain files of {}: `millrace chain test --help` shows one",
            searched.join(", ")
        );
    }
    output::line(format_args!("{passed} passed, {failed} failed"))?;
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What was expected and is not there with `-`, what is there instead with `+`.
fn difference(expected: &Value, actual: &Value) -> String {
    let [expected, actual] = [expected, actual].map(|value| format!("{value:#}"));
    let mut lines = String::new();
    for change in TextDiff::from_lines(&expected, &actual).iter_all_changes() {
        let sign = match change.tag() {
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
            ChangeTag::Equal => ' ',
        };
        let line = change.value().trim_end_matches('\n');
        lines.push_str(&format!("      {sign} {line}\n"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_difference_shows_what_is_missing_and_what_is_there_instead() {
        let expected = json!({"output": {"a": 1, "b": 2}});
        let actual = json!({"output": {"a": 1, "b": 3}});

        assert_eq!(
            difference(&expected, &actual),
            "        {\n          \"output\": {\n            \"a\": 1,\n      -     \"b\": 2\n      +     \"b\": 3\n          }\n        }\n"
        );
    }
}

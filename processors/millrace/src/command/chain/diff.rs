use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use orchestrator::{Change, Resources};
use serde_json::Value;

use super::read;
use crate::command::output;

/// Longer values are cut where they are shown.
const SHOWN: usize = 60;

/// Comments, layout and the order of keys do not count.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  git show HEAD:chains/answer.yaml > /tmp/before.yaml
  millrace chain diff /tmp/before.yaml chains/answer.yaml --fail-on-breaking")]
pub struct Diff {
    before: PathBuf,
    after: PathBuf,
    /// Exit 1 if callers may be refused, or readers may get what they do not expect
    #[arg(long)]
    fail_on_breaking: bool,
}

pub(super) fn execute(command: &Diff, resources: &Resources) -> anyhow::Result<ExitCode> {
    let (Some(before), Some(after)) = (read(&command.before, resources)?, read(&command.after, resources)?) else {
        return Ok(ExitCode::FAILURE);
    };
    let difference = before.difference(&after);
    if difference.changes.is_empty() {
        output::line("the same in meaning")?;
    }
    for change in &difference.changes {
        output::line(line(change))?;
    }
    let broken = [
        ("callers", &difference.breaks_callers),
        ("readers of results", &difference.breaks_readers),
    ];
    for (whom, why) in broken {
        if let Some(why) = why {
            output::line(format_args!("BREAKS {whom}: {why}"))?;
        }
    }
    let breaking = difference.breaks_callers.is_some() || difference.breaks_readers.is_some();
    Ok(if breaking && command.fail_on_breaking {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn line(change: &Change) -> String {
    let Change { path, before, after } = change;
    match (before, after) {
        (Some(before), Some(after)) => format!("~ {path}: {} → {}", short(before), short(after)),
        (Some(before), None) => format!("- {path}: {}", short(before)),
        (None, Some(after)) => format!("+ {path}: {}", short(after)),
        (None, None) => format!("  {path}"),
    }
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= SHOWN {
        return text;
    }
    let kept: String = text.chars().take(SHOWN).collect();
    format!("{kept}…")
}

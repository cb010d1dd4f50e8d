use std::{fs, io::ErrorKind, path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use crate::{command::output, config::Config};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  millrace chain new invoices --from extract
  millrace chain new mine --from summarize --path chains/mine.yaml")]
pub struct New {
    /// Its name: lower-case letters, digits and `-`
    name: String,
    /// What it is made of
    #[arg(long, value_enum, default_value_t = Template::Summarize)]
    from: Template,
    /// Where it goes [default: <name>.yaml in the configured folder]
    #[arg(long)]
    path: Option<PathBuf>,
}

/// The chains that ship with Millrace.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Template {
    /// One call of one model
    Summarize,
    /// Retrieval with citations
    Answer,
    /// The same, which says so where the documents do not hold the answer
    SupportAnswer,
    /// A classifier, and a switch on what it says
    Triage,
    /// From text to fields, with repair
    Extract,
    /// A map over the parts of a text, and a reduction
    SummarizeLong,
    /// Branches at the same time, and a judge
    CompareModels,
    /// A model with tools, within bounds
    Agent,
    /// Personal data covered, and the answer checked
    ModeratedChat,
}

impl Template {
    fn name_and_text(self) -> (&'static str, &'static str) {
        macro_rules! shipped {
            ($name:literal) => {
                (
                    $name,
                    include_str!(concat!("../../../../chains/", $name, ".yaml")),
                )
            };
        }
        match self {
            Self::Summarize => shipped!("summarize"),
            Self::Answer => shipped!("answer"),
            Self::SupportAnswer => shipped!("support-answer"),
            Self::Triage => shipped!("triage"),
            Self::Extract => shipped!("extract"),
            Self::SummarizeLong => shipped!("summarize-long"),
            Self::CompareModels => shipped!("compare-models"),
            Self::Agent => shipped!("agent"),
            Self::ModeratedChat => shipped!("moderated-chat"),
        }
    }
}

pub(super) fn execute(command: New, config: &Config) -> anyhow::Result<ExitCode> {
    let New { name, from, path } = command;
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !(1..=64).contains(&name.len()) || !name.chars().all(allowed) {
        bail!("`{name}` cannot be the name of a chain: use 1 to 64 lower-case letters, digits and `-`");
    }
    let path = path.unwrap_or_else(|| config.chains.join(format!("{name}.yaml")));
    let (template, text) = from.name_and_text();
    let text = text.replacen(&format!("name: {template}\n"), &format!("name: {name}\n"), 1);
    let written =
        fs::File::create_new(&path).and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
    match written {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            bail!(
                "{} is already there: remove it, or name another with --path",
                path.display()
            )
        }
        Err(error) => return Err(error).with_context(|| format!("cannot write {}", path.display())),
    }
    let path = path.display();
    output::line(format_args!(
        "{path} is there. Change it, then: millrace chain lint {path}"
    ))?;
    Ok(ExitCode::SUCCESS)
}

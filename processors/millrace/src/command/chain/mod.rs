//! What can be done with a chain file: check it, run it, try its tests, see what it would send, draw it.

mod diff;
mod draw;
mod graph;
mod lint;
mod new;
mod render;
mod run;
mod test;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context, bail};
use clap::Subcommand;
use models::{LimitWait, Models};
use orchestrator::{Chain as ChainFile, LoadError, Resources};
use schemas::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{command::output, config::Config};

#[derive(Debug, Subcommand)]
pub enum Chain {
    /// Check chain files: every mistake at once, drawn where it is, with a fix; exit 1 if there is one
    #[command(after_help = "\
Of a chain without mistakes it prints the name, the digest, and the most that a run can cost and take: every retry, fallback,
item and round, every prompt as large as its model's `context`, every call at its time limit, and no more than the chain's
budget.

Examples:
  millrace chain lint
  millrace chain lint chains/answer.yaml more-chains/")]
    Lint {
        /// Files or folders [default: the configured folder]
        paths: Vec<PathBuf>,
    },
    /// Run one chain file here, without Kafka, and print the outcome
    Run(run::Run),
    /// Try the tests that chain files bring along: nothing is called, what steps would give is in the test
    #[command(after_help = "\
A test in a chain file:
  tests:
    - name: says that it does not know
      input: {question: \"Who?\"}
      mocks: {docs: {items: []}, answer: {text: I do not know.}}
      expect: {output: {answer: I do not know., documents: []}}

A mock is the output of a step, or {error: <class>}; `pages[].summary` stands for the step `summary` of every item of the
map `pages`. A test expects an output, or {error: <class>, step: <id>}.

Examples:
  millrace chain test
  millrace chain test chains/answer.yaml")]
    Test {
        /// Files or folders [default: the configured folder]
        paths: Vec<PathBuf>,
    },
    /// Show the exact requests that a chain file would send to the providers for an input
    Render(render::Render),
    /// Draw the steps of a chain file as a Mermaid flowchart
    #[command(after_help = "\
Example:
  millrace chain graph chains/answer.yaml > answer.mmd")]
    Graph { file: PathBuf },
    /// Tell what changed in meaning between two versions of a chain file, and whom it breaks
    Diff(diff::Diff),
    /// Print the JSON Schema of chain files, for completion in editors
    #[command(after_help = "\
Example, for editors with the YAML language server; in the first line of a chain file:
  millrace chain schema > chain.schema.json
  # yaml-language-server: $schema=chain.schema.json")]
    Schema,
    /// Begin a chain file with one that ships with Millrace
    New(new::New),
}

pub async fn execute(command: Chain, config: &Config) -> anyhow::Result<ExitCode> {
    let resources = resources(config)?;
    match command {
        Chain::Lint { paths } => lint::execute(paths, config, &resources),
        Chain::Run(command) => run::execute(command, config, resources).await,
        Chain::Test { paths } => test::execute(paths, config, &resources).await,
        Chain::Render(command) => render::execute(command, config, &resources).await,
        Chain::Graph { file } => graph::execute(&file, &resources),
        Chain::Diff(command) => diff::execute(&command, &resources),
        Chain::Schema => {
            output::text(orchestrator::SCHEMA)?;
            Ok(ExitCode::SUCCESS)
        }
        Chain::New(command) => new::execute(command, config),
    }
}

/// A chain file without mistakes; `None` after they were told.
fn read(path: &Path, resources: &Resources) -> anyhow::Result<Option<Arc<ChainFile>>> {
    match orchestrator::load_one(path, resources) {
        Ok(chain) => Ok(Some(chain)),
        Err(LoadError::Problems(problems)) => {
            draw::problems(&problems);
            Ok(None)
        }
        Err(error @ LoadError::Read { .. }) => Err(error.into()),
    }
}

fn context(chain: &ChainFile, cancelled: CancellationToken) -> orchestrator::Context {
    orchestrator::Context {
        request_id: Uuid::now_v7().to_string(),
        tenant: schemas::identity::DEFAULT_TENANT.to_owned(),
        src: String::new(),
        accepted_at: Timestamp::now(),
        turn: 0,
        trace_id: None,
        deadline: Instant::now() + chain.deadline,
        cancelled,
        limit_wait: LimitWait::default(),
    }
}

/// What chains may name.
pub fn resources(config: &Config) -> anyhow::Result<Resources> {
    Ok(Resources {
        indexes: config.indexes.clone(),
        hosts: config.hosts()?,
        hash_key: config.hash_key.clone(),
        pinecone_timeout: config.pinecone.call_timeout(),
        ..Resources::of(models(config)?)
    })
}

/// The models of the configured file, or the `local` ones.
fn models(config: &Config) -> anyhow::Result<Arc<Models>> {
    let (text, path) = match &config.models {
        Some(path) => {
            let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            (text, path.display().to_string())
        }
        None => (models::DEFAULT_FILE.to_owned(), "the models that ship".to_owned()),
    };
    match Models::load(&text, &path) {
        Ok(models) => Ok(Arc::new(models)),
        Err(problems) => bail!(
            "{}",
            problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        ),
    }
}

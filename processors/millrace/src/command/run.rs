mod fit;
mod role;

use std::{future::Future, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use api::health::{Health, Readiness};
use clap::Args;
use models::{Books, Caller, Unrecorded};
use orchestrator::{Resources, Services};
use retrieval::{IndexSpec, Pinecone};
use schemas::Registry;
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;
use topics::{Catalog, History};
use tracing::{error, info, warn};

use crate::{books::KafkaBooks, config::Config, shutdown, telemetry};

use super::{chain::resources, topics::catalog};
use role::Role;

/// Every role is stateless: run as many copies as there is work, of all roles or of each alone. SIGTERM stops reading,
/// lets running chains finish within the grace period, commits, hands the partitions back and exits 0; what still runs
/// then is left to another process. A second signal exits at once.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  millrace run
  millrace run --roles orchestrator,indexer
  MILLRACE_ORCHESTRATOR__IN_FLIGHT=5000 millrace run --roles orchestrator")]
pub struct Run {
    /// Which roles this process has [default: all; the indexer only if an index is configured]
    #[arg(long, value_delimiter = ',')]
    roles: Vec<Role>,
}

pub async fn execute(command: Run, config: Config) -> anyhow::Result<ExitCode> {
    let shutdown = shutdown::on_signal(Some(
        "stopping: no new records, running chains may finish; a second signal ends at once",
    ))?;
    let roles = if command.roles.is_empty() {
        Role::all(&config)
    } else {
        command.roles
    };
    let process = Process::build(&roles, config)?;
    info!(roles = %names(&roles), "started");
    process.run(shutdown).await?;
    info!("stopped");
    Ok(ExitCode::SUCCESS)
}

fn names(roles: &[Role]) -> String {
    roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(",")
}

/// What the roles of this process share, and how each says that it is ready.
struct Process {
    config: Config,
    catalog: Catalog,
    registry: Registry,
    pinecone: Pinecone,
    resources: Resources,
    /// One for the process: it holds the connections and the limits of each provider's key.
    caller: Arc<Caller>,
    history: History,
    roles: Vec<(Role, watch::Sender<Result<(), String>>)>,
    health: Health,
}

impl Process {
    fn build(roles: &[Role], config: Config) -> anyhow::Result<Self> {
        let catalog = catalog(&config)?;
        config.fits(&catalog)?;
        let resources = resources(&config)?;
        let registry = Registry::new(&config.registry)?;
        let pinecone = config.pinecone()?;
        let metrics = telemetry::metrics()?;
        let (senders, receivers): (Vec<_>, Vec<(&'static str, Readiness)>) = roles
            .iter()
            .map(|role| {
                let (sender, receiver) = watch::channel(Err("starting".to_owned()));
                ((*role, sender), (role.name(), receiver))
            })
            .unzip();
        let pays = roles
            .iter()
            .any(|role| matches!(role, Role::Orchestrator | Role::Indexer));
        let history = History::open(config.history.as_deref())?;
        let books: Arc<dyn Books> = if pays {
            let (registry, history) = (registry.clone(), history.clone());
            Arc::new(KafkaBooks::new(&config.kafka, registry, history, config.write_ahead)?)
        } else {
            Arc::new(Unrecorded)
        };
        if pays && !config.write_ahead {
            warn!(
                "write_ahead is off: paid calls leave unannounced, so after a crash nobody knows what was in flight and \
                 may have been paid, and `millrace audit unresolved` cannot list it. Set write_ahead: true to know"
            );
        }
        Ok(Self {
            catalog,
            registry,
            pinecone,
            caller: Arc::new(Caller::new(Arc::clone(&resources.models), books)?),
            resources,
            history,
            roles: senders,
            health: Health::new(receivers, metrics),
            config,
        })
    }

    /// Runs until `shutdown`, or until a role ends: then the others stop in order too, for a process that does half of its
    /// work looks healthy and is not.
    async fn run(mut self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let leaving = CancellationToken::new();
        let (kafka, registry) = (self.config.kafka.clone(), self.registry.clone());
        let reporting = tokio::spawn(api::health::report(
            kafka,
            registry,
            self.health.clone(),
            leaving.clone(),
        ));
        let mut running = JoinSet::new();
        let roles = std::mem::take(&mut self.roles);
        if !roles.iter().any(|(role, _)| *role == Role::Api) {
            let served = api::health::serve(self.config.admin, self.health.clone(), shutdown.clone());
            running.spawn(async move { ("admin", served.await.map_err(anyhow::Error::from)) });
        }
        for (role, ready) in roles {
            match role {
                Role::Orchestrator => {
                    let work = self.orchestrator(ready.clone(), shutdown.clone())?;
                    spawn(&mut running, role, self.once_fit(role, ready, shutdown.clone(), work));
                }
                Role::Indexer => {
                    let work = self.indexer(ready.clone(), shutdown.clone())?;
                    spawn(&mut running, role, self.once_fit(role, ready, shutdown.clone(), work));
                }
                Role::Recorder => spawn(&mut running, role, self.recorder(ready, shutdown.clone())),
                Role::Api => spawn(&mut running, role, self.api(ready, shutdown.clone())),
            }
        }
        let mut failed = None;
        while let Some(ended) = running.join_next().await {
            let (role, outcome) = ended.context("a role ended in a panic")?;
            if let Err(error) = outcome {
                error!(
                    role,
                    error = telemetry::with_causes(error.as_ref()),
                    "the role cannot go on; stopping the process"
                );
                failed.get_or_insert(error.context(format!("role {role}")));
            } else if !shutdown.is_cancelled() {
                failed.get_or_insert(anyhow::anyhow!("role {role} ended without being asked to"));
            }
            shutdown.cancel();
        }
        // calls that were cut off are settled in the books before their producer goes
        self.caller.drain().await;
        leaving.cancel();
        if let Err(error) = reporting.await {
            warn!(%error, "the reports to the other instances ended in a panic");
        }
        failed.map_or(Ok(()), Err)
    }

    fn once_fit<W: Future<Output = anyhow::Result<()>> + Send + 'static>(
        &self,
        role: Role,
        ready: watch::Sender<Result<(), String>>,
        shutdown: CancellationToken,
        work: W,
    ) -> impl Future<Output = anyhow::Result<()>> + Send + use<W> {
        let (kafka, catalog) = (self.config.kafka.clone(), self.catalog.clone());
        async move {
            if !fit::wait(&kafka, &catalog, role.name(), &ready, &shutdown).await? {
                return Ok(());
            }
            // The role says it from here on.
            drop(ready);
            work.await
        }
    }

    fn orchestrator(
        &self,
        ready: watch::Sender<Result<(), String>>,
        shutdown: CancellationToken,
    ) -> anyhow::Result<impl Future<Output = anyhow::Result<()>> + use<>> {
        let settings = orchestrator::Settings {
            kafka: self.config.kafka.clone(),
            catalog: self.catalog.clone(),
            engine: self.config.orchestrator.clone(),
            chains: vec![self.config.chains.clone()],
            oversized_outputs: self.config.oversized_outputs.clone(),
            history: self.history.clone(),
        };
        let dependencies = orchestrator::Dependencies {
            registry: self.registry.clone(),
            services: Services::new(self.resources.clone(), Arc::clone(&self.caller), self.pinecone.clone())?,
        };
        Ok(async move { Ok(orchestrator::run(settings, dependencies, ready, shutdown).await?) })
    }

    fn indexer(
        &self,
        ready: watch::Sender<Result<(), String>>,
        shutdown: CancellationToken,
    ) -> anyhow::Result<impl Future<Output = anyhow::Result<()>> + use<>> {
        let told = &self.config.indexer;
        let wanted = |spec: &&IndexSpec| told.index.as_ref().is_none_or(|name| *name == spec.name);
        let Some(index) = self.config.indexes.iter().find(wanted) else {
            bail!(
                "the indexer needs an index: add one under `indexes`, and name it in `indexer.index` if there are several"
            );
        };
        let settings = indexer::Settings {
            kafka: self.config.kafka.clone(),
            catalog: self.catalog.clone(),
            engine: told.engine.clone(),
            splitting: told.splitting,
            patience: Duration::from_secs(told.patience_seconds),
            history: self.history.clone(),
        };
        let dependencies = indexer::Dependencies {
            registry: self.registry.clone(),
            caller: Arc::clone(&self.caller),
            pinecone: self.pinecone.clone(),
            index: index.clone(),
        };
        Ok(async move { Ok(indexer::run(settings, dependencies, ready, shutdown).await?) })
    }

    fn recorder(
        &self,
        ready: watch::Sender<Result<(), String>>,
        shutdown: CancellationToken,
    ) -> impl Future<Output = anyhow::Result<()>> + use<> {
        let settings = self.config.recorder.clone();
        let dependencies = recorder::Dependencies {
            kafka: self.config.kafka.clone(),
            catalog: self.catalog.clone(),
            registry: self.registry.clone(),
            postgres_url: self.config.postgres.url.clone(),
        };
        async move { Ok(recorder::run(settings, dependencies, ready, shutdown).await?) }
    }

    fn api(
        &self,
        ready: watch::Sender<Result<(), String>>,
        shutdown: CancellationToken,
    ) -> impl Future<Output = anyhow::Result<()>> + use<> {
        let settings = self.config.api.clone();
        let dependencies = api::Dependencies {
            kafka: self.config.kafka.clone(),
            catalog: self.catalog.clone(),
            registry: self.registry.clone(),
            postgres_url: self.config.postgres.url.clone(),
            health: self.health.clone(),
        };
        async move { Ok(api::run(settings, dependencies, ready, shutdown).await?) }
    }
}

fn spawn(
    running: &mut JoinSet<(&'static str, anyhow::Result<()>)>,
    role: Role,
    work: impl Future<Output = anyhow::Result<()>> + Send + 'static,
) {
    running.spawn(async move { (role.name(), work.await) });
}

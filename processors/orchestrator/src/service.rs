//! The role: from settings to a node in the engine.

use std::{collections::HashMap, future::Future, sync::Arc, time::Duration};

use schemas::{Registry, RegistryError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use topics::{
    Producer, ProducerSettings,
    catalog::{Group, Value},
    engine::{self, EngineSettings, Input},
};

use crate::{
    barrier::{Barrier, Questions},
    chain::Services,
    chains::Chains,
    emission::{self, Emission},
    error::Error,
    metrics,
    node::Orchestrator,
    outputs::Outputs,
    oversized::Oversized,
    peers::{self, Peers},
    publication::{Publication, Publisher},
    reload::{self, Reload},
    request::{Binding, Form, Reader},
    settings::{GROUP, Settings},
};

/// What the orchestrator works with; nothing here has opened a connection yet.
pub struct Dependencies {
    pub registry: Registry,
    /// What chains call; its models and indexes are what they are checked against.
    pub services: Services,
}

/// Between two questions to a registry that is down.
const PAUSE: Duration = Duration::from_millis(500);

/// Runs until `shutdown`, which drains as [`engine::run`] says. `ready` tells why there is no work yet.
///
/// # Errors
/// For what a restart or an operator must mend: chain files with mistakes, a version that was published with other
/// content, schemas that are not registered, and whatever ends the engine. Brokers and registry may come later.
pub async fn run(
    settings: Settings,
    dependencies: Dependencies,
    ready: watch::Sender<Result<(), String>>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    metrics::describe();
    let group = settings.catalog.group(GROUP).ok_or(Error::NoGroup)?;
    let engine = engine_settings(&settings, group);
    let started = tokio::select! {
        () = shutdown.cancelled() => return Ok(()),
        started = start(&settings, group, dependencies, &ready) => started,
    };
    let (node, publication, questions, reload) = started?;
    let caller = Arc::clone(&node.services.caller);
    let ended = tokio::select! {
        ended = engine::run(engine, Arc::new(node), ready, shutdown) => ended.map_err(|error| Error::Engine(Box::new(error))),
        error = publication.follow(questions) => Err(error),
        never = reload.watch() => match never {},
    };
    caller.drain().await;
    ended
}

async fn start(
    settings: &Settings,
    group: &Group,
    dependencies: Dependencies,
    ready: &watch::Sender<Result<(), String>>,
) -> Result<(Orchestrator, Publication, Questions, Reload), Error> {
    let Dependencies { registry, services } = dependencies;
    let resources = services.resources();
    let Settings { kafka, catalog, .. } = settings;
    let bindings = bindings(settings, group)?;
    let seen = reload::look(&settings.chains);
    let load = || Chains::load(&settings.chains, &resources).map_err(Error::Chains);
    let targets = emission::targets(&load()?.runnable());
    let oversized = settings.oversized_outputs.clone().map(Oversized::new).transpose();
    let oversized = oversized.map_err(Error::Oversized)?;

    not_ready(ready, "waiting for the schema registry");
    let emission = Emission::new(registry.clone(), resources.targets.clone(), kafka, catalog, group);
    patiently(|| emission.ask(&targets)).await?;
    let chains = Arc::new(load()?);
    let own = chains.runnable();
    let outputs = patiently(|| Outputs::new(&registry, kafka, catalog))
        .await?
        .keeping(oversized);
    let topic = kafka.topic("chains");
    let encoder = patiently(|| registry.encoder(&topic)).await?;
    let reader = Reader::new(&registry, catalog.max_request_bytes()).map_err(Error::Registry)?;

    not_ready(ready, "reading which chains are published");
    let decoder = registry.decoder().map_err(Error::Registry)?;
    let mut publication =
        Publication::read(kafka, decoder, Arc::clone(&chains), resources.clone(), emission.clone()).await?;
    let producer = Producer::new(kafka, ProducerSettings::new("millrace-chains"))
        .map_err(|error| Error::Producer(Box::new(error)))?;
    let publisher = Publisher {
        topic,
        encoder,
        producer,
    };
    publication.publish(&own, &publisher).await?;
    let reload = Reload {
        paths: settings.chains.clone(),
        resources,
        emission,
        chains: Arc::clone(&chains),
        publisher,
        seen,
    };
    warn_of_missing(&bindings, &chains);
    let (barrier, questions) = Barrier::new();
    let peers = match catalog.topic(peers::TOPIC) {
        Some(_) => Some(Peers::new(kafka, registry.decoder().map_err(Error::Registry)?)),
        None => None,
    };

    Ok((
        Orchestrator {
            bindings,
            reader,
            chains,
            barrier,
            peers,
            services,
            outputs,
            audit: registry.decoder().map_err(Error::Registry)?,
        },
        publication,
        questions,
        reload,
    ))
}

fn not_ready(ready: &watch::Sender<Result<(), String>>, why: &str) {
    ready.send_modify(|ready| *ready = Err(why.to_owned()));
}

fn engine_settings(settings: &Settings, group: &Group) -> EngineSettings {
    let inputs = group.inputs.iter().map(|input| Input {
        topic: input.full_topic(&settings.kafka),
        weight: input.weight,
    });
    let outputs = ["results", "audit", "dead-letters"].map(|name| settings.kafka.topic(name));
    EngineSettings {
        tuning: settings.engine.clone(),
        history: settings.history.clone(),
        ..EngineSettings::new(
            settings.kafka.clone(),
            settings.kafka.group(GROUP),
            inputs.collect(),
            outputs.into(),
        )
    }
}

fn bindings(settings: &Settings, group: &Group) -> Result<HashMap<String, Binding>, Error> {
    let binding = |input: &topics::catalog::Input| {
        let topic = input.full_topic(&settings.kafka);
        let chain = || {
            input
                .chain
                .clone()
                .ok_or_else(|| Error::NoChain { topic: topic.clone() })
        };
        let form = match input.value {
            Value::Request => Form::Request,
            Value::Avro => Form::Avro { chain: chain()? },
            Value::Json => Form::Json { chain: chain()? },
        };
        let binding = Binding {
            form,
            tenant: input.tenant.clone(),
        };
        Ok((topic, binding))
    };
    group.inputs.iter().map(binding).collect()
}

/// A bound topic whose chain nobody has makes a dead letter of each of its records. It is no reason not to start: the
/// process that brings the chain may come a moment later.
fn warn_of_missing(bindings: &HashMap<String, Binding>, chains: &Chains) {
    for (topic, binding) in bindings {
        match &binding.form {
            Form::Request => {}
            Form::Avro { chain } | Form::Json { chain } => {
                if let Err(missing) = chains.find(chain) {
                    tracing::warn!(
                        topic,
                        chain,
                        "topics.yaml binds the topic to a chain that cannot run here, so its records become dead letters: \
                         {missing}. Add the chain's file, or mend `chain:`"
                    );
                }
            }
        }
    }
}

/// Asks the registry until it is there.
async fn patiently<T, F>(ask: impl Fn() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, RegistryError>>,
{
    loop {
        match ask().await {
            Err(RegistryError::Unavailable { .. }) => tokio::time::sleep(PAUSE).await,
            answer => return answer.map_err(Error::Registry),
        }
    }
}

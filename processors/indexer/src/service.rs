//! The role: from settings to a node in the engine.

use std::{future::Future, sync::Arc, time::Duration};

use models::{Caller, Kind};
use retrieval::{Index, IndexDescription, IndexSpec, Pinecone, RetrievalError};
use schemas::{Registry, RegistryError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use topics::{
    catalog::Group,
    engine::{self, EngineSettings, Input},
};

use crate::{
    error::Error,
    metrics,
    node::Indexer,
    outputs::Outputs,
    reader::Reader,
    settings::{GROUP, Settings},
    update::Indexing,
};

/// What attempts, audit and dead letters of documents name as their chain.
pub(crate) const CHAIN: &str = "indexer";
/// Between two questions to something that is down.
const PAUSE: Duration = Duration::from_secs(1);
/// A new index takes some seconds.
const CREATED_WITHIN: Duration = Duration::from_secs(120);

/// What the indexer works with; nothing here has opened a connection yet.
pub struct Dependencies {
    pub registry: Registry,
    pub caller: Arc<Caller>,
    pub pinecone: Pinecone,
    /// Where documents go. It is created if Pinecone does not have it.
    pub index: IndexSpec,
}

/// Runs until `shutdown`, which drains as [`engine::run`] says. `ready` tells why there is no work yet.
///
/// # Errors
/// For what a restart or an operator must mend: settings that contradict each other or the index, schemas that are not
/// registered, and whatever ends the engine. Brokers, registry and Pinecone may come later.
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
    let node = Arc::new(started?);
    engine::run(engine, node, ready, shutdown)
        .await
        .map_err(|error| Error::Engine(Box::new(error)))
}

async fn start(
    settings: &Settings,
    group: &Group,
    dependencies: Dependencies,
    ready: &watch::Sender<Result<(), String>>,
) -> Result<Indexer, Error> {
    let Dependencies {
        registry,
        caller,
        pinecone,
        index: spec,
    } = dependencies;
    check_model(&caller, &spec)?;

    not_ready(ready, "waiting for the schema registry");
    let is_away = |error: &RegistryError| matches!(error, RegistryError::Unavailable { .. });
    let outputs = patiently(is_away, || Outputs::new(&registry, &settings.kafka, &settings.catalog));
    let outputs = outputs.await.map_err(Error::Registry)?;
    let bound = group.inputs.iter();
    let tenants = bound.filter_map(|input| Some((input.full_topic(&settings.kafka), input.tenant.clone()?)));
    let reader = Reader::new(&registry, tenants.collect()).map_err(Error::Registry)?;

    not_ready(ready, "waiting for Pinecone");
    let opened = patiently(RetrievalError::is_transient, || open(&pinecone, &spec)).await;
    let (description, index) = opened.map_err(|source| Error::Index {
        index: spec.index.clone(),
        source,
    })?;
    check_index(&description, &spec)?;

    Ok(Indexer {
        reader,
        indexing: Indexing { caller, index, spec },
        splitting: settings.splitting,
        patience: settings.patience,
        outputs,
        audit: registry.decoder().map_err(Error::Registry)?,
    })
}

fn engine_settings(settings: &Settings, group: &Group) -> EngineSettings {
    let inputs = group.inputs.iter().map(|input| Input {
        topic: input.full_topic(&settings.kafka),
        weight: input.weight,
    });
    let outputs = ["audit", "dead-letters"].map(|name| settings.kafka.topic(name));
    EngineSettings {
        kafka: settings.kafka.clone(),
        group: settings.kafka.group(GROUP),
        inputs: inputs.collect(),
        outputs: outputs.into(),
        tuning: settings.engine.clone(),
        history: settings.history.clone(),
    }
}

fn check_model(caller: &Caller, spec: &IndexSpec) -> Result<(), Error> {
    let (index, alias) = (spec.name.clone(), spec.embedding.clone());
    let Some(model) = caller.models().get(&alias) else {
        return Err(Error::NoModel { index, alias });
    };
    match model.kind {
        Kind::Chat { .. } => Err(Error::NotEmbedding { index, alias }),
        Kind::Embed { dimension } if dimension != spec.dimension => Err(Error::ModelDimension {
            index,
            alias,
            expected: spec.dimension,
            found: dimension,
        }),
        Kind::Embed { .. } => Ok(()),
    }
}

/// Another process may create it at the same time: then it is there, too.
async fn open(pinecone: &Pinecone, spec: &IndexSpec) -> Result<(IndexDescription, Index), RetrievalError> {
    match pinecone.describe_index(&spec.index).await {
        Err(RetrievalError::NotFound { .. }) => match pinecone.create_index(spec).await {
            Ok(_) => tracing::info!(index = spec.index, "index created"),
            Err(RetrievalError::AlreadyExists { .. }) => {}
            Err(error) => return Err(error),
        },
        Ok(_) => {}
        Err(error) => return Err(error),
    }
    let description = pinecone.ready_index(&spec.index, CREATED_WITHIN).await?;
    let index = pinecone.index(&spec.index).await?;
    Ok((description, index))
}

fn check_index(found: &IndexDescription, spec: &IndexSpec) -> Result<(), Error> {
    if (found.dimension, found.metric) == (Some(spec.dimension), spec.metric) {
        return Ok(());
    }
    Err(Error::IndexDiffers {
        index: spec.index.clone(),
        expected: spec.dimension,
        expected_metric: spec.metric,
        found: found.dimension.unwrap_or_default(),
        found_metric: found.metric,
    })
}

fn not_ready(ready: &watch::Sender<Result<(), String>>, why: &str) {
    ready.send_modify(|ready| *ready = Err(why.to_owned()));
}

/// Asks until what is asked is there.
async fn patiently<T, E, F>(is_away: impl Fn(&E) -> bool, ask: impl Fn() -> F) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    loop {
        match ask().await {
            Err(error) if is_away(&error) => tokio::time::sleep(PAUSE).await,
            answer => return answer,
        }
    }
}

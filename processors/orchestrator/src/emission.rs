//! What the topics take that chains emit to: asked for before the chains are checked.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    sync::Arc,
};

use schemas::{Registry, RegistryError};
use topics::{Catalog, KafkaSettings, catalog::Group};

use crate::chain::{Chain, Draft, Format, Refused, Target, Targets, Writer};

#[derive(Clone)]
pub(crate) struct Emission {
    registry: Registry,
    targets: Targets,
    /// Full names of topics that no chain may emit to, and why.
    barred: BTreeMap<String, &'static str>,
}

impl Emission {
    pub(crate) fn new(
        registry: Registry,
        targets: Targets,
        kafka: &KafkaSettings,
        catalog: &Catalog,
        group: &Group,
    ) -> Self {
        let read = group.inputs.iter().map(|input| {
            let why = "the orchestrator reads it: each run would start another";
            (input.full_topic(kafka), why)
        });
        let own = catalog.topics.iter();
        let own = own.map(|topic| (kafka.topic(&topic.name), "it is one of Millrace's own"));
        Self {
            registry,
            targets,
            barred: read.chain(own).collect(),
        }
    }

    /// Learns what these take.
    ///
    /// # Errors
    /// [`RegistryError::Unavailable`] only; what else the registry says is told where a chain is checked.
    pub(crate) async fn ask(&self, targets: &BTreeSet<Target>) -> Result<(), RegistryError> {
        for target in targets {
            let known = self.about(target).await?;
            self.targets.set(target.clone(), known);
        }
        Ok(())
    }

    /// The same for what a chain file names; none if it cannot be read.
    pub(crate) async fn ask_for(&self, source: &str) -> Result<(), RegistryError> {
        let draft = Draft::read(source, "").ok();
        self.ask(&draft.as_ref().and_then(Draft::target).cloned().into_iter().collect())
            .await
    }

    async fn about(&self, Target { topic, format }: &Target) -> Result<Result<Writer, Refused>, RegistryError> {
        if let Some(why) = self.barred.get(topic) {
            return Ok(Err(Refused {
                why: format!("a chain cannot emit to `{topic}`: {why}"),
                help: "name a topic that its owner made for what comes of the runs".to_owned(),
            }));
        }
        if *format == Format::Json {
            return Ok(Ok(Writer::Json));
        }
        let error = match self.registry.plain_encoder(topic).await {
            Ok(encoder) => return Ok(Ok(Writer::Avro(encoder))),
            Err(error) => error,
        };
        Ok(Err(match &error {
            RegistryError::Unavailable { .. } => return Err(error),
            RegistryError::NotRegistered { subject } => Refused {
                why: format!("`{topic}` has no Avro schema: the registry knows no subject `{subject}`"),
                help: "its owner registers one, and this process is started again; `value: json` needs none".to_owned(),
            },
            RegistryError::Settings { .. }
            | RegistryError::UnknownId { .. }
            | RegistryError::Refused { .. }
            | RegistryError::NotAvro { .. }
            | RegistryError::Parse { .. }
            | RegistryError::References { .. } => Refused {
                why: format!("the schema of `{topic}` cannot be written in: {}", with_causes(&error)),
                help: "its owner registers an Avro schema that can, or use `value: json`".to_owned(),
            },
        }))
    }
}

/// Where they emit to.
pub(crate) fn targets(chains: &[Arc<Chain>]) -> BTreeSet<Target> {
    chains.iter().filter_map(|chain| chain.target().cloned()).collect()
}

fn with_causes(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message = format!("{message}: {error}");
        cause = error.source();
    }
    message
}

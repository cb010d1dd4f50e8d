//! Asks the cluster what there is.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use rdkafka::{
    admin::{AdminClient, ConfigSource, ResourceSpecifier},
    consumer::BaseConsumer,
    error::KafkaError,
    types::RDKafkaErrorCode,
};

use super::{ASK, Admin, AdminError, CLIENT_ID, ClusterState, ConfigValue, GroupState, Log, TopicState, options};
use crate::{
    Catalog, KafkaSettings, TopicPartition,
    client::{self, Named},
    engine::committed,
    native,
};

const AGAIN: Duration = Duration::from_millis(100);

impl Admin {
    /// What there is of the catalog's topics and groups.
    ///
    /// # Errors
    /// When the brokers cannot be asked.
    pub async fn observe(&self, catalog: &Catalog) -> Result<ClusterState, AdminError> {
        let own = catalog.topics.iter().map(|topic| self.kafka.topic(&topic.name));
        let inputs = catalog
            .groups
            .iter()
            .flat_map(|group| &group.inputs)
            .map(|input| input.full_topic(&self.kafka));
        let names: BTreeSet<String> = own.chain(inputs).collect();
        let mut topics = self
            .blocking(move |kafka, client| existing(kafka, client, &names))
            .await?;
        self.describe(&mut topics).await?;
        let groups: BTreeMap<String, Vec<TopicPartition>> = catalog
            .groups
            .iter()
            .map(|group| {
                let inputs = group.inputs.iter().map(|input| input.full_topic(&self.kafka));
                (
                    self.kafka.group(&group.name),
                    inputs.flat_map(|topic| partitions(&topics, &topic)).collect(),
                )
            })
            .collect();
        self.blocking(move |kafka, client| {
            let inputs = groups.values().flatten().map(|partition| &*partition.topic).collect();
            read_logs(client, &mut topics, &inputs)?;
            let groups = groups
                .into_iter()
                .map(|(name, partitions)| Ok((name.clone(), group(kafka, client, &name, &partitions)?)))
                .collect::<Result<_, AdminError>>()?;
            Ok(ClusterState { topics, groups })
        })
        .await
    }

    pub(super) async fn describe(&self, topics: &mut BTreeMap<String, TopicState>) -> Result<(), AdminError> {
        for (name, topic) in topics {
            let describe = |source| AdminError::Describe {
                topic: name.clone(),
                source,
            };
            let resource = ResourceSpecifier::Topic(name);
            let answers = self
                .client
                .describe_configs([&resource], &options())
                .await
                .map_err(describe)?;
            for answer in answers {
                let resource = answer.map_err(|code| describe(KafkaError::AdminOp(code)))?;
                topic.configs.extend(resource.entries.into_iter().filter_map(|entry| {
                    let dynamic = entry.source == ConfigSource::DynamicTopic;
                    Some((
                        entry.name,
                        ConfigValue {
                            value: entry.value?,
                            dynamic,
                        },
                    ))
                }));
            }
        }
        Ok(())
    }
}

pub(super) fn existing(
    kafka: &KafkaSettings,
    client: &AdminClient<Named>,
    names: &BTreeSet<String>,
) -> Result<BTreeMap<String, TopicState>, AdminError> {
    let metadata = client
        .inner()
        .fetch_metadata(None, ASK)
        .map_err(|source| AdminError::Unreachable {
            bootstrap: kafka.bootstrap_servers.clone(),
            source,
        })?;
    let wanted = metadata
        .topics()
        .iter()
        .filter(|topic| names.contains(topic.name()) && topic.error().is_none());
    Ok(wanted
        .map(|topic| {
            let partitions = topic
                .partitions()
                .iter()
                .map(|partition| (partition.id(), Log::default()))
                .collect();
            (
                topic.name().to_owned(),
                TopicState {
                    partitions,
                    configs: BTreeMap::new(),
                },
            )
        })
        .collect())
}

fn partitions(topics: &BTreeMap<String, TopicState>, topic: &str) -> Vec<TopicPartition> {
    let found = topics.get(topic);
    found
        .into_iter()
        .flat_map(|found| found.partitions.keys().map(|id| TopicPartition::new(topic, *id)))
        .collect()
}

fn read_logs(
    client: &AdminClient<Named>,
    topics: &mut BTreeMap<String, TopicState>,
    inputs: &BTreeSet<&str>,
) -> Result<(), AdminError> {
    for (name, topic) in topics.iter_mut().filter(|(name, _)| inputs.contains(name.as_str())) {
        for (partition, log) in &mut topic.partitions {
            let (start, end) = client
                .inner()
                .fetch_watermarks(name, *partition, ASK)
                .map_err(|source| AdminError::Log {
                    topic: name.clone(),
                    source,
                })?;
            *log = Log { start, end };
        }
    }
    Ok(())
}

fn group(
    kafka: &KafkaSettings,
    client: &AdminClient<Named>,
    name: &str,
    partitions: &[TopicPartition],
) -> Result<GroupState, AdminError> {
    let failed = |source| AdminError::Group {
        group: name.to_owned(),
        source,
    };
    let described = patiently(|| native::groups::describe(client.inner(), name, ASK)).map_err(failed)?;
    let members = described.map_or(0, |group| group.members.len());
    let consumer = member_of(kafka, name).map_err(failed)?;
    let topics = patiently(|| committed::topics(&consumer, partitions, ASK)).map_err(failed)?;
    let committed = topics.iter().flat_map(|(topic, whole)| {
        let commits = whole.commits.iter();
        commits.map(|(number, (offset, _))| (TopicPartition::new(topic.as_str(), *number), *offset))
    });
    Ok(GroupState {
        members,
        committed: committed.collect(),
        topics,
    })
}

/// A coordinator that has just started, or moved, loads its groups first: seconds, during which it asks to be asked again.
fn patiently<T>(ask: impl Fn() -> Result<T, KafkaError>) -> Result<T, KafkaError> {
    let began = Instant::now();
    loop {
        match ask() {
            Err(error) if is_moving(&error) && began.elapsed() < ASK => {
                std::thread::park_timeout(AGAIN);
            }
            answer => return answer,
        }
    }
}

fn is_moving(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::CoordinatorLoadInProgress
                | RDKafkaErrorCode::CoordinatorNotAvailable
                | RDKafkaErrorCode::NotCoordinator
        )
    )
}

/// A handle on a group that never joins it. It reads what is committed now, without waiting for open transactions.
pub(super) fn member_of(kafka: &KafkaSettings, group: &str) -> Result<BaseConsumer<Named>, KafkaError> {
    client::reader(kafka, CLIENT_ID, group)
        .set("isolation.level", "read_uncommitted")
        .create_with_context(Named(CLIENT_ID.to_owned()))
}

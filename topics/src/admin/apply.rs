//! Carries a plan out.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    admin::{AdminClient, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication},
    consumer::{CommitMode, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
};

use super::{ASK, Action, Admin, AdminError, Plan, observe::member_of, options};
use crate::{KafkaSettings, TopicPartition, client::Named, engine::core::Committed};

/// How often to ask whether what was created is there.
const ASK_AGAIN: Duration = Duration::from_millis(20);

impl Admin {
    /// Carries out the actions in their order and stops at the first that is refused; what was done stays done, and a
    /// new plan goes on from there.
    ///
    /// # Errors
    /// When the brokers cannot be reached or refuse an action.
    pub async fn apply(&self, plan: &Plan) -> Result<(), AdminError> {
        for action in &plan.actions {
            match action {
                Action::CreateTopic {
                    name,
                    partitions,
                    replication,
                    configs,
                } => {
                    self.create(action, name, *partitions, *replication, configs).await?;
                }
                Action::AlterConfigs { name, all, .. } => self.alter(action, name, all).await?,
                Action::AddPartitions { name, to, .. } => self.grow(action, name, *to).await?,
                Action::InitialiseGroup { group, offsets } => self.initialise(action, group, offsets).await?,
            }
            tracing::info!("{action}");
        }
        Ok(())
    }

    async fn create(
        &self,
        action: &Action,
        name: &str,
        partitions: i32,
        replication: Option<i32>,
        configs: &BTreeMap<String, String>,
    ) -> Result<(), AdminError> {
        // -1: the broker's default.replication.factor (KIP-464).
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(replication.unwrap_or(-1)));
        for (config, value) in configs {
            topic = topic.set(config, value);
        }
        let results = self
            .client
            .create_topics([&topic], &options())
            .await
            .map_err(refused(action))?;
        match results.into_iter().find_map(Result::err) {
            // Somebody else applied the same list at the same time.
            None | Some((_, RDKafkaErrorCode::TopicAlreadyExists)) => self.see(action, name, partitions).await,
            Some((_, code)) => Err(refused(action)(KafkaError::AdminOp(code))),
        }
    }

    async fn alter(&self, action: &Action, name: &str, all: &BTreeMap<String, String>) -> Result<(), AdminError> {
        let mut configs = AlterConfig::new(ResourceSpecifier::Topic(name));
        for (config, value) in all {
            configs = configs.set(config, value);
        }
        let results = self
            .client
            .alter_configs([&configs], &options())
            .await
            .map_err(refused(action))?;
        match results.into_iter().find_map(Result::err) {
            None => Ok(()),
            Some((_, code)) => Err(refused(action)(KafkaError::AdminOp(code))),
        }
    }

    async fn grow(&self, action: &Action, name: &str, to: i32) -> Result<(), AdminError> {
        let count = usize::try_from(to).unwrap_or_default();
        let partitions = NewPartitions::new(name, count);
        let results = self
            .client
            .create_partitions([&partitions], &options())
            .await
            .map_err(refused(action))?;
        match results.into_iter().find_map(Result::err) {
            None => self.see(action, name, to).await,
            Some((_, code)) => Err(refused(action)(KafkaError::AdminOp(code))),
        }
    }

    /// Brokers answer before each of them knows; what follows needs them to.
    async fn see(&self, action: &Action, name: &str, partitions: i32) -> Result<(), AdminError> {
        let deadline = Instant::now() + ASK;
        loop {
            let topic = name.to_owned();
            let seen = self
                .blocking(move |kafka, client| leaders(kafka, client, &topic))
                .await?;
            if seen >= usize::try_from(partitions).unwrap_or_default() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(AdminError::NotVisible {
                    action: action.to_string(),
                });
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    async fn initialise(
        &self,
        action: &Action,
        group: &str,
        offsets: &BTreeMap<TopicPartition, i64>,
    ) -> Result<(), AdminError> {
        let (action, group, offsets) = (action.to_string(), group.to_owned(), offsets.clone());
        self.blocking(move |kafka, _| {
            commit(kafka, &group, &offsets).map_err(|source| AdminError::Refused { action, source })
        })
        .await
    }
}

fn refused(action: &Action) -> impl Fn(KafkaError) -> AdminError {
    move |source| AdminError::Refused {
        action: action.to_string(),
        source,
    }
}

/// Partitions of the topic that have a leader.
fn leaders(kafka: &KafkaSettings, client: &AdminClient<Named>, topic: &str) -> Result<usize, AdminError> {
    let metadata = client
        .inner()
        .fetch_metadata(Some(topic), ASK)
        .map_err(|source| AdminError::Unreachable {
            bootstrap: kafka.bootstrap_servers.clone(),
            source,
        })?;
    let found = metadata.topics().iter().filter(|found| found.name() == topic);
    Ok(found
        .flat_map(|found| found.partitions())
        .filter(|partition| partition.leader() >= 0)
        .count())
}

fn commit(kafka: &KafkaSettings, group: &str, offsets: &BTreeMap<TopicPartition, i64>) -> Result<(), KafkaError> {
    let mut list = TopicPartitionList::new();
    let known = |topic: &str| {
        let of_topic = offsets.keys().filter(|partition| &*partition.topic == topic);
        let last = of_topic.map(|partition| partition.partition).max();
        last.map_or(0, |last| u32::try_from(last + 1).unwrap_or_default())
    };
    for (partition, offset) in offsets {
        let first = Committed {
            partitions: known(&partition.topic),
            ..Committed::first(*offset)
        };
        let mut element = list.add_partition(&partition.topic, partition.partition);
        element.set_offset(Offset::Offset(*offset))?;
        element.set_metadata(first.encode());
    }
    member_of(kafka, group)?.commit(&list, CommitMode::Sync)
}

//! How far each group is, seen from outside: what its members have committed, who they are, and how long the logs are.
//! For whoever shows it; nothing here may decide anything.
//!
//! The committed state is read without waiting for open transactions: a member that hangs in one is what somebody who
//! looks wants to see.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};

use crate::{
    Catalog, KafkaSettings, TopicPartition,
    client::{self, Named},
    engine::{committed, core::Committed},
    native,
};

const CLIENT_ID: &str = "millrace-standing";
/// For each question to the brokers.
const ASK: Duration = Duration::from_secs(3);

/// A handle on every group of the catalog. Clones share it.
#[derive(Clone)]
pub struct Standing {
    groups: Arc<[Watched]>,
}

struct Watched {
    name: String,
    /// Full names of its inputs.
    topics: Vec<String>,
    consumer: BaseConsumer<Named>,
}

/// A group at one moment.
#[derive(Debug, Clone, Default)]
pub struct GroupStanding {
    /// Full name.
    pub group: String,
    /// As the coordinator calls it: `Stable`, `Empty`, `PreparingRebalance`, ...
    pub state: String,
    pub members: Vec<GroupMember>,
    pub partitions: Vec<PartitionStanding>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    pub client_id: String,
    /// As the broker sees it.
    pub host: String,
}

#[derive(Debug, Clone)]
pub struct PartitionStanding {
    pub partition: TopicPartition,
    pub log_end: i64,
    /// `Ok(None)`: no commit. `Err`: its state cannot be read, and why.
    pub committed: Result<Option<CommittedStanding>, String>,
}

/// What a commit says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedStanding {
    /// All below it is done.
    pub watermark: i64,
    /// One past the highest offset that is done.
    pub highest_done: i64,
    /// Offsets above the watermark that are done.
    pub done_above: usize,
    /// The number of the commit.
    pub seq: u64,
    /// The transactional id that may write; none after a release.
    pub writer: Option<String>,
}

/// Why the groups cannot be seen.
#[derive(Debug, thiserror::Error)]
pub enum StandingError {
    #[error("cannot create a consumer: check the settings under kafka.client")]
    Create(#[source] KafkaError),
    #[error("cannot see group {group}: {source}")]
    Ask {
        group: String,
        #[source]
        source: KafkaError,
    },
    #[error("a thread that asked the brokers ended without an answer")]
    Interrupted(#[source] tokio::task::JoinError),
}

impl Standing {
    /// Connects when it is first asked.
    ///
    /// # Errors
    /// When librdkafka refuses the settings.
    pub fn new(kafka: &KafkaSettings, catalog: &Catalog) -> Result<Self, StandingError> {
        let watch = |group: &crate::catalog::Group| {
            let name = kafka.group(&group.name);
            let consumer = client::reader(kafka, CLIENT_ID, &name)
                .set("isolation.level", "read_uncommitted")
                .create_with_context(Named(CLIENT_ID.to_owned()))
                .map_err(StandingError::Create)?;
            Ok(Watched {
                name,
                topics: group.inputs.iter().map(|input| input.full_topic(kafka)).collect(),
                consumer,
            })
        };
        Ok(Self {
            groups: catalog.groups.iter().map(watch).collect::<Result<_, _>>()?,
        })
    }

    /// All groups, in the order of the catalog; a few questions to the brokers for each.
    ///
    /// # Errors
    /// When the brokers cannot be asked.
    pub async fn look(&self) -> Result<Vec<GroupStanding>, StandingError> {
        let groups = Arc::clone(&self.groups);
        let asked = tokio::task::spawn_blocking(move || groups.iter().map(Watched::look).collect());
        asked.await.map_err(StandingError::Interrupted)?
    }
}

impl Watched {
    fn look(&self) -> Result<GroupStanding, StandingError> {
        self.ask().map_err(|source| StandingError::Ask {
            group: self.name.clone(),
            source,
        })
    }

    fn ask(&self) -> Result<GroupStanding, KafkaError> {
        let mut partitions = Vec::new();
        for topic in &self.topics {
            let metadata = self.consumer.fetch_metadata(Some(topic), ASK)?;
            let ids = metadata.topics().iter().flat_map(|topic| topic.partitions());
            partitions.extend(ids.map(|partition| TopicPartition::new(topic.as_str(), partition.id())));
        }
        let found = committed::read(&self.consumer, &partitions, ASK)?;
        let standing = |partition: TopicPartition| {
            let (_, log_end) = self
                .consumer
                .fetch_watermarks(&partition.topic, partition.partition, ASK)?;
            let commit = found.get(&partition).and_then(Option::as_ref);
            Ok(PartitionStanding {
                committed: commit.map(|(offset, metadata)| decode(*offset, metadata)).transpose(),
                partition,
                log_end,
            })
        };
        let (state, members) = self.members()?;
        Ok(GroupStanding {
            group: self.name.clone(),
            state,
            members,
            partitions: partitions
                .into_iter()
                .map(standing)
                .collect::<Result<_, KafkaError>>()?,
        })
    }

    fn members(&self) -> Result<(String, Vec<GroupMember>), KafkaError> {
        let Some(group) = native::groups::describe(self.consumer.client(), &self.name, ASK)? else {
            return Ok((String::new(), Vec::new()));
        };
        let member = |member: native::groups::Member| GroupMember {
            client_id: member.client_id,
            host: member.host.trim_start_matches('/').to_owned(),
        };
        Ok((group.state, group.members.into_iter().map(member).collect()))
    }
}

fn decode(offset: i64, metadata: &str) -> Result<CommittedStanding, String> {
    let committed = Committed::decode(offset, metadata).map_err(|error| error.to_string())?;
    Ok(CommittedStanding {
        watermark: committed.progress.watermark(),
        highest_done: committed.progress.end(),
        done_above: committed.progress.len(),
        seq: committed.seq,
        writer: committed.writer,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_told_in_numbers_and_a_foreign_one_in_words() {
        let mut committed = Committed::first(7);
        committed.progress.complete(9);
        committed.writer = Some("millrace.orchestrator.1".to_owned());
        let seen = decode(7, &committed.encode()).unwrap();
        assert_eq!((seen.watermark, seen.highest_done, seen.done_above), (7, 10, 1));
        assert_eq!(seen.writer, committed.writer);
        assert!(
            decode(7, "somebody else's")
                .unwrap_err()
                .contains("not written by Millrace")
        );
    }
}

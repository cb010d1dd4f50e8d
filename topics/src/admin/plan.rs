//! The pure part: what is to be done, and what a person has to decide.
//!
//! Where a group begins is never guessed. A log without records has one beginning, so its first commit is written. A
//! log with records needs `--from`: an idle group's commits expire after 7 days, and "from the beginning" would then
//! run, and pay for, all of history again. A partition that was added to a topic the group already works on is left to
//! the engine, which claims it at 0.

use std::collections::BTreeMap;

use super::{ClusterState, TopicState};
use crate::{
    Catalog, KafkaSettings, TopicPartition,
    catalog::{DEAD_LETTER_HEADROOM, Group, Input, Topic},
};

/// What the operator allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Adding partitions sends keys to other partitions than before: records of one key may overtake each other once.
    pub allow_reorder: bool,
    /// Where a group begins on topics that hold records but no commit of it.
    pub from: Option<From>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    Beginning,
    End,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// In the order in which they are carried out.
    pub actions: Vec<Action>,
    /// What no action mends without a person's decision.
    pub findings: Vec<Finding>,
}

impl Plan {
    /// The cluster is as the catalog says.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.actions.is_empty() && self.findings.is_empty()
    }
}

/// Topics and groups by their full names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    CreateTopic {
        name: String,
        partitions: i32,
        replication: Option<i32>,
        configs: BTreeMap<String, String>,
    },
    /// `all` is what the topic has afterwards: the broker's AlterConfigs drops what is not named.
    AlterConfigs {
        name: String,
        changes: Vec<Change>,
        all: BTreeMap<String, String>,
    },
    AddPartitions {
        name: String,
        from: i32,
        to: i32,
    },
    /// The group's first commits, with empty metadata.
    InitialiseGroup {
        group: String,
        offsets: BTreeMap<TopicPartition, i64>,
    },
}

/// One configuration entry that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub config: String,
    pub from: Option<String>,
    pub to: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    PartitionsWouldReorder {
        topic: String,
        have: i32,
        want: i32,
    },
    MorePartitionsThanListed {
        topic: String,
        have: i32,
        want: i32,
    },
    UserTopicMissing {
        topic: String,
        group: String,
    },
    DeadLettersTooSmall {
        topic: String,
        has: u64,
        needs: u64,
        because_of: String,
    },
    StartUndecided {
        group: String,
        topic: String,
    },
    /// Only a group without members lets somebody else commit for it.
    GroupHasMembers {
        group: String,
        members: usize,
    },
}

/// Compares what should be with what is.
#[must_use]
pub fn plan(catalog: &Catalog, kafka: &KafkaSettings, state: &ClusterState, options: Options) -> Plan {
    let mut plan = Plan::default();
    for topic in &catalog.topics {
        plan.topic(topic, &kafka.topic(&topic.name), state, options);
    }
    plan.dead_letters(catalog, kafka, state);
    for group in &catalog.groups {
        plan.group(group, catalog, kafka, state, options);
    }
    plan
}

impl Plan {
    fn topic(&mut self, topic: &Topic, name: &str, state: &ClusterState, options: Options) {
        let Some(found) = state.topics.get(name) else {
            self.actions.push(Action::CreateTopic {
                name: name.to_owned(),
                partitions: topic.partitions,
                replication: topic.replication,
                configs: topic.configs(),
            });
            return;
        };
        self.configs(topic, name, found);
        let (have, want, topic) = (found.partition_count(), topic.partitions, name.to_owned());
        if have < want && options.allow_reorder {
            self.actions.push(Action::AddPartitions {
                name: topic,
                from: have,
                to: want,
            });
        } else if have < want {
            self.findings
                .push(Finding::PartitionsWouldReorder { topic, have, want });
        } else if have > want {
            self.findings
                .push(Finding::MorePartitionsThanListed { topic, have, want });
        }
    }

    fn configs(&mut self, topic: &Topic, name: &str, found: &TopicState) {
        let wanted = topic.configs();
        let changes: Vec<_> = wanted
            .iter()
            .filter(|(config, to)| found.config(config) != Some(to))
            .map(|(config, to)| Change {
                config: config.clone(),
                from: found.config(config).map(str::to_owned),
                to: to.clone(),
            })
            .collect();
        if changes.is_empty() {
            return;
        }
        let kept = found.configs.iter().filter(|(_, config)| config.dynamic);
        let mut all: BTreeMap<_, _> = kept
            .map(|(name, config)| (name.clone(), config.value.clone()))
            .collect();
        all.extend(wanted);
        self.actions.push(Action::AlterConfigs {
            name: name.to_owned(),
            changes,
            all,
        });
    }

    /// A dead letter holds a whole input record. Our own inputs are compared when the catalog is read; a user's topic
    /// is as large as the cluster says.
    fn dead_letters(&mut self, catalog: &Catalog, kafka: &KafkaSettings, state: &ClusterState) {
        let Some(dead_letters) = catalog.topic("dead-letters") else {
            return;
        };
        let users = catalog
            .groups
            .iter()
            .flat_map(|group| &group.inputs)
            .filter(|input| !input.own);
        let largest = users
            .filter_map(|input| Some((&input.topic, state.topics.get(&input.topic)?.max_message_bytes()?)))
            .max_by_key(|(_, bytes)| *bytes);
        let Some((because_of, bytes)) = largest else { return };
        let (has, needs) = (dead_letters.max_message_bytes, bytes + DEAD_LETTER_HEADROOM);
        if has < needs {
            let topic = kafka.topic(&dead_letters.name);
            self.findings.push(Finding::DeadLettersTooSmall {
                topic,
                has,
                needs,
                because_of: because_of.clone(),
            });
        }
    }

    fn group(
        &mut self,
        group: &Group,
        catalog: &Catalog,
        kafka: &KafkaSettings,
        state: &ClusterState,
        options: Options,
    ) {
        let name = kafka.group(&group.name);
        let mut offsets = BTreeMap::new();
        for input in &group.inputs {
            match start(input, &name, catalog, kafka, state, options) {
                Ok(starts) => offsets.extend(starts),
                Err(finding) => self.findings.push(finding),
            }
        }
        let members = state.groups.get(&name).map_or(0, |group| group.members);
        if offsets.is_empty() {
            return;
        }
        if members > 0 {
            self.findings.push(Finding::GroupHasMembers { group: name, members });
        } else {
            self.actions.push(Action::InitialiseGroup { group: name, offsets });
        }
    }
}

/// The first commits of a group on one topic: all of its partitions, or none when there are commits already.
fn start(
    input: &Input,
    group: &str,
    catalog: &Catalog,
    kafka: &KafkaSettings,
    state: &ClusterState,
    options: Options,
) -> Result<BTreeMap<TopicPartition, i64>, Finding> {
    let topic = input.full_topic(kafka);
    let wanted = catalog
        .topic(&input.topic)
        .filter(|_| input.own)
        .map(|topic| topic.partitions);
    let found = state.topics.get(&topic);
    let count = match (found, wanted) {
        (None, None) => {
            return Err(Finding::UserTopicMissing {
                topic,
                group: group.to_owned(),
            });
        }
        (None, Some(wanted)) => wanted,
        (Some(found), wanted) => {
            let grown = wanted.filter(|_| options.allow_reorder).unwrap_or_default();
            found.partition_count().max(grown)
        }
    };
    let partitions = (0..count).map(|partition| TopicPartition::new(topic.as_str(), partition));
    let committed = |partition: &TopicPartition| {
        state
            .groups
            .get(group)
            .is_some_and(|group| group.committed.contains_key(partition))
    };
    if partitions.clone().any(|partition| committed(&partition)) {
        return Ok(BTreeMap::new());
    }
    partitions
        .map(|partition| {
            let log = found
                .and_then(|found| found.partitions.get(&partition.partition))
                .copied()
                .unwrap_or_default();
            let offset = match options.from {
                _ if log.start == log.end => log.end,
                Some(From::Beginning) => log.start,
                Some(From::End) => log.end,
                None => {
                    return Err(Finding::StartUndecided {
                        group: group.to_owned(),
                        topic: topic.clone(),
                    });
                }
            };
            Ok((partition, offset))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::admin::{ConfigValue, GroupState, Log};

    const LIST: &str = "
topics:
  - {name: events, key: any, partitions: 2, max_message: 1MiB, writers: [clients], readers: [worker]}
groups:
  - {name: worker, inputs: [{topic: events}]}
";

    fn kafka() -> KafkaSettings {
        KafkaSettings {
            bootstrap_servers: String::new(),
            prefix: "m.".to_owned(),
            client: BTreeMap::new(),
        }
    }

    fn planned(state: &ClusterState, options: Options) -> String {
        let catalog = Catalog::parse(LIST, Path::new("topics.yaml")).unwrap();
        plan(&catalog, &kafka(), state, options).to_string()
    }

    /// A cluster as the list wants it, with records `start..end` in partition 1.
    fn cluster(start: i64, end: i64) -> ClusterState {
        let catalog = Catalog::parse(LIST, Path::new("topics.yaml")).unwrap();
        let wanted = catalog.topics[0].configs().into_iter();
        let events = TopicState {
            partitions: BTreeMap::from([(0, Log::default()), (1, Log { start, end })]),
            configs: wanted
                .map(|(name, value)| (name, ConfigValue { value, dynamic: true }))
                .collect(),
        };
        ClusterState {
            topics: BTreeMap::from([("m.events".to_owned(), events)]),
            groups: BTreeMap::new(),
        }
    }

    fn committed(state: &mut ClusterState, partitions: &[i32]) {
        let committed = partitions
            .iter()
            .map(|partition| (TopicPartition::new("m.events", *partition), 0))
            .collect();
        state
            .groups
            .insert("m.worker".to_owned(), GroupState { members: 1, committed });
    }

    #[test]
    fn an_empty_cluster_gets_topics_first_and_commits_after_them() {
        assert_eq!(
            planned(&ClusterState::default(), Options::default()),
            "+ topic m.events: 2 partitions, cleanup.policy=delete, max.message.bytes=1048576, \
             message.timestamp.type=CreateTime, retention.ms=-1\n\
             + group m.worker: begins at m.events/0@0, m.events/1@0\n"
        );
    }

    #[test]
    fn a_group_that_has_commits_is_left_alone_and_an_added_partition_is_the_engines() {
        let mut state = cluster(0, 9);
        committed(&mut state, &[0]);
        assert_eq!(planned(&state, Options::default()), "the cluster is as the list says\n");
    }

    #[test]
    fn records_without_a_commit_wait_for_a_decision() {
        let told = planned(&cluster(3, 9), Options::default());
        assert!(
            told.starts_with("! group m.worker has no committed offset on m.events"),
            "{told}"
        );

        let from = |from| {
            planned(
                &cluster(3, 9),
                Options {
                    allow_reorder: false,
                    from: Some(from),
                },
            )
        };
        assert_eq!(
            from(From::Beginning),
            "+ group m.worker: begins at m.events/0@0, m.events/1@3\n"
        );
        assert_eq!(
            from(From::End),
            "+ group m.worker: begins at m.events/0@0, m.events/1@9\n"
        );
    }

    #[test]
    fn a_group_with_members_cannot_get_its_first_commit() {
        let mut state = cluster(0, 0);
        committed(&mut state, &[]);
        let told = planned(&state, Options::default());
        assert!(
            told.starts_with("! group m.worker needs its first commit, but 1 members are in it"),
            "{told}"
        );
    }

    #[test]
    fn settings_that_somebody_else_made_are_sent_along() {
        let mut state = cluster(0, 0);
        committed(&mut state, &[0, 1]);
        let events = state.topics.get_mut("m.events").unwrap();
        events.configs.insert(
            "retention.ms".to_owned(),
            ConfigValue {
                value: "1000".to_owned(),
                dynamic: true,
            },
        );
        events.configs.insert(
            "segment.ms".to_owned(),
            ConfigValue {
                value: "60000".to_owned(),
                dynamic: true,
            },
        );
        events.configs.insert(
            "flush.ms".to_owned(),
            ConfigValue {
                value: "1".to_owned(),
                dynamic: false,
            },
        );

        let catalog = Catalog::parse(LIST, Path::new("topics.yaml")).unwrap();
        let plan = plan(&catalog, &kafka(), &state, Options::default());
        assert_eq!(plan.to_string(), "~ topic m.events: retention.ms 1000 -> -1\n");
        let [Action::AlterConfigs { all, .. }] = &plan.actions[..] else {
            panic!("{plan}")
        };
        assert_eq!(all.get("segment.ms").map(String::as_str), Some("60000"));
        assert!(!all.contains_key("flush.ms"), "a default stays a default");
    }
}

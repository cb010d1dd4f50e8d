//! Compares the catalog with the cluster. Pure.
//!
//! Where a group begins is never guessed. A log without records has one beginning, so its first commit is written. A
//! log with records needs `--from`: an idle group's commits expire after 7 days, and "from the beginning" would then
//! run, and pay for, all of history again. A partition that was added to a topic the group already works on is left to
//! the engine, which claims it at 0; one whose commit expired or was deleted is not such a one.

use std::collections::BTreeMap;

use super::{Action, Change, ClusterState, Finding, From, Log, Options, Plan, TopicState};
use crate::{
    Catalog, KafkaSettings, TopicPartition,
    catalog::{Cleanup, DEAD_LETTER_HEADROOM, Group, Input, Topic},
};

/// What leads from what is to what should be.
#[must_use]
pub fn plan(catalog: &Catalog, kafka: &KafkaSettings, state: &ClusterState, options: Options) -> Plan {
    let mut comparison = Comparison {
        catalog,
        kafka,
        state,
        options,
        plan: Plan::default(),
    };
    for topic in &catalog.topics {
        comparison.topic(topic);
    }
    comparison.dead_letters();
    for group in &catalog.groups {
        comparison.group(group);
    }
    comparison.plan
}

struct Comparison<'a> {
    catalog: &'a Catalog,
    kafka: &'a KafkaSettings,
    state: &'a ClusterState,
    options: Options,
    plan: Plan,
}

impl Comparison<'_> {
    fn topic(&mut self, topic: &Topic) {
        let name = self.kafka.topic(&topic.name);
        let Some(found) = self.state.topics.get(&name) else {
            self.plan.actions.push(Action::CreateTopic {
                name,
                partitions: topic.partitions,
                replication: topic.replication,
                configs: topic.configs(),
            });
            return;
        };
        self.plan.actions.extend(altered(&name, topic, found));
        let (have, want, topic) = (found.partition_count(), topic.partitions, name);
        if have > want {
            let finding = Finding::MorePartitionsThanListed { topic, have, want };
            self.plan.findings.push(finding);
        } else if have < want && self.options.allow_reorder {
            let (name, from, to) = (topic, have, want);
            self.plan.actions.push(Action::AddPartitions { name, from, to });
        } else if have < want {
            let finding = Finding::PartitionsWouldReorder { topic, have, want };
            self.plan.findings.push(finding);
        }
    }

    /// A dead letter holds a whole input record. Our own inputs are compared when the catalog is read; a user's topic
    /// is as large as the cluster says.
    fn dead_letters(&mut self) {
        let Some(dead_letters) = self.catalog.topic("dead-letters") else {
            return;
        };
        let inputs = self.catalog.groups.iter().flat_map(|group| &group.inputs);
        let largest = inputs
            .filter(|input| !input.own)
            .filter_map(|input| Some((&input.topic, self.state.topics.get(&input.topic)?.max_message_bytes()?)))
            .max_by_key(|(_, bytes)| *bytes);
        let Some((because_of, bytes)) = largest else { return };
        let (has, needs) = (dead_letters.max_message_bytes, bytes + DEAD_LETTER_HEADROOM);
        if has < needs {
            self.plan.findings.push(Finding::DeadLettersTooSmall {
                topic: self.kafka.topic(&dead_letters.name),
                has,
                needs,
                because_of: because_of.clone(),
            });
        }
    }

    fn group(&mut self, group: &Group) {
        let name = self.kafka.group(&group.name);
        let mut offsets = BTreeMap::new();
        for input in &group.inputs {
            match self.beginnings(&name, input) {
                Ok(beginnings) => offsets.extend(beginnings),
                Err(finding) => self.plan.findings.push(finding),
            }
        }
        self.overtaken(&name);
        self.compacted(&name, &group.inputs);
        let members = self.state.groups.get(&name).map_or(0, |group| group.members);
        if offsets.is_empty() {
            return;
        }
        if members > 0 {
            let finding = Finding::GroupHasMembers { group: name, members };
            self.plan.findings.push(finding);
        } else {
            self.plan.actions.push(Action::InitialiseGroup { group: name, offsets });
        }
    }

    /// The first commits of a group on one topic.
    fn beginnings(&self, group: &str, input: &Input) -> Result<BTreeMap<TopicPartition, i64>, Finding> {
        let logs = self.logs(group, input)?;
        let committed = self.committed(group);
        let topics = self.state.groups.get(group).map(|group| &group.topics);
        let is_added = |partition: &TopicPartition| {
            let whole = topics.and_then(|topics| topics.get(&*partition.topic));
            whole.is_some_and(|whole| whole.added(partition.partition).is_some())
        };
        logs.into_iter()
            .filter(|(partition, _)| !committed.contains_key(partition))
            .filter(|(partition, log)| log.start > 0 || !is_added(partition))
            .map(|(partition, log)| {
                let offset = match self.options.from {
                    _ if log.start == log.end => log.end,
                    Some(From::Earliest) => log.start,
                    Some(From::Latest) => log.end,
                    None => {
                        let (group, topic) = (group.to_owned(), partition.topic.to_string());
                        return Err(Finding::StartUndecided { group, topic });
                    }
                };
                Ok((partition, offset))
            })
            .collect()
    }

    fn committed(&self, group: &str) -> BTreeMap<TopicPartition, i64> {
        let group = self.state.groups.get(group);
        group.map(|group| group.committed.clone()).unwrap_or_default()
    }

    /// What this plan alters is no finding.
    fn compacted(&mut self, group: &str, inputs: &[Input]) {
        for input in inputs {
            let listed = self.catalog.topic(&input.topic).filter(|_| input.own);
            let topic = input.full_topic(self.kafka);
            let stays = match listed {
                Some(listed) => listed.cleanup == Cleanup::Compact,
                None => self.state.topics.get(&topic).is_some_and(TopicState::is_compacted),
            };
            if stays {
                let group = group.to_owned();
                self.plan.findings.push(Finding::CompactedInput { topic, group });
            }
        }
    }

    /// Records that were deleted before they ran: the engine stops such a partition.
    fn overtaken(&mut self, group: &str) {
        for (partition, committed) in self.committed(group) {
            let topic = self.state.topics.get(&*partition.topic);
            let log = topic.and_then(|topic| topic.partitions.get(&partition.partition));
            if let Some(start) = log.map(|log| log.start).filter(|start| *start > committed) {
                self.plan.findings.push(Finding::Overtaken {
                    group: group.to_owned(),
                    partition,
                    committed,
                    start,
                });
            }
        }
    }

    /// The logs of an input's partitions once this plan is carried out: new ones are empty.
    fn logs(&self, group: &str, input: &Input) -> Result<BTreeMap<TopicPartition, Log>, Finding> {
        let topic = input.full_topic(self.kafka);
        let listed = self.catalog.topic(&input.topic).filter(|_| input.own);
        let (mut logs, created) = match (self.state.topics.get(&topic), listed) {
            (Some(found), Some(listed)) if self.options.allow_reorder => (found.partitions.clone(), listed.partitions),
            (Some(found), _) => (found.partitions.clone(), 0),
            (None, Some(listed)) => (BTreeMap::new(), listed.partitions),
            (None, None) => {
                let group = group.to_owned();
                return Err(Finding::UserTopicMissing { topic, group });
            }
        };
        for partition in 0..created {
            logs.entry(partition).or_default();
        }
        let partition = |number| TopicPartition::new(topic.as_str(), number);
        Ok(logs.into_iter().map(|(number, log)| (partition(number), log)).collect())
    }
}

/// The alteration of a topic whose configuration differs.
fn altered(name: &str, topic: &Topic, found: &TopicState) -> Option<Action> {
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
        return None;
    }
    let kept = found.configs.iter().filter(|(_, config)| config.dynamic);
    let mut all: BTreeMap<_, _> = kept
        .map(|(name, config)| (name.clone(), config.value.clone()))
        .collect();
    all.extend(wanted);
    Some(Action::AlterConfigs {
        name: name.to_owned(),
        changes,
        all,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        admin::{ConfigValue, GroupState},
        engine::core::{Committed, Whole},
    };

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
        commits_of(state, partitions, 0);
    }

    /// Each knows of so many partitions.
    fn commits_of(state: &mut ClusterState, partitions: &[i32], known: u32) {
        let metadata = Committed {
            partitions: known,
            ..Committed::first(0)
        }
        .encode();
        let commit = |partition: &i32| (*partition, (0, metadata.clone()));
        let whole = Whole {
            partitions: 2,
            commits: partitions.iter().map(commit).collect(),
        };
        let committed = partitions
            .iter()
            .map(|partition| (TopicPartition::new("m.events", *partition), 0));
        let group = GroupState {
            members: 1,
            committed: committed.collect(),
            topics: BTreeMap::from([("m.events".to_owned(), whole)]),
        };
        state.groups.insert("m.worker".to_owned(), group);
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
        commits_of(&mut state, &[0], 1);
        assert_eq!(planned(&state, Options::default()), "the cluster is as the list says\n");

        commits_of(&mut state, &[0], 2);
        let told = planned(&state, Options::default());
        assert!(
            told.starts_with("! group m.worker has no committed offset on m.events"),
            "its commit expired: {told}"
        );
    }

    #[test]
    fn deletion_before_the_work_is_told() {
        let mut state = cluster(7, 9);
        committed(&mut state, &[0]);
        let told = planned(&state, Options::default());
        assert!(
            told.starts_with("! group m.worker has no committed offset on m.events"),
            "{told}"
        );

        committed(&mut state, &[0, 1]);
        let told = planned(&state, Options::default());
        assert!(
            told.starts_with("! group m.worker is at 0 on m.events/1, whose log begins at 7"),
            "{told}"
        );
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
            from(From::Earliest),
            "+ group m.worker: begins at m.events/0@0, m.events/1@3\n"
        );
        assert_eq!(
            from(From::Latest),
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

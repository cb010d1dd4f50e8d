//! How lists and plans look on a terminal.

use std::{fmt, time::Duration};

use super::{Action, Change, Finding, Plan};
use crate::{
    Catalog, KafkaSettings,
    catalog::{Cleanup, Group, Input, Topic, Value},
};

/// `topics list`: the catalog as a table.
pub struct Listing<'a> {
    pub catalog: &'a Catalog,
    pub kafka: &'a KafkaSettings,
}

/// `topics list --rights`: one ACL a line.
pub struct Rights<'a> {
    pub catalog: &'a Catalog,
    pub kafka: &'a KafkaSettings,
}

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads = [
            "TOPIC",
            "PARTITIONS",
            "KEEPS",
            "MAX MESSAGE",
            "SCHEMA",
            "KEY",
            "WRITERS",
            "READERS",
        ];
        let topics: Vec<_> = self.catalog.topics.iter().map(|topic| self.topic(topic)).collect();
        columns(f, &heads.map(str::to_owned), &topics)?;
        writeln!(f)?;
        let heads = ["GROUP", "INPUT", "WEIGHT", "VALUE", "CHAIN", "TENANT"];
        let groups = &self.catalog.groups;
        let inputs: Vec<_> = groups
            .iter()
            .flat_map(|group| group.inputs.iter().map(|input| self.input(group, input)))
            .collect();
        columns(f, &heads.map(str::to_owned), &inputs)
    }
}

impl Listing<'_> {
    fn topic(&self, topic: &Topic) -> [String; 8] {
        let keeps = match (topic.cleanup, topic.retention) {
            (Cleanup::Compact, _) => "last of each key".to_owned(),
            (Cleanup::Delete, Some(retention)) => age(retention),
            (Cleanup::Delete, None) => "for ever".to_owned(),
        };
        [
            self.kafka.topic(&topic.name),
            topic.partitions.to_string(),
            keeps,
            size(topic.max_message_bytes),
            topic.schema.clone().unwrap_or_else(|| "-".to_owned()),
            topic.key.clone(),
            topic.writers.join(","),
            topic.readers.join(","),
        ]
    }

    fn input(&self, group: &Group, input: &Input) -> [String; 6] {
        let value = match input.value {
            Value::Request => "request",
            Value::Avro => "avro",
            Value::Json => "json",
        };
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        [
            self.kafka.group(&group.name),
            input.full_topic(self.kafka),
            input.weight.to_string(),
            value.to_owned(),
            or_dash(&input.chain),
            or_dash(&input.tenant),
        ]
    }
}

impl fmt::Display for Rights<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rights = self.catalog.rights(self.kafka);
        let rows: Vec<_> = rights
            .into_iter()
            .map(|right| [right.role, format!("{:?}", right.operation), right.resource.to_string()])
            .collect();
        columns(f, &["ROLE", "OPERATION", "RESOURCE"].map(str::to_owned), &rows)
    }
}

/// `topics diff`: `+` is created, `~` is changed, `!` waits for a decision.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return writeln!(f, "the cluster is as the list says");
        }
        for action in &self.actions {
            writeln!(f, "{action}")?;
        }
        for finding in &self.findings {
            writeln!(f, "! {finding}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateTopic {
                name,
                partitions,
                configs,
                ..
            } => {
                let configs: Vec<_> = configs
                    .iter()
                    .map(|(config, value)| format!("{config}={value}"))
                    .collect();
                write!(f, "+ topic {name}: {partitions} partitions, {}", configs.join(", "))
            }
            Self::AlterConfigs { name, changes, .. } => {
                let changes: Vec<_> = changes.iter().map(ToString::to_string).collect();
                write!(f, "~ topic {name}: {}", changes.join(", "))
            }
            Self::AddPartitions { name, from, to } => write!(f, "~ topic {name}: partitions {from} -> {to}"),
            Self::InitialiseGroup { group, offsets } => {
                let starts: Vec<_> = offsets
                    .iter()
                    .map(|(partition, offset)| format!("{partition}@{offset}"))
                    .collect();
                write!(f, "+ group {group}: begins at {}", starts.join(", "))
            }
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} -> {}",
            self.config,
            self.from.as_deref().unwrap_or("(unset)"),
            self.to
        )
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PartitionsWouldReorder { topic, have, want } => write!(
                f,
                "topic {topic} has {have} partitions, the list says {want}: keys would move to other partitions and \
                 could overtake themselves once; if that may be, `millrace topics apply --allow-reorder`"
            ),
            Self::MorePartitionsThanListed { topic, have, want } => write!(
                f,
                "topic {topic} has {have} partitions, the list says {want}: Kafka cannot take partitions away; write \
                 `partitions: {have}` in the list"
            ),
            Self::UserTopicMissing { topic, group } => write!(
                f,
                "topic {topic}, an input of {group}, does not exist: it is yours to create, or take it out of the list"
            ),
            Self::TopicMissing { topic } => {
                write!(f, "topic {topic} does not exist; `millrace topics apply` creates it")
            }
            Self::MessagesTooSmall { topic, has, needs } => write!(
                f,
                "topic {topic} takes {has} bytes a message (max.message.bytes), the list says {needs}: `millrace topics \
                 apply` alters it, or write what it has as `max_message` in the list"
            ),
            Self::CompactedInput { topic, group } => write!(
                f,
                "topic {topic}, an input of {group}, is compacted: a request that runs when its process dies could be gone \
                 behind a newer one of its key, and have no result. Set cleanup.policy=delete on it, or take it out of the \
                 list and copy its records to a topic that is not compacted"
            ),
            Self::DeadLettersTooSmall {
                topic,
                has,
                needs,
                because_of,
            } => write!(
                f,
                "topic {topic} takes {has} bytes a message, but dead letters of {because_of} need {needs}: write \
                 `max_message: {}KiB` for it in the list",
                needs.div_ceil(1024)
            ),
            Self::StartUndecided { group, topic } => write!(
                f,
                "group {group} has no committed offset on {topic}, which holds records: `millrace topics apply --from \
                 earliest` runs them all, `--from latest` only what comes from now on"
            ),
            Self::Overtaken {
                group,
                partition,
                committed,
                start,
            } => write!(
                f,
                "group {group} is at {committed} on {partition}, whose log begins at {start}: records were deleted \
                 before they ran; to go on without them stop the group, then `kafka-consumer-groups.sh --group {group} \
                 --topic {}:{} --reset-offsets --to-offset {start} --execute`",
                partition.topic, partition.partition
            ),
            Self::GroupHasMembers { group, members } => write!(
                f,
                "group {group} needs its first commit, but {members} members are in it: stop them, apply, start them"
            ),
        }
    }
}

fn columns<const N: usize>(f: &mut fmt::Formatter<'_>, heads: &[String; N], rows: &[[String; N]]) -> fmt::Result {
    let widest = |column: usize| {
        rows.iter()
            .chain([heads])
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: [usize; N] = std::array::from_fn(widest);
    for row in [heads].into_iter().chain(rows) {
        let cells: Vec<_> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        writeln!(f, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        _ if seconds.is_multiple_of(86_400) => format!("{} d", seconds / 86_400),
        _ if seconds.is_multiple_of(3_600) => format!("{} h", seconds / 3_600),
        _ => format!("{} min", seconds / 60),
    }
}

fn size(bytes: u64) -> String {
    if bytes.is_multiple_of(1 << 20) {
        format!("{} MiB", bytes >> 20)
    } else {
        format!("{} KiB", bytes >> 10)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_list_is_a_table_of_full_names() {
        let list = "
topics:
  - {name: requests, key: null for no order, schema: Request, partitions: 6, retention: 12h, max_message: 1MiB,
     writers: [clients, api], readers: [worker]}
  - {name: chains, key: name, partitions: 1, cleanup: compact, max_message: 1536KiB, writers: [worker], readers: [api]}
groups:
  - {name: worker, inputs: [{topic: requests, weight: 4}, {topic: tickets, value: json, chain: triage@2}]}
";
        let catalog = Catalog::parse(list, Path::new("topics.yaml")).unwrap();
        let kafka = KafkaSettings {
            bootstrap_servers: String::new(),
            prefix: "m.".to_owned(),
            client: Default::default(),
        };
        assert_eq!(
            Listing {
                catalog: &catalog,
                kafka: &kafka
            }
            .to_string(),
            "\
TOPIC       PARTITIONS  KEEPS             MAX MESSAGE  SCHEMA   KEY                WRITERS      READERS
m.requests  6           12 h              1 MiB        Request  null for no order  clients,api  worker
m.chains    1           last of each key  1536 KiB     -        name               worker       api

GROUP     INPUT       WEIGHT  VALUE    CHAIN     TENANT
m.worker  m.requests  4       request  -         -
m.worker  tickets     1       json     triage@2  -
"
        );
    }
}

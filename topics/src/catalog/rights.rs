//! Who needs which right (ACL), derived from the list; which principal plays a role is the operator's to bind.
//!
//! `IdempotentWrite` on the cluster is not among them: since Kafka 3.0 (KIP-679) `Write` on a topic implies it.

use std::{collections::BTreeSet, fmt};

use super::{Catalog, Group};
use crate::KafkaSettings;

/// The role of whoever runs `millrace topics apply`.
const ADMINISTRATOR: &str = "administrator";

/// One `Allow` entry for the principal that plays a role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    pub role: String,
    pub resource: Resource,
    pub operation: Operation,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resource {
    pub kind: ResourceKind,
    pub name: String,
    /// The right is for all names that begin with `name` (KIP-290).
    pub prefixed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResourceKind {
    Topic,
    Group,
    TransactionalId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    Read,
    Write,
    Describe,
    Create,
    Alter,
    AlterConfigs,
    DescribeConfigs,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} {}{}",
            self.kind,
            self.name,
            if self.prefixed { "*" } else { "" }
        )
    }
}

impl Catalog {
    /// Everything that must be allowed on a cluster with ACLs, by role.
    #[must_use]
    pub fn rights(&self, kafka: &KafkaSettings) -> BTreeSet<Right> {
        let mut rights = BTreeSet::new();
        for topic in &self.topics {
            let name = kafka.topic(&topic.name);
            for role in &topic.writers {
                allow(
                    &mut rights,
                    role,
                    ResourceKind::Topic,
                    &name,
                    false,
                    &[Operation::Write, Operation::Describe],
                );
            }
            for role in &topic.readers {
                allow(
                    &mut rights,
                    role,
                    ResourceKind::Topic,
                    &name,
                    false,
                    &[Operation::Read, Operation::Describe],
                );
                if role != "clients" {
                    reads_in_groups(&mut rights, role, kafka);
                }
            }
        }
        for group in &self.groups {
            commits_exactly_once(&mut rights, self, group, kafka);
            // Whoever commits looks after trouble whether what it committed is readable.
            for topic in self.topics.iter().filter(|topic| topic.writers.contains(&group.name)) {
                let name = kafka.topic(&topic.name);
                allow(
                    &mut rights,
                    &group.name,
                    ResourceKind::Topic,
                    &name,
                    false,
                    &[Operation::Read],
                );
            }
        }
        administers(&mut rights, self, kafka);
        rights
    }
}

/// Its own group, and the one that a tail names and never joins.
fn reads_in_groups(rights: &mut BTreeSet<Right>, role: &str, kafka: &KafkaSettings) {
    allow(
        rights,
        role,
        ResourceKind::Group,
        &kafka.group(role),
        false,
        &[Operation::Read],
    );
    allow(
        rights,
        role,
        ResourceKind::Group,
        &kafka.group("tail."),
        true,
        &[Operation::Read],
    );
}

/// Whoever reads all requests, to record them or to show one, reads a user's own topic too: our own topics say so
/// themselves. The canary's group begins with the group's name, and so do the transactional ids: a member that takes a partition
/// over fences its predecessor by that one's id. How its topics are configured is asked before anything is read.
fn commits_exactly_once(rights: &mut BTreeSet<Right>, catalog: &Catalog, group: &Group, kafka: &KafkaSettings) {
    let prefix = format!("{}.", kafka.group(&group.name));
    let role = &group.name;
    allow(rights, role, ResourceKind::Group, &prefix, true, &[Operation::Read]);
    allow(
        rights,
        role,
        ResourceKind::TransactionalId,
        &prefix,
        true,
        &[Operation::Write, Operation::Describe],
    );
    let used = catalog
        .topics
        .iter()
        .filter(|topic| topic.writers.contains(role) || topic.readers.contains(role));
    let used = used.map(|topic| kafka.topic(&topic.name));
    let inputs = group.inputs.iter().map(|input| input.full_topic(kafka));
    for topic in used.chain(inputs) {
        let operations = [Operation::DescribeConfigs];
        allow(rights, role, ResourceKind::Topic, &topic, false, &operations);
    }
    for input in &group.inputs {
        let topic = input.full_topic(kafka);
        let readers: &[&str] = if input.own { &[role] } else { &[role, "recorder", "api"] };
        for reader in readers {
            allow(
                rights,
                reader,
                ResourceKind::Topic,
                &topic,
                false,
                &[Operation::Read, Operation::Describe],
            );
        }
    }
}

fn administers(rights: &mut BTreeSet<Right>, catalog: &Catalog, kafka: &KafkaSettings) {
    use Operation::{Alter, AlterConfigs, Create, Describe, DescribeConfigs, Read};
    let all = [Read, Create, Alter, AlterConfigs, DescribeConfigs, Describe];
    allow(rights, ADMINISTRATOR, ResourceKind::Topic, &kafka.prefix, true, &all);
    for group in &catalog.groups {
        allow(
            rights,
            ADMINISTRATOR,
            ResourceKind::Group,
            &kafka.group(&group.name),
            false,
            &[Read, Describe],
        );
        for input in group.inputs.iter().filter(|input| !input.own) {
            let operations = [Read, Describe, DescribeConfigs];
            allow(
                rights,
                ADMINISTRATOR,
                ResourceKind::Topic,
                &input.topic,
                false,
                &operations,
            );
        }
    }
}

fn allow(
    rights: &mut BTreeSet<Right>,
    role: &str,
    kind: ResourceKind,
    name: &str,
    prefixed: bool,
    operations: &[Operation],
) {
    for operation in operations {
        let resource = Resource {
            kind,
            name: name.to_owned(),
            prefixed,
        };
        rights.insert(Right {
            role: role.to_owned(),
            resource,
            operation: *operation,
        });
    }
}

//! What keeps a group from its work on this cluster: asked before it begins, and again until nothing does.
//!
//! The role does not end for it. Some of it is mended by waiting (a topic that is not there yet), the rest by a command on a
//! running cluster; a process that stays, says why on `/readyz` and `/health`, and goes on by itself serves both, and an exit
//! would be seen by nobody but whoever restarts it. Nothing is read before.

use std::collections::BTreeSet;

use super::{Admin, AdminError, Finding, TopicState, observe::existing};
use crate::{
    Catalog,
    catalog::{Group, Topic},
};

impl Admin {
    /// What has to be done first, by whom; empty if the group can work.
    ///
    /// # Errors
    /// When the brokers cannot be asked.
    pub async fn unfit(&self, catalog: &Catalog, group: &Group) -> Result<Vec<Finding>, AdminError> {
        let is_used = |topic: &&Topic| {
            let roles = topic.writers.iter().chain(&topic.readers);
            roles.into_iter().any(|role| *role == group.name)
        };
        let used: Vec<&Topic> = catalog.topics.iter().filter(is_used).collect();
        let inputs: BTreeSet<String> = group.inputs.iter().map(|input| input.full_topic(&self.kafka)).collect();
        let own = used.iter().map(|topic| self.kafka.topic(&topic.name));
        let names: BTreeSet<String> = own.chain(inputs.iter().cloned()).collect();
        let mut topics = self
            .blocking(move |kafka, client| existing(kafka, client, &names))
            .await?;
        self.describe(&mut topics).await?;
        let full = self.kafka.group(&group.name);
        let of_list = used.into_iter().flat_map(|topic| {
            let name = self.kafka.topic(&topic.name);
            match topics.get(&name) {
                Some(found) => falls_short(name, topic, found),
                None => vec![Finding::TopicMissing { topic: name }],
            }
        });
        let others = group
            .inputs
            .iter()
            .filter(|input| !input.own && !topics.contains_key(&input.topic));
        let missing = others.map(|input| Finding::UserTopicMissing {
            topic: input.topic.clone(),
            group: full.clone(),
        });
        let compacted = inputs
            .iter()
            .filter(|input| topics.get(*input).is_some_and(TopicState::is_compacted));
        let compacted = compacted.map(|topic| Finding::CompactedInput {
            topic: topic.clone(),
            group: full.clone(),
        });
        Ok(of_list.chain(missing).chain(compacted).collect())
    }
}

fn falls_short(name: String, topic: &Topic, found: &TopicState) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (have, want) = (found.partition_count(), topic.partitions);
    if have < want {
        let topic = name.clone();
        findings.push(Finding::PartitionsWouldReorder { topic, have, want });
    }
    let (has, needs) = (found.max_message_bytes(), topic.max_message_bytes);
    if let Some(has) = has.filter(|has| *has < needs) {
        findings.push(Finding::MessagesTooSmall {
            topic: name,
            has,
            needs,
        });
    }
    findings
}

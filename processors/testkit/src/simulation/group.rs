//! A model of the group coordinator: classic protocol, cooperative-sticky.

use std::collections::{BTreeMap, BTreeSet};

use topics::{TopicPartition, engine::core::Membership};

#[derive(Debug, Default)]
pub struct Group {
    pub generation: i32,
    members: BTreeMap<String, Share>,
    pub unsettled: bool,
}

/// What a member holds: until it has given something back nobody else gets it.
#[derive(Debug, Default)]
struct Share {
    held: BTreeSet<TopicPartition>,
}

/// What a rebalance means for one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub member: String,
    pub revoked: Vec<TopicPartition>,
    pub assigned: Vec<TopicPartition>,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list =
            |partitions: &[TopicPartition]| partitions.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        write!(
            f,
            "{} gives back [{}], gets [{}]",
            self.member,
            list(&self.revoked),
            list(&self.assigned)
        )
    }
}

impl Group {
    pub fn join(&mut self, member: &str) {
        self.members.insert(member.to_owned(), Share::default());
        self.unsettled = true;
    }

    /// It left, or its session is over: others may be given what it held.
    pub fn remove(&mut self, member: &str) {
        if self.members.remove(member).is_some() {
            self.unsettled = true;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub fn has(&self, member: &str) -> bool {
        self.members.contains_key(member)
    }

    pub fn members(&self) -> impl Iterator<Item = &String> {
        self.members.keys()
    }

    /// A member has unassigned what was revoked, and rejoins.
    pub fn give_back(&mut self, member: &str, partitions: &[TopicPartition]) {
        if let Some(share) = self.members.get_mut(member) {
            share.held.retain(|held| !partitions.contains(held));
            self.unsettled = true;
        }
    }

    #[must_use]
    pub fn knows(&self, membership: &Membership) -> bool {
        membership.generation == self.generation && self.members.contains_key(&membership.member)
    }

    /// All members have joined: a new generation. Each keeps what it holds up to its share, what is above it is revoked,
    /// and what nobody holds is given out.
    pub fn rebalance(&mut self, partitions: &[TopicPartition], first: usize) -> Vec<Change> {
        self.generation += 1;
        self.unsettled = false;
        let count = self.members.len();
        if count == 0 {
            return Vec::new();
        }
        let fair =
            |index: usize| partitions.len() / count + usize::from((index + first) % count < partitions.len() % count);
        let held: BTreeSet<TopicPartition> = self.members.values().flat_map(|share| share.held.clone()).collect();
        let mut free: Vec<TopicPartition> = partitions
            .iter()
            .filter(|partition| !held.contains(partition))
            .cloned()
            .collect();
        let mut changes = Vec::new();
        for (index, (member, share)) in self.members.iter_mut().enumerate() {
            let fair = fair(index);
            let revoked: Vec<TopicPartition> = share.held.iter().skip(fair).cloned().collect();
            let room = fair.saturating_sub(share.held.len()).min(free.len());
            let assigned: Vec<TopicPartition> = free.drain(..room).collect();
            share.held.extend(assigned.iter().cloned());
            changes.push(Change {
                member: member.clone(),
                revoked,
                assigned,
            });
        }
        changes
    }
}

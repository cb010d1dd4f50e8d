//! Whether a partition without a commit was added to its topic, or its commit is gone.
//!
//! Commits expire (an idle group's after 7 days), are deleted, and are made anew by an operator one by one; that another
//! partition has one says nothing. So each commit says up to where every partition has, or had, one: a partition below that
//! was not added. The number only rises once each below it was seen to have a commit, so members that claim added partitions
//! at the same time do not take each other's for old ones. A state that does not know (an operator made it, or a version
//! before this one) takes what others know, or else all partitions that there are: then none of them was added.

use std::collections::BTreeMap;

use crate::engine::core::Committed;

/// A topic as it stands in a group, at this moment or a few before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Whole {
    /// How many partitions it has.
    pub partitions: u32,
    /// Offset and metadata of those that have a commit.
    pub commits: BTreeMap<i32, (i64, String)>,
}

impl Whole {
    /// For a partition that was added: how many are known to have been there.
    #[must_use]
    pub fn added(&self, partition: i32) -> Option<u32> {
        let known = self.known()?;
        (u32::try_from(partition).ok()? >= known).then_some(known)
    }

    /// What a partition's next commit knows, whose last one knew this.
    pub(super) fn known_after(&self, before: u32) -> u32 {
        if before == 0 {
            return self.known().unwrap_or(self.partitions);
        }
        let seen = (0..)
            .zip(self.commits.keys())
            .take_while(|(number, key)| number == *key);
        before.max(u32::try_from(seen.count()).unwrap_or_default())
    }

    /// By what the commits of Millrace's own say.
    fn known(&self) -> Option<u32> {
        let known = |(offset, metadata): &(i64, String)| Some(Committed::decode(*offset, metadata).ok()?.partitions);
        self.commits.values().filter_map(known).filter(|known| *known > 0).max()
    }
}

//! Which results a transaction carries, and whose fault it was when it broke.
//!
//! Decision: a result that cannot be written must cost the others next to nothing, so
//! - what is known is believed: a report that names the record, a topic that takes nothing from anybody;
//! - else those that may have been it are suspects, and are tried apart from the others: a transaction of theirs, then one of
//!   everybody else's, in turns. How many are tried at once halves each time that it fails and doubles each time that it does
//!   not, so that one among many is found in a few tries, and many bad ones in a row cost one try each;
//! - nothing pauses meanwhile.
//!
//! The order of a key is kept: a result is not chosen while one before it in its lane is not.

use std::collections::{BTreeSet, HashSet, VecDeque};

use super::{Entry, Partition, partition::Phase};

/// Of what one transaction carries.
const BATCH_BYTES: usize = 32 << 20;
/// Of the metadata of its offsets. `__consumer_offsets` takes 1 MiB at once, as it comes.
pub const MOST_METADATA: usize = 512 << 10;

/// What a transaction has room for.
pub(super) struct Room {
    results: usize,
    bytes: usize,
    metadata: usize,
    is_empty: bool,
}

impl Room {
    pub(super) fn new(results: usize) -> Self {
        Self {
            results: results.max(1),
            bytes: BATCH_BYTES,
            metadata: MOST_METADATA,
            is_empty: true,
        }
    }

    /// Of one entry there always is.
    fn takes(&mut self, entry: &Entry) -> bool {
        if self.results == 0 || (!self.is_empty && entry.size() > self.bytes) {
            return false;
        }
        self.results -= 1;
        self.bytes = self.bytes.saturating_sub(entry.size());
        self.is_empty = false;
        true
    }

    pub(super) fn carries(&mut self, metadata: &str) {
        self.metadata = self.metadata.saturating_sub(metadata.len());
    }

    pub(super) fn has_any(&self) -> bool {
        self.results > 0 && self.metadata > 0
    }
}

impl Partition {
    /// Chooses what the next transaction carries of this partition, and moves it to the front of the ledger. `None`: nothing,
    /// not even the release.
    pub(super) fn choose(&mut self, trial: bool, held_back: &BTreeSet<String>, room: &mut Room) -> Option<usize> {
        match self.phase {
            Phase::Active | Phase::Finishing | Phase::Draining => {}
            Phase::Stopped(_) => return None,
        }
        let is_wanted = |entry: &Entry| {
            entry.suspect == trial && !entry.outputs.iter().any(|output| held_back.contains(&output.topic))
        };
        let mut count = 0;
        while self
            .ledger
            .get(count)
            .is_some_and(|entry| is_wanted(entry) && room.takes(entry))
        {
            count += 1;
        }
        let mut apart = 0;
        if count < self.ledger.len() && room.has_any() {
            (count, apart) = self.choose_around(count, is_wanted, room);
        }
        if !trial {
            self.apart = apart;
        }
        let releases = !trial && self.phase == Phase::Draining && self.ledger.is_empty();
        (count > 0 || releases).then_some(count)
    }

    /// The first `count` are chosen; there is one behind them that is not. How many are in the end, and how many of the others
    /// would not be either if there were more room.
    fn choose_around(&mut self, count: usize, is_wanted: impl Fn(&Entry) -> bool, room: &mut Room) -> (usize, usize) {
        let behind = self.ledger.split_off(count);
        let (mut left, mut apart) = (VecDeque::new(), 0);
        let mut blocked = HashSet::new();
        for entry in behind {
            let lane = self.lanes.lane(entry.record.key.as_ref());
            let is_blocked = lane.as_ref().is_some_and(|lane| blocked.contains(lane));
            let is_apart = is_blocked || !is_wanted(&entry);
            if !is_apart && room.takes(&entry) {
                self.ledger.push_back(entry);
            } else {
                apart += usize::from(is_apart);
                blocked.extend(lane);
                left.push_back(entry);
            }
        }
        let chosen = self.ledger.len();
        self.ledger.append(&mut left);
        (chosen, apart)
    }

    pub(super) fn has_suspects(&self) -> bool {
        self.ledger.iter().any(|entry| entry.suspect)
    }
}

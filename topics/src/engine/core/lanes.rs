//! Who must wait for whom within a partition: a lane is a key (or the whole partition), and one record of a lane runs
//! at a time. Records without order are in no lane.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use crate::engine::Order;

#[derive(Debug)]
pub struct Lanes {
    order: Order,
    /// A lane exists while one of its records runs; these wait behind it.
    waiting: HashMap<Option<Bytes>, VecDeque<i64>>,
}

impl Lanes {
    #[must_use]
    pub fn new(order: Order) -> Self {
        Self {
            order,
            waiting: HashMap::new(),
        }
    }

    /// Whether the record may run at once; otherwise [`Lanes::leave`] names it when its turn comes.
    pub fn enter(&mut self, key: Option<&Bytes>, offset: i64) -> bool {
        let Some(lane) = self.lane(key) else { return true };
        match self.waiting.get_mut(&lane) {
            Some(behind) => {
                behind.push_back(offset);
                false
            }
            None => {
                self.waiting.insert(lane, VecDeque::new());
                true
            }
        }
    }

    /// The record's result is in the ledger: the next one of its lane may run.
    pub fn leave(&mut self, key: Option<&Bytes>) -> Option<i64> {
        let lane = self.lane(key)?;
        let next = self.waiting.get_mut(&lane)?.pop_front();
        if next.is_none() {
            self.waiting.remove(&lane);
        }
        next
    }

    /// `None`: whoever has this key waits for nobody.
    pub fn lane(&self, key: Option<&Bytes>) -> Option<Option<Bytes>> {
        match self.order {
            Order::Key => key.map(|key| Some(key.clone())),
            Order::Partition => Some(None),
            Order::None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_a_key_run_one_after_the_other_and_null_keys_at_once() {
        let (a, b) = (Bytes::from_static(b"a"), Bytes::from_static(b"b"));
        let mut lanes = Lanes::new(Order::Key);
        assert!(lanes.enter(Some(&a), 1) && lanes.enter(Some(&b), 2) && lanes.enter(None, 3) && lanes.enter(None, 4));
        assert!(!lanes.enter(Some(&a), 5) && !lanes.enter(Some(&a), 6));
        assert_eq!(lanes.leave(None), None);
        assert_eq!(
            [lanes.leave(Some(&a)), lanes.leave(Some(&a)), lanes.leave(Some(&a))],
            [Some(5), Some(6), None]
        );
        assert!(lanes.enter(Some(&a), 7), "an empty lane is free again");
    }

    #[test]
    fn a_partition_is_one_lane_or_none() {
        let a = Bytes::from_static(b"a");
        let mut partition = Lanes::new(Order::Partition);
        assert!(partition.enter(Some(&a), 1) && !partition.enter(None, 2));
        assert_eq!(partition.leave(Some(&a)), Some(2));
        let mut none = Lanes::new(Order::None);
        assert!(none.enter(Some(&a), 1) && none.enter(Some(&a), 2));
    }
}

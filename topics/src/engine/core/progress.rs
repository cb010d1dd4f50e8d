//! What is done in a partition: everything below the watermark, and a set above it.
//!
//! Decision: a ring of bits, because the dispatch window bounds how far above the watermark anything can be done, and
//! because a copy for each commit is then 2 KiB however many offsets are in it.

/// How far above the watermark an offset may be dispatched. Its worst case (a bitset of 2 KiB) fits the 4,096 characters
/// that brokers allow by default, so the map is never dropped.
pub const WINDOW: i64 = 16_384;

const WORDS: usize = WINDOW as usize / 64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    watermark: i64,
    /// One past the highest offset that is done; the watermark if there is none above it.
    end: i64,
    /// The bit of an offset is at its remainder by `WINDOW`. Bits outside `watermark..end` are 0.
    bits: Box<[u64; WORDS]>,
}

impl Progress {
    #[must_use]
    pub fn at(watermark: i64) -> Self {
        Self {
            watermark,
            end: watermark,
            bits: Box::new([0; WORDS]),
        }
    }

    /// The lowest offset that is not done: what is committed as the group's offset.
    #[must_use]
    pub fn watermark(&self) -> i64 {
        self.watermark
    }

    #[must_use]
    pub fn end(&self) -> i64 {
        self.end
    }

    #[must_use]
    pub fn contains(&self, offset: i64) -> bool {
        offset < self.watermark || (offset < self.end && self.bit(offset))
    }

    /// How many offsets are done above the watermark.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bits.iter().map(|word| word.count_ones() as usize).sum()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.end == self.watermark
    }

    /// Whether `offset` may be dispatched when everything from `next` up to it holds no record (compaction,
    /// transaction markers).
    #[must_use]
    pub fn admits(&self, next: i64, offset: i64) -> bool {
        offset < self.watermark + WINDOW || self.watermark >= next
    }

    /// # Panics
    /// Never: an offset outside the window is ignored, and [`Progress::admits`] keeps them out.
    pub fn complete(&mut self, offset: i64) {
        if offset < self.watermark || offset >= self.watermark + WINDOW {
            return;
        }
        let (word, bit) = place(offset);
        self.bits[word] |= 1 << bit;
        self.end = self.end.max(offset + 1);
        self.advance();
    }

    /// Takes an offset back: it is not done after all. False, and nothing is changed, if the window would be too small then for
    /// everything before `next`.
    #[must_use]
    pub fn undo(&mut self, offset: i64, next: i64) -> bool {
        if !self.contains(offset) {
            return true;
        }
        let next = next.max(self.end);
        if next - offset.min(self.watermark) > WINDOW {
            return false;
        }
        for done in offset + 1..self.watermark {
            let (word, bit) = place(done);
            self.bits[word] |= 1 << bit;
        }
        self.watermark = self.watermark.min(offset);
        let (word, bit) = place(offset);
        self.bits[word] &= !(1 << bit);
        while self.end > self.watermark && !self.bit(self.end - 1) {
            self.end -= 1;
        }
        true
    }

    /// Counts offsets that hold no record as done.
    pub fn skip(&mut self, from: i64, to: i64) {
        if from <= self.watermark && to > self.end {
            *self = Self::at(to);
            return;
        }
        for offset in from.max(self.watermark)..to {
            self.complete(offset);
        }
    }

    /// Lengths of runs from the watermark to the end, alternating, the first one not done. Empty if nothing is done
    /// above the watermark; else an even number of runs.
    #[must_use]
    pub fn runs(&self) -> Vec<i64> {
        let mut runs = Vec::new();
        let (mut offset, mut done) = (self.watermark, false);
        while offset < self.end {
            let length = self.run(offset, done);
            runs.push(length);
            offset += length;
            done = !done;
        }
        runs
    }

    /// How many offsets from `offset` on, within the end, are in the same state as `done`.
    fn run(&self, offset: i64, done: bool) -> i64 {
        let mut at = offset;
        while at < self.end {
            let (word, bit) = place(at);
            let bits = if done { !self.bits[word] } else { self.bits[word] } >> bit;
            let same = i64::from(bits.trailing_zeros()).min(64 - i64::from(bit));
            at += same;
            if same < 64 - i64::from(bit) {
                break;
            }
        }
        at.min(self.end) - offset
    }

    fn advance(&mut self) {
        while self.watermark < self.end {
            let (word, bit) = place(self.watermark);
            let ones = i64::from((self.bits[word] >> bit).trailing_ones());
            if ones == 0 {
                break;
            }
            self.bits[word] &= !(mask(ones) << bit);
            self.watermark += ones;
        }
    }

    fn bit(&self, offset: i64) -> bool {
        let (word, bit) = place(offset);
        self.bits[word] & (1 << bit) != 0
    }
}

fn place(offset: i64) -> (usize, u32) {
    let at = offset.rem_euclid(WINDOW) as usize;
    (at / 64, (at % 64) as u32)
}

fn mask(ones: i64) -> u64 {
    if ones >= 64 { u64::MAX } else { (1 << ones) - 1 }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_taken_back_is_not_done_and_nothing_else_changes(
            offsets in prop::collection::btree_set(0i64..2_000, 0..400),
            back in prop::collection::vec(0i64..2_000, 0..20),
        ) {
            let mut progress = Progress::at(100);
            let done = |progress: &Progress| (0..3_000).filter(|offset| progress.contains(*offset)).collect::<BTreeSet<_>>();
            for offset in offsets {
                progress.complete(100 + offset);
            }
            let mut expected = done(&progress);
            for offset in back {
                prop_assert!(progress.undo(offset, 2_100));
                expected.remove(&offset);
                prop_assert_eq!(done(&progress), expected.clone());
            }
            let mut again = Progress::at(progress.watermark());
            for offset in progress.watermark()..3_000 {
                if expected.contains(&offset) {
                    again.complete(offset);
                }
            }
            prop_assert_eq!(again, progress);
        }

        #[test]
        fn it_is_a_set_of_offsets_with_a_watermark(base in 0i64..100_000, offsets in prop::collection::vec(0i64..WINDOW, 0..400)) {
            let mut progress = Progress::at(base);
            let mut set = BTreeSet::new();
            for offset in offsets {
                progress.complete(base + offset);
                set.insert(base + offset);
            }
            let watermark = (base..).find(|offset| !set.contains(offset)).unwrap();
            prop_assert_eq!(progress.watermark(), watermark);
            prop_assert_eq!(progress.len(), set.iter().filter(|offset| **offset >= watermark).count());
            for offset in base..base + WINDOW {
                prop_assert_eq!(progress.contains(offset), offset < watermark || set.contains(&offset));
            }
            let runs = progress.runs();
            prop_assert_eq!(runs.iter().sum::<i64>(), progress.end() - progress.watermark());
            prop_assert_eq!(runs.len() % 2, 0);
        }
    }

    #[test]
    fn a_gap_of_any_length_is_skipped_once_nothing_is_open_before_it() {
        let mut progress = Progress::at(5);
        assert!(progress.admits(5, 1_000_000));
        progress.skip(5, 1_000_000);
        assert_eq!((progress.watermark(), progress.len()), (1_000_000, 0));

        let mut open = Progress::at(5);
        assert!(!open.admits(6, 5 + WINDOW), "offset 5 still runs");
        assert!(open.admits(6, 4 + WINDOW));
        open.skip(6, 9);
        assert_eq!((open.watermark(), open.len()), (5, 3));
        open.complete(5);
        assert_eq!((open.watermark(), open.len()), (9, 0));
        assert!(open.undo(5, 5 + WINDOW), "as many are between");
        assert!(!open.undo(4, 5 + WINDOW), "the window is too small");
        assert_eq!((open.watermark(), open.len()), (5, 3), "and nothing is changed");
    }
}

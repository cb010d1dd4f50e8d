//! What is done in a partition, as intervals: cheap to compare, many thousand times.

use topics::engine::core::Committed;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    watermark: i64,
    /// Above the watermark: from, and the offset behind.
    above: Vec<(i64, i64)>,
}

impl Done {
    #[must_use]
    pub fn decode(watermark: i64, map: &str) -> Option<Self> {
        let progress = Committed::decode(watermark, map).ok()?.progress;
        let mut at = watermark;
        let above = progress
            .runs()
            .chunks_exact(2)
            .map(|pair| {
                let from = at + pair[0];
                at = from + pair[1];
                (from, at)
            })
            .collect();
        Some(Self { watermark, above })
    }

    /// Nothing is done above the watermark.
    #[must_use]
    pub fn is_prefix(&self) -> bool {
        self.above.is_empty()
    }

    /// Offsets that are done here and not there.
    pub fn beyond<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = i64> + 'a {
        self.intervals()
            .flat_map(|(from, to)| from.max(other.watermark)..to)
            .filter(|offset| !other.has(*offset))
    }

    fn intervals(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        std::iter::once((0, self.watermark)).chain(self.above.iter().copied())
    }

    /// The first offset of `from..to` that is not done above the watermark.
    fn gap(&self, mut from: i64, to: i64) -> Option<i64> {
        while from < to {
            let after = self.above.partition_point(|(_, end)| *end <= from);
            match self.above.get(after) {
                Some((start, end)) if *start <= from => from = *end,
                Some(_) | None => return Some(from),
            }
        }
        None
    }

    fn has(&self, offset: i64) -> bool {
        offset < self.watermark || self.gap(offset, offset + 1).is_none()
    }
}

#[cfg(test)]
mod tests {
    use topics::engine::core::Progress;

    use super::*;

    fn done(watermark: i64, above: &[i64]) -> Done {
        let mut progress = Progress::at(watermark);
        for offset in above {
            progress.complete(*offset);
        }
        let state = Committed {
            progress,
            seq: 1,
            writer: None,
            partitions: 0,
        };
        Done::decode(watermark, &state.encode()).unwrap()
    }

    #[test]
    fn sets_are_compared_by_what_is_in_them() {
        let (before, after) = (done(10, &[12, 13, 20]), done(14, &[16, 20, 21]));
        assert_eq!(before.beyond(&after).next(), None);
        assert_eq!(after.beyond(&before).collect::<Vec<_>>(), [10, 11, 16, 21]);
        assert_eq!(before.beyond(&done(14, &[16])).collect::<Vec<_>>(), [20]);
        assert_eq!(before.beyond(&done(9, &[12, 13, 20])).collect::<Vec<_>>(), [9]);
        assert_eq!(done(30, &[]).beyond(&before).count(), 30 - 10 - 3);
    }
}

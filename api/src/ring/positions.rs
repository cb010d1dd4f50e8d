//! How far somebody has read: the next offset of each partition of `results`. As text it is the id of an event of the feed.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::history::Stretch;

/// The form of the text; another one would begin with another byte.
const VERSION: u8 = 1;
/// More partitions than any topic here has: what claims more was not written here.
const MAX_PARTITIONS: usize = 4_096;

/// By partition; −1 stands for one of which nothing is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Positions(Vec<i64>);

impl Positions {
    pub fn get(&self, partition: i32) -> Option<i64> {
        let index = usize::try_from(partition).ok()?;
        self.0.get(index).copied().filter(|offset| *offset >= 0)
    }

    /// Those that are known.
    pub fn iter(&self) -> impl Iterator<Item = (i32, i64)> {
        (0..).zip(self.0.iter().copied()).filter(|(_, offset)| *offset >= 0)
    }

    pub fn set(&mut self, partition: i32, offset: i64) {
        let Ok(index) = usize::try_from(partition) else { return };
        if self.0.len() <= index {
            self.0.resize(index + 1, -1);
        }
        self.0[index] = offset;
    }

    pub fn lower(&mut self, partition: i32, offset: i64) {
        if self.get(partition).is_none_or(|known| offset < known) {
            self.set(partition, offset);
        }
    }

    /// Counts a record as seen; false if it was already.
    pub fn advance(&mut self, partition: i32, offset: i64) -> bool {
        let is_new = self.get(partition).is_none_or(|next| offset >= next);
        if is_new {
            self.set(partition, offset + 1);
        }
        is_new
    }

    /// Whether this is as far as `other` in every partition that `other` knows. A partition that only `other` knows has
    /// appeared since: then other must begin at its begin.
    pub fn covers(&self, other: &Self) -> bool {
        (0..)
            .zip(&other.0)
            .all(|(partition, offset)| *offset <= self.get(partition).unwrap_or(0))
    }

    /// What lies between this and `other`, where that is further.
    pub fn until(&self, other: &Self) -> Vec<Stretch> {
        let partitions = (0..).zip(&other.0);
        let stretch = |(partition, to): (i32, &i64)| Stretch {
            partition,
            from: self.get(partition).unwrap_or(0),
            to: *to,
        };
        partitions
            .map(stretch)
            .filter(|stretch| stretch.from < stretch.to)
            .collect()
    }

    /// Version, then the offsets as LEB128 varints, 0 for those that are not known; base64url.
    pub fn encode(&self) -> String {
        let mut bytes = vec![VERSION];
        for offset in &self.0 {
            let mut value = u64::try_from(*offset).map_or(0, |offset| offset + 1);
            while value >= 0x80 {
                bytes.push(value as u8 | 0x80);
                value >>= 7;
            }
            bytes.push(value as u8);
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// `None` for what [`Positions::encode`] did not write.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let mut rest = bytes.strip_prefix(&[VERSION])?.iter();
        let mut positions = Vec::new();
        while !rest.as_slice().is_empty() {
            let (mut value, mut shift) = (0u64, 0);
            loop {
                let byte = *rest.next()?;
                if shift > 56 {
                    return None;
                }
                value |= u64::from(byte & 0x7f) << shift;
                shift += 7;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            positions.push(i64::try_from(value).ok()? - 1);
            if positions.len() > MAX_PARTITIONS {
                return None;
            }
        }
        Some(Self(positions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_what_was_given_out_and_nothing_else() {
        let mut positions = Positions::default();
        positions.set(3, 1 << 40);
        positions.set(0, 0);
        let text = positions.encode();
        assert_eq!(Positions::parse(&text), Some(positions.clone()));
        assert_eq!(
            (positions.get(0), positions.get(1), positions.get(9)),
            (Some(0), None, None)
        );
        let forged = ["?", "", "AQ==", "AgA", "AYA", "Af__________8B"];
        assert!(forged.into_iter().all(|text| Positions::parse(text).is_none()));
    }

    #[test]
    fn one_covers_another_that_is_not_further_anywhere() {
        let of = |offsets: &[i64]| Positions(offsets.to_vec());
        assert!(of(&[5, 5]).covers(&of(&[5, 4])));
        assert!(!of(&[5, 5]).covers(&of(&[5, 6])));
        assert!(of(&[5]).covers(&of(&[5, 0])), "a new partition, from its begin");
        assert!(!of(&[5]).covers(&of(&[5, 1])));
        assert!(of(&[5, 5]).covers(&of(&[5])));
        let stretch = |partition, from, to| Stretch { partition, from, to };
        assert_eq!(of(&[5, 5]).until(&of(&[7, 4, 2])), [stretch(0, 5, 7), stretch(2, 0, 2)]);
    }
}

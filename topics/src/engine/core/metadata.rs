//! The committed state of a partition as it lies in the broker: the watermark is the group's offset, the rest is the
//! metadata of that offset commit.
//!
//! Layout: `mr2.` (format version 2), then base64url of
//! `seq varint | writer length varint, writer | partitions varint | span varint | tag byte | body`, where the body describes
//! the `span` offsets from the watermark on in the shortest of three ways: 0 a bitset (1 is done), 1 varint deltas of the
//! offsets that are not done, 2 varint lengths of alternating runs, the first one not done. Format 1 had no `partitions`;
//! it is read as a state that does not know them.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::progress::{Progress, WINDOW};

/// `offset.metadata.max.bytes` of a broker by default, counted in characters.
pub const MAX_METADATA: usize = 4_096;

const FAMILY: &str = "mr";
const VERSION: u32 = 2;
/// The first one that says which partitions there were.
const WITH_PARTITIONS: u32 = 2;

const BITSET: u8 = 0;
const DELTAS: u8 = 1;
const RUNS: u8 = 2;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    pub progress: Progress,
    /// Grows by one with each commit, so that a commit whose answer was lost can be told from one that never was.
    pub seq: u64,
    /// The transactional id that may have a transaction open on this partition; none after a release.
    pub writer: Option<String>,
    /// Each partition of the topic with a number below this one has, or had, a commit of the group: one that has none is not
    /// new, its commit expired or was deleted. 0: not known.
    pub partitions: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    #[error("its commit metadata was not written by Millrace: another program commits offsets in this group")]
    Foreign,
    #[error(
        "its commit metadata has format {version}, this version of Millrace reads up to {VERSION}: a newer one ran here"
    )]
    Newer { version: u32 },
    #[error("its commit metadata is damaged")]
    Damaged,
}

impl Committed {
    /// The first state of a partition: nothing is done, nobody writes.
    #[must_use]
    pub fn first(offset: i64) -> Self {
        Self {
            progress: Progress::at(offset),
            seq: 0,
            writer: None,
            partitions: 0,
        }
    }

    /// The state that takes the most room: every other offset of the window is done.
    #[must_use]
    pub fn longest(writer: &str) -> Self {
        let mut progress = Progress::at(0);
        for offset in (1..WINDOW).step_by(2) {
            progress.complete(offset);
        }
        Self {
            progress,
            seq: u64::MAX,
            writer: Some(writer.to_owned()),
            partitions: u32::MAX,
        }
    }

    /// Empty metadata (an operator reset the offset) is read as the first state at that offset.
    ///
    /// # Errors
    /// Whatever this version cannot vouch for: the partition is refused then, never guessed.
    pub fn decode(offset: i64, metadata: &str) -> Result<Self, MetadataError> {
        if metadata.is_empty() {
            return Ok(Self::first(offset));
        }
        let (version, encoded) = metadata
            .strip_prefix(FAMILY)
            .and_then(|rest| rest.split_once('.'))
            .ok_or(MetadataError::Foreign)?;
        let version: u32 = version.parse().map_err(|_| MetadataError::Foreign)?;
        if version > VERSION {
            return Err(MetadataError::Newer { version });
        }
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| MetadataError::Damaged)?;
        Reader(&bytes).committed(version, offset).ok_or(MetadataError::Damaged)
    }

    #[must_use]
    pub fn encode(&self) -> String {
        let runs = self.progress.runs();
        let span = self.progress.end() - self.progress.watermark();
        let mut bytes = Vec::with_capacity(64);
        put(&mut bytes, self.seq);
        let writer = self.writer.as_deref().unwrap_or_default();
        put(&mut bytes, writer.len() as u64);
        bytes.extend_from_slice(writer.as_bytes());
        put(&mut bytes, u64::from(self.partitions));
        put(&mut bytes, span as u64);
        let (tag, body) = shortest(&runs, span);
        bytes.push(tag);
        bytes.extend_from_slice(&body);
        format!("{FAMILY}{VERSION}.{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}

fn shortest(runs: &[i64], span: i64) -> (u8, Vec<u8>) {
    let bitset_len = (span as usize).div_ceil(8);
    let mut lengths = Vec::new();
    for run in runs {
        put(&mut lengths, *run as u64);
        if lengths.len() > bitset_len {
            break;
        }
    }
    let mut deltas = Vec::new();
    let (mut at, mut last) = (0, 0);
    'all: for pair in runs.chunks(2) {
        for offset in at..at + pair[0] {
            put(&mut deltas, (offset - last) as u64);
            last = offset;
            if deltas.len() > bitset_len {
                break 'all;
            }
        }
        at += pair.iter().sum::<i64>();
    }
    if bitset_len < lengths.len().min(deltas.len()) {
        return (BITSET, bitset(runs, bitset_len));
    }
    if deltas.len() <= lengths.len() {
        (DELTAS, deltas)
    } else {
        (RUNS, lengths)
    }
}

fn bitset(runs: &[i64], len: usize) -> Vec<u8> {
    let mut bits = vec![0u8; len];
    let mut at = 0;
    for pair in runs.chunks(2) {
        at += pair[0] as usize;
        let done = pair.get(1).copied().unwrap_or_default() as usize;
        for offset in at..at + done {
            bits[offset / 8] |= 1 << (offset % 8);
        }
        at += done;
    }
    bits
}

fn put(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn committed(mut self, version: u32, offset: i64) -> Option<Committed> {
        (0..i64::MAX - WINDOW).contains(&offset).then_some(())?;
        let seq = self.varint()?;
        let length = usize::try_from(self.varint()?).ok()?;
        let writer = std::str::from_utf8(self.take(length)?).ok()?.to_owned();
        let partitions = if version >= WITH_PARTITIONS { self.varint()? } else { 0 };
        let span = i64::try_from(self.varint()?).ok().filter(|span| *span <= WINDOW)?;
        let end = offset.checked_add(span)?;
        let mut progress = Progress::at(offset);
        match self.byte()? {
            BITSET => self.bitset(&mut progress, span)?,
            DELTAS => self.deltas(&mut progress, end)?,
            RUNS => self.runs(&mut progress, end)?,
            _ => return None,
        }
        // The lowest offset of a map is open and its highest is done: anything else was not written by `encode`.
        (progress.watermark() == offset && progress.end() == end).then_some(())?;
        Some(Committed {
            progress,
            seq,
            writer: Some(writer).filter(|writer| !writer.is_empty()),
            partitions: u32::try_from(partitions).ok()?,
        })
    }

    fn bitset(&mut self, progress: &mut Progress, span: i64) -> Option<()> {
        let bits = std::mem::take(&mut self.0);
        (bits.len() == (span as usize).div_ceil(8)).then_some(())?;
        let base = progress.watermark();
        (bits.first().is_none_or(|byte| byte & 1 == 0)).then_some(())?;
        for offset in (0..span as usize).filter(|offset| bits[offset / 8] & (1 << (offset % 8)) != 0) {
            progress.complete(base + offset as i64);
        }
        Some(())
    }

    fn deltas(&mut self, progress: &mut Progress, end: i64) -> Option<()> {
        let base = progress.watermark();
        let (mut at, mut open) = (base, base);
        while !self.0.is_empty() {
            open = open
                .checked_add(i64::try_from(self.varint()?).ok()?)
                .filter(|open| *open < end && *open >= at)?;
            // the first delta must be 0, or the watermark would not be the lowest open offset
            (at > base || open == base).then_some(())?;
            progress.skip(at, open);
            at = open + 1;
        }
        (at > base || at == end).then_some(())?;
        progress.skip(at, end);
        Some(())
    }

    fn runs(&mut self, progress: &mut Progress, end: i64) -> Option<()> {
        let mut at = progress.watermark();
        while !self.0.is_empty() {
            let open = i64::try_from(self.varint()?).ok().filter(|open| *open > 0)?;
            let done = i64::try_from(self.varint()?).ok().filter(|done| *done > 0)?;
            let from = at.checked_add(open)?;
            at = from.checked_add(done).filter(|at| *at <= end)?;
            progress.skip(from, at);
        }
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return None;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn take(&mut self, length: usize) -> Option<&[u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn state(offset: i64, done: impl IntoIterator<Item = i64>) -> Committed {
        let mut progress = Progress::at(offset);
        for done in done {
            progress.complete(offset + done);
        }
        Committed {
            progress,
            seq: 7,
            writer: Some("millrace.orchestrator.01890f3e".to_owned()),
            partitions: 6,
        }
    }

    fn survives(state: &Committed) -> usize {
        let text = state.encode();
        assert_eq!(Committed::decode(state.progress.watermark(), &text).as_ref(), Ok(state));
        text.len()
    }

    proptest! {
        #[test]
        fn every_state_survives_the_broker(
            offset in 0i64..1 << 40, seq: u64, partitions: u32, writer in prop::option::of("[a-z.0-9-]{1,200}"),
            done in prop::collection::vec(0i64..WINDOW, 0..2_000),
        ) {
            let mut state = state(offset, done);
            (state.seq, state.writer, state.partitions) = (seq, writer, partitions);
            prop_assert!(survives(&state) <= MAX_METADATA);
        }

        #[test]
        fn any_text_is_read_or_refused(offset: i64, text in "\\PC{0,60}", tail in "[A-Za-z0-9_-]{0,60}") {
            let _ = Committed::decode(offset, &text);
            let _ = Committed::decode(offset, &format!("mr1.{tail}"));
            let _ = Committed::decode(offset, &format!("mr2.{tail}"));
        }
    }

    #[test]
    fn the_worst_case_fits_and_the_usual_ones_are_short() {
        let worst = Committed::longest(&"w".repeat(290));
        assert!(survives(&worst) <= 3_200, "{}", survives(&worst));
        assert!(survives(&state(5, [])) < 60);
        assert!(
            survives(&state(5, 1..WINDOW)) < 64,
            "one slow record before many done ones is one run"
        );
        assert!(
            survives(&state(5, (0..WINDOW).filter(|at| at % 500 != 0))) < 150,
            "few open ones are deltas"
        );
        assert!(survives(&state(5, [WINDOW - 1])) < 64);
    }

    /// As a process of the version before wrote it.
    #[test]
    fn a_state_of_the_format_before_is_read_and_does_not_know_the_partitions() {
        let bytes = [7, 1, b'w', 3, DELTAS, 0, 1];
        let state = Committed::decode(5, &format!("mr1.{}", URL_SAFE_NO_PAD.encode(bytes))).unwrap();
        assert_eq!(
            (state.seq, state.writer.as_deref(), state.partitions),
            (7, Some("w"), 0)
        );
        assert!(state.progress.contains(7) && !state.progress.contains(5) && !state.progress.contains(6));
    }

    #[test]
    fn what_others_wrote_is_refused_and_a_reset_is_not() {
        assert_eq!(Committed::decode(9, ""), Ok(Committed::first(9)));
        assert_eq!(Committed::decode(9, "NO_METADATA"), Err(MetadataError::Foreign));
        assert_eq!(
            Committed::decode(9, "mr3.AAAA"),
            Err(MetadataError::Newer { version: 3 })
        );
        assert_eq!(Committed::decode(9, "mr1.AAA"), Err(MetadataError::Damaged));
    }
}

//! Cuts a document into chunks that an embedding model takes in at once and a prompt has room for.
//!
//! A chunk never crosses a heading. A section that is too long is cut at the last paragraph, line, sentence or word that
//! fits, and the next chunk begins a little before the cut, so that a thought across it is found from both sides. Sizes
//! are in bytes, because those follow tokens across languages better than characters do: about four to a token of English.

use std::ops::Range;

use serde::Deserialize;
use thiserror::Error;

use crate::markdown::{Section, sections};

const DEFAULT_CHUNK_BYTES: usize = 1_500;
const DEFAULT_OVERLAP_BYTES: usize = 200;
/// Below this a chunk says nothing, and a cut has no room to look for a boundary.
const SMALLEST_CHUNK_BYTES: usize = 64;

/// The `splitting:` part of the indexer's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Splitting {
    chunk_bytes: usize,
    overlap_bytes: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    /// A chunk has at most this many bytes.
    chunk_bytes: usize,
    /// The next chunk repeats at most this many.
    overlap_bytes: usize,
}

#[derive(Debug, Error, PartialEq, Eq)]
pub enum SplittingError {
    #[error("chunk_bytes must be at least {SMALLEST_CHUNK_BYTES}, not {0}")]
    TooSmall(usize),
    #[error("overlap_bytes must be at most a quarter of chunk_bytes: {overlap_bytes} of {chunk_bytes} is more")]
    Overlap { chunk_bytes: usize, overlap_bytes: usize },
}

/// A part of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// The headings it stands under: `Install › On Debian`. Empty in plain text.
    pub heading: String,
    /// Where it is in the content.
    pub range: Range<usize>,
}

impl Splitting {
    pub fn new(chunk_bytes: usize, overlap_bytes: usize) -> Result<Self, SplittingError> {
        if chunk_bytes < SMALLEST_CHUNK_BYTES {
            return Err(SplittingError::TooSmall(chunk_bytes));
        }
        if overlap_bytes > chunk_bytes / 4 {
            return Err(SplittingError::Overlap {
                chunk_bytes,
                overlap_bytes,
            });
        }
        Ok(Self {
            chunk_bytes,
            overlap_bytes,
        })
    }

    /// The chunks of a document in their order. Sections without text have none.
    #[must_use]
    pub fn split(&self, content: &str, content_type: &str) -> Vec<Chunk> {
        let sections = if content_type.starts_with("text/markdown") {
            sections(content)
        } else {
            vec![Section {
                heading: String::new(),
                body: 0..content.len(),
            }]
        };
        let mut chunks = Vec::new();
        for Section { heading, body } in sections {
            let mut rest = trimmed(content, body);
            while !rest.is_empty() {
                let cut = self.cut(content, &rest);
                chunks.push(Chunk {
                    heading: heading.clone(),
                    range: trimmed(content, rest.start..cut),
                });
                if cut == rest.end {
                    break;
                }
                rest = trimmed(content, self.step_back(content, cut)..rest.end);
            }
        }
        chunks
    }

    /// Where the first chunk of `rest` ends: in its second half, so that chunks are neither tiny nor many.
    fn cut(&self, content: &str, rest: &Range<usize>) -> usize {
        if rest.len() <= self.chunk_bytes {
            return rest.end;
        }
        let end = content.floor_char_boundary(rest.start + self.chunk_bytes);
        let half = content.ceil_char_boundary(rest.start + self.chunk_bytes / 2);
        let window = &content[half..end];
        ["\n\n", "\n", ". ", " "]
            .iter()
            .find_map(|boundary| Some(half + window.rfind(boundary)? + boundary.len()))
            .unwrap_or(end)
    }

    /// Where the next chunk begins: at a word within the overlap.
    fn step_back(&self, content: &str, cut: usize) -> usize {
        let earliest = content.ceil_char_boundary(cut - self.overlap_bytes);
        let word = content[earliest..cut].find(char::is_whitespace);
        word.map_or(cut, |space| earliest + space)
    }
}

impl Default for Splitting {
    fn default() -> Self {
        Self {
            chunk_bytes: DEFAULT_CHUNK_BYTES,
            overlap_bytes: DEFAULT_OVERLAP_BYTES,
        }
    }
}

impl Default for Written {
    fn default() -> Self {
        Self {
            chunk_bytes: DEFAULT_CHUNK_BYTES,
            overlap_bytes: DEFAULT_OVERLAP_BYTES,
        }
    }
}

impl TryFrom<Written> for Splitting {
    type Error = SplittingError;

    fn try_from(written: Written) -> Result<Self, SplittingError> {
        Self::new(written.chunk_bytes, written.overlap_bytes)
    }
}

fn trimmed(content: &str, range: Range<usize>) -> Range<usize> {
    let text = &content[range.clone()];
    let start = range.start + (text.len() - text.trim_start().len());
    start..start + text.trim().len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_short_section_is_one_chunk_and_an_empty_one_none() {
        let content = "# A\n\none\n\n# B\n\n## C\ntwo\n";
        let chunks = Splitting::default().split(content, "text/markdown; charset=utf-8");
        let texts: Vec<_> = chunks
            .iter()
            .map(|c| (c.heading.as_str(), &content[c.range.clone()]))
            .collect();
        assert_eq!(texts, [("A", "one"), ("B › C", "two")]);
        assert_eq!(Splitting::default().split(content, "text/plain").len(), 1);
        assert_eq!(Splitting::default().split(" \n", "text/plain"), []);
    }

    #[test]
    fn a_long_section_is_cut_at_paragraphs_and_overlaps() {
        let content = format!("{}\n\n{}", "first ".repeat(8), "second ".repeat(8));
        let chunks = Splitting::new(64, 16).unwrap().split(&content, "text/plain");
        let texts: Vec<_> = chunks.iter().map(|chunk| &content[chunk.range.clone()]).collect();
        assert_eq!(texts[0], "first ".repeat(8).trim());
        assert!(texts[1].starts_with("first first \n\nsecond second"), "{texts:?}");
    }

    #[test]
    fn sizes_that_cannot_work_are_refused() {
        assert_eq!(Splitting::new(10, 0), Err(SplittingError::TooSmall(10)));
        assert!(matches!(
            Splitting::new(1_000, 251),
            Err(SplittingError::Overlap { .. })
        ));
        assert!(serde_json::from_str::<Splitting>(r#"{"chunk_bytes": 1}"#).is_err());
        let splitting: Splitting = serde_json::from_str("{}").unwrap();
        assert_eq!(splitting, Splitting::default());
    }

    proptest! {
        #[test]
        fn chunks_hold_every_word_fit_the_limit_and_overlap_little(
            content in "(#{1,3} [a-z]{1,9}\n|[a-zäé漢]{1,90}|[ \n.]{1,4}|```\n){0,80}",
            chunk_bytes in 64_usize..400,
            quarter in 0.0..=1.0_f64,
            markdown in any::<bool>(),
        ) {
            let overlap = (chunk_bytes as f64 / 4.0 * quarter) as usize;
            let content_type = if markdown { "text/markdown" } else { "text/plain" };
            let chunks = Splitting::new(chunk_bytes, overlap).unwrap().split(&content, content_type);
            let mut covered = vec![false; content.len()];
            let mut end = 0;
            for Chunk { range, .. } in &chunks {
                prop_assert!(!range.is_empty() && range.len() <= chunk_bytes);
                prop_assert!(range.end > end && range.start + overlap >= end);
                end = range.end;
                covered[range.clone()].fill(true);
            }
            let headings: Vec<_> = if markdown { sections(&content) } else { Vec::new() };
            for (at, character) in content.char_indices() {
                let in_a_heading = markdown && !headings.iter().any(|section| section.body.contains(&at));
                prop_assert!(covered[at] || character.is_whitespace() || in_a_heading, "{at} of {content:?}");
            }
        }
    }
}

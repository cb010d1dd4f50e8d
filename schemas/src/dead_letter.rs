//! What becomes of a record that could not be processed.
//!
//! A dead letter holds whatever an input topic can hold, and its own topic takes a little more than the largest of them
//! does. But limits of topics count what was compressed: a record of 1 MiB may have 100 MiB when it is read. Beyond its
//! topic's limit the largest parts stay where they are, and the letter says which, how large they are, and what they hash
//! to. So a dead letter can always be written, and never stops the partition that it comes from.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{EncodeError, Encoder, Shape, Timestamp};

/// A record that could not be processed, with its bytes as they were: what is too large is left out, and said so. It comes
/// in addition to a failed result.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DeadLetter {
    pub request_id: String,
    pub tenant: String,
    pub accepted_at: Timestamp,
    /// Where the record was read.
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    #[serde(with = "apache_avro::serde::bytes_opt")]
    pub key: Option<Vec<u8>>,
    #[serde(with = "apache_avro::serde::bytes_opt")]
    pub value: Option<Vec<u8>>,
    /// In their order; names may repeat.
    pub headers: Vec<RawHeader>,
    /// One word that programs may branch on.
    pub class: String,
    pub message: String,
    /// `name@version#sha256`, when it came that far.
    pub chain: Option<String>,
    pub failed_at: Timestamp,
    /// Parts that are not here because they are too large.
    pub left_out: Vec<LeftOut>,
}

/// A part of the record that the topic of dead letters does not take. It lies where the record was read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LeftOut {
    /// `value`, `headers` or `key`.
    pub part: String,
    pub bytes: i64,
    /// Lower-case hex; of headers: of names and values one after the other.
    pub sha256: String,
}

/// A record header as it was.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RawHeader {
    pub name: String,
    #[serde(with = "apache_avro::serde::bytes_opt")]
    pub value: Option<Vec<u8>>,
    /// Of a name that is no UTF-8; `name` has replacement characters then.
    #[serde(with = "apache_avro::serde::bytes_opt")]
    pub name_bytes: Option<Vec<u8>>,
}

impl RawHeader {
    #[must_use]
    pub fn new(name: &[u8], value: Option<&[u8]>) -> Self {
        let text = String::from_utf8_lossy(name);
        let is_odd = text.as_bytes() != name;
        Self {
            name: text.into_owned(),
            value: value.map(<[u8]>::to_vec),
            name_bytes: is_odd.then(|| name.to_vec()),
        }
    }

    /// The name as it was.
    #[must_use]
    pub fn raw_name(&self) -> &[u8] {
        self.name_bytes.as_deref().unwrap_or(self.name.as_bytes())
    }

    fn size(&self) -> usize {
        let value = self.value.as_ref().map_or(0, Vec::len);
        self.name.len() + self.name_bytes.as_ref().map_or(0, Vec::len) + value
    }
}

impl DeadLetter {
    /// The letter in Confluent's wire format, in at most `largest` bytes: its largest parts are left out until it fits.
    ///
    /// # Errors
    /// As [`Encoder::encode`].
    pub fn encode_within(mut self, encoder: &Encoder<Self>, largest: usize) -> Result<Bytes, EncodeError> {
        loop {
            let encoded = encoder.encode(&self)?;
            if encoded.len() <= largest || !self.leave_out_largest() {
                return Ok(encoded);
            }
        }
    }

    /// False if there is nothing left.
    fn leave_out_largest(&mut self) -> bool {
        let value = self.value.as_ref().map_or(0, Vec::len);
        let headers = self.headers.iter().map(RawHeader::size).sum();
        let key = self.key.as_ref().map_or(0, Vec::len);
        let largest = value.max(headers).max(key);
        if largest == 0 {
            return false;
        }
        let left_out = if largest == value {
            LeftOut::new("value", [self.value.take().unwrap_or_default()])
        } else if largest == headers {
            let headers = std::mem::take(&mut self.headers).into_iter();
            let parts = headers.flat_map(|header| [header.raw_name().to_vec(), header.value.unwrap_or_default()]);
            LeftOut::new("headers", parts)
        } else {
            LeftOut::new("key", [self.key.take().unwrap_or_default()])
        };
        self.left_out.push(left_out);
        true
    }
}

impl LeftOut {
    fn new(part: &str, bytes: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let (mut size, mut hash) = (0, Sha256::new());
        for bytes in bytes {
            size += bytes.len();
            hash.update(bytes);
        }
        Self {
            part: part.to_owned(),
            bytes: i64::try_from(size).unwrap_or(i64::MAX),
            sha256: hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

impl Shape for DeadLetter {
    const NAME: &'static str = "DeadLetter";
    const SCHEMA: &'static str = include_str!("../avro/dead_letter.avsc");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter() -> DeadLetter {
        DeadLetter {
            key: Some(vec![1; 300]),
            value: Some(vec![2; 5_000]),
            headers: vec![RawHeader::new(b"a", Some(&[3; 1_000])), RawHeader::new(b"\xff\0", None)],
            ..DeadLetter::default()
        }
    }

    #[test]
    fn the_largest_parts_are_left_out_until_it_fits_and_what_they_were_is_said() {
        let encoder = Encoder::new(7).unwrap();
        let parts = |largest: usize| {
            let bytes = letter().encode_within(&encoder, largest).unwrap();
            assert!(bytes.len() <= largest.max(300), "{} of {largest}", bytes.len());
            let mut left = letter();
            while encoder.encode(&left).unwrap().len() > largest && left.leave_out_largest() {}
            left.left_out
        };
        let named = |parts: &[LeftOut]| {
            parts
                .iter()
                .map(|left| (left.part.clone(), left.bytes))
                .collect::<Vec<_>>()
        };
        assert_eq!(parts(10_000), []);
        assert_eq!(named(&parts(2_000)), [("value".to_owned(), 5_000)]);
        let all = parts(10);
        assert_eq!(
            named(&all),
            [
                ("value".to_owned(), 5_000),
                ("headers".to_owned(), 1_003),
                ("key".to_owned(), 300)
            ]
        );
        assert_eq!(all[0].sha256, format!("{:x}", Sha256::digest([2; 5_000])));
    }

    #[test]
    fn a_header_name_keeps_its_bytes() {
        let odd = RawHeader::new(b"\xff\0a", None);
        assert_eq!((odd.name.as_str(), odd.raw_name()), ("\u{fffd}\0a", &b"\xff\0a"[..]));
        assert_eq!(RawHeader::new("é\0".as_bytes(), None).name_bytes, None);
    }
}

//! Where a page of runs ended.

use std::{fmt, ops::RangeInclusive};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use schemas::Timestamp;

use crate::run::Run;

/// The years 1 to 9999, in microseconds: no row is of another.
const YEARS: RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_300_799_999_999;

/// The place of a run in the order of pages: by time of acceptance, then by id. Opaque to callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub accepted_at: Timestamp,
    pub request_id: String,
    pub turn: i32,
}

impl Cursor {
    /// Where a page goes on that ended with `run`; `None` for one that was never accepted.
    pub fn after(run: &Run) -> Option<Self> {
        Some(Self {
            accepted_at: run.accepted_at?,
            request_id: run.id.clone(),
            turn: run.turn,
        })
    }

    pub fn parse(text: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let (accepted_at, rest) = text.split_once('/')?;
        let (turn, request_id) = rest.split_once('/')?;
        let accepted_at = Timestamp(accepted_at.parse().ok()?);
        let turn = turn.parse().ok()?;
        // Postgres would refuse to be asked.
        let askable = YEARS.contains(&accepted_at.0) && !request_id.contains('\0');
        askable.then_some(Self {
            accepted_at,
            request_id: request_id.to_owned(),
            turn,
        })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            accepted_at: Timestamp(micros),
            request_id,
            turn,
        } = self;
        f.write_str(&URL_SAFE_NO_PAD.encode(format!("{micros}/{turn}/{request_id}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_out_is_understood_and_nothing_else() {
        let cursor = Cursor {
            accepted_at: Timestamp(-7),
            request_id: "order:7".to_owned(),
            turn: 2,
        };
        assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
        let forged = [
            "",
            "?",
            "YQ",
            &URL_SAFE_NO_PAD.encode("x/0/a"),
            &URL_SAFE_NO_PAD.encode(format!("{}/0/a", i64::MAX)),
            // The last microsecond before the year 1, and the first of the year 10,000.
            &URL_SAFE_NO_PAD.encode("-62135596800000001/0/a"),
            &URL_SAFE_NO_PAD.encode("253402300800000000/0/a"),
            &URL_SAFE_NO_PAD.encode("0/0/a\0"),
            &URL_SAFE_NO_PAD.encode([0xff, b'/']),
        ];
        assert!(forged.into_iter().all(|text| Cursor::parse(text).is_none()));
    }
}

//! Rows → tables: one statement per table and batch, columns as arrays.
//!
//! Upserts commute, so that topics may be read in any order, and a row that comes twice changes nothing. Rows go in
//! sorted by key: two recorders that touch the same runs take their locks in the same order.

pub(crate) mod attempts;
pub(crate) mod audit;
pub(crate) mod dead_letters;
pub(crate) mod gaps;
pub(crate) mod positions;
pub(crate) mod quarantine;
pub(crate) mod runs;

use chrono::{DateTime, Utc};
use schemas::Timestamp;

use crate::failure::Failure;

/// One column of a batch.
pub(crate) fn column<'r, R, T>(rows: &'r [R], value: impl FnMut(&'r R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

/// A column of dates; one that no calendar can say is the row's fault.
pub(crate) fn dates<'r, R>(
    rows: &'r [R],
    mut value: impl FnMut(&'r R) -> Timestamp,
) -> Result<Vec<DateTime<Utc>>, Failure> {
    rows.iter().map(|row| date(value(row))).collect()
}

pub(crate) fn optional_dates<'r, R>(
    rows: &'r [R],
    mut value: impl FnMut(&'r R) -> Option<Timestamp>,
) -> Result<Vec<Option<DateTime<Utc>>>, Failure> {
    rows.iter().map(|row| value(row).map(date).transpose()).collect()
}

fn date(at: Timestamp) -> Result<DateTime<Utc>, Failure> {
    at.to_utc().ok_or_else(|| Failure::Row(format!("{at} is no date")))
}

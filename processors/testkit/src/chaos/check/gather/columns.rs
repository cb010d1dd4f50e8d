//! The fingerprint of a row: taken of a record's fields and of Postgres' columns alike, in the same order.

use std::hash::{DefaultHasher, Hash, Hasher};

use anyhow::bail;
use sqlx::{Column, Row, TypeInfo, postgres::PgRow};

#[derive(Default)]
pub(super) struct Columns(DefaultHasher);

impl Columns {
    /// As Postgres can hold it.
    pub(super) fn text<'t>(mut self, text: impl Into<Option<&'t str>>) -> Self {
        let text = text.into().map(|text| text.replace('\0', "\u{fffd}"));
        text.as_deref().hash(&mut self.0);
        self
    }

    pub(super) fn number(mut self, number: impl Into<Option<i64>>) -> Self {
        number.into().hash(&mut self.0);
        self
    }

    pub(super) fn bytes(mut self, bytes: Option<&[u8]>) -> Self {
        bytes.hash(&mut self.0);
        self
    }

    pub(super) fn fingerprint(self) -> u64 {
        self.0.finish()
    }

    /// Of the columns from `first` on: text, bigint or bytea.
    pub(super) fn of_row(row: &PgRow, first: usize) -> anyhow::Result<u64> {
        let mut columns = Self::default();
        for column in row.columns().iter().skip(first) {
            let at = column.ordinal();
            columns = match column.type_info().name() {
                "TEXT" => columns.text(row.try_get::<Option<&str>, _>(at)?),
                "INT8" => columns.number(row.try_get::<Option<i64>, _>(at)?),
                "BYTEA" => columns.bytes(row.try_get::<Option<&[u8]>, _>(at)?),
                other => bail!("the column {} is of type {other}", column.name()),
            };
        }
        Ok(columns.fingerprint())
    }
}

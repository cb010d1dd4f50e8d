use sqlx::PgConnection;
use topics::Record;

use super::column;
use crate::{entry::headers_json, failure::Failure};

/// A record that no table takes, and why.
pub(crate) struct Quarantined<'e> {
    pub record: &'e Record,
    pub reason: &'e str,
}

pub(crate) async fn insert(connection: &mut PgConnection, rows: &[Quarantined<'_>]) -> Result<(), Failure> {
    sqlx::query(
        r#"INSERT INTO quarantine (topic, "partition", "offset", key, value, headers, reason)
           SELECT * FROM UNNEST($1::text[], $2::int[], $3::bigint[], $4::bytea[], $5::bytea[], $6::text[], $7::text[])
           ON CONFLICT DO NOTHING"#,
    )
    .bind(column(rows, |row| row.record.topic.to_string()))
    .bind(column(rows, |row| row.record.partition))
    .bind(column(rows, |row| row.record.offset))
    .bind(column(rows, |row| row.record.key.as_deref()))
    .bind(column(rows, |row| row.record.value.as_deref()))
    .bind(column(rows, |row| headers_json(row.record.headers.iter())))
    .bind(column(rows, |row| row.reason))
    .execute(connection)
    .await?;
    Ok(())
}

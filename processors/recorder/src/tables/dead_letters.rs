use schemas::DeadLetter;
use sqlx::PgConnection;

use super::{column, dates};
use crate::{entry::header_list, failure::Failure};

pub(crate) async fn insert(connection: &mut PgConnection, rows: &[&DeadLetter]) -> Result<(), Failure> {
    sqlx::query(
        r#"INSERT INTO dead_letters (tenant, request_id, topic, "partition", "offset", accepted_at, key, value, headers,
               class, message, chain, failed_at)
           SELECT * FROM UNNEST($1::text[], $2::text[], $3::text[], $4::int[], $5::bigint[], $6::timestamptz[],
               $7::bytea[], $8::bytea[], $9::text[], $10::text[], $11::text[], $12::text[], $13::timestamptz[])
           ON CONFLICT DO NOTHING"#,
    )
    .bind(column(rows, |row| row.tenant.as_str()))
    .bind(column(rows, |row| row.request_id.as_str()))
    .bind(column(rows, |row| row.topic.as_str()))
    .bind(column(rows, |row| row.partition))
    .bind(column(rows, |row| row.offset))
    .bind(dates(rows, |row| row.accepted_at)?)
    .bind(column(rows, |row| row.key.as_deref()))
    .bind(column(rows, |row| row.value.as_deref()))
    .bind(column(rows, |row| {
        header_list(
            row.headers
                .iter()
                .map(|header| (header.name.as_str(), header.value.as_deref())),
        )
    }))
    .bind(column(rows, |row| row.class.as_str()))
    .bind(column(rows, |row| row.message.as_str()))
    .bind(column(rows, |row| row.chain.as_deref()))
    .bind(dates(rows, |row| row.failed_at)?)
    .execute(connection)
    .await?;
    Ok(())
}

use schemas::DeadLetter;
use serde_json::json;
use sqlx::PgConnection;

use super::{column, dates};
use crate::{entry::headers_json, failure::Failure};

pub(crate) struct Letter<'e> {
    pub letter: &'e DeadLetter,
    pub mended: Option<&'e str>,
}

pub(crate) async fn insert(connection: &mut PgConnection, rows: &[Letter<'_>]) -> Result<(), Failure> {
    sqlx::query(
        r#"INSERT INTO dead_letters (tenant, request_id, topic, "partition", "offset", accepted_at, key, value, headers,
               class, message, chain, failed_at, left_out, mended)
           SELECT tenant, request_id, topic, "partition", "offset", accepted_at, key, value, headers,
               class, message, chain, failed_at, left_out, string_to_array(mended, ',')
           FROM UNNEST($1::text[], $2::text[], $3::text[], $4::int[], $5::bigint[], $6::timestamptz[],
               $7::bytea[], $8::bytea[], $9::text[], $10::text[], $11::text[], $12::text[], $13::timestamptz[], $14::text[],
               $15::text[])
               AS input (tenant, request_id, topic, "partition", "offset", accepted_at, key, value, headers,
               class, message, chain, failed_at, left_out, mended)
           ON CONFLICT DO NOTHING"#,
    )
    .bind(column(rows, |row| row.letter.tenant.as_str()))
    .bind(column(rows, |row| row.letter.request_id.as_str()))
    .bind(column(rows, |row| row.letter.topic.as_str()))
    .bind(column(rows, |row| row.letter.partition))
    .bind(column(rows, |row| row.letter.offset))
    .bind(dates(rows, |row| row.letter.accepted_at)?)
    .bind(column(rows, |row| row.letter.key.as_deref()))
    .bind(column(rows, |row| row.letter.value.as_deref()))
    .bind(column(rows, |row| {
        let headers = row.letter.headers.iter();
        headers_json(headers.map(|header| (header.raw_name(), header.value.as_deref())))
    }))
    .bind(column(rows, |row| row.letter.class.as_str()))
    .bind(column(rows, |row| row.letter.message.as_str()))
    .bind(column(rows, |row| row.letter.chain.as_deref()))
    .bind(dates(rows, |row| row.letter.failed_at)?)
    .bind(column(rows, |row| json!(row.letter.left_out).to_string()))
    .bind(column(rows, |row| row.mended))
    .execute(connection)
    .await?;
    Ok(())
}

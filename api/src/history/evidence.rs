//! Where the records of a run lie, and the record that could not be processed.

use base64::{Engine, engine::general_purpose::STANDARD};
use schemas::Timestamp;
use serde::Serialize;
use serde_json::Value;
use sqlx::{Row, postgres::PgRow};

use super::History;
use crate::{
    problem::Problem,
    ring::RunKey,
    run::{self, rfc_3339_of},
};

/// A place in Kafka, and what lies there: `RecordPlace` of `schemas/openapi.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RecordPlace {
    pub what: String,
    #[serde(flatten)]
    pub place: Place,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt_id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Place {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
}

impl Place {
    /// From `topic/partition/offset`.
    pub fn parse(src: &str) -> Option<Self> {
        let (rest, offset) = src.rsplit_once('/')?;
        let (topic, partition) = rest.rsplit_once('/')?;
        Some(Self {
            topic: topic.to_owned(),
            partition: partition.parse().ok()?,
            offset: offset.parse().ok()?,
        })
    }
}

/// `DeadLetter` of `schemas/openapi.json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct DeadLetter {
    run_id: String,
    tenant: String,
    #[serde(flatten)]
    place: Place,
    #[serde(serialize_with = "rfc_3339_of")]
    accepted_at: Timestamp,
    #[serde(serialize_with = "rfc_3339_of")]
    failed_at: Timestamp,
    class: String,
    message: String,
    chain: Option<String>,
    key: Option<String>,
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_text: Option<String>,
    value_bytes: usize,
    headers: Value,
    left_out: Value,
}

const RECORDS: &str = r#"
    WITH run AS (SELECT * FROM run_index WHERE tenant = $1 AND request_id = $2)
    SELECT 'request' AS what, request_src AS src, NULL AS "partition", NULL AS "offset", NULL AS attempt_id, 0 AS place
    FROM runs JOIN run USING (tenant, request_id, accepted_at) WHERE request_src IS NOT NULL
    UNION ALL
    SELECT 'result', NULL, result_partition, result_offset, NULL, 1
    FROM runs JOIN run USING (tenant, request_id, accepted_at) WHERE result_offset IS NOT NULL
    UNION ALL
    SELECT kind, NULL, topic_partition, topic_offset, attempt_id, 2
    FROM audit JOIN run USING (tenant, request_id, accepted_at)
    UNION ALL
    SELECT 'dead_letter', topic, "partition", "offset", NULL, 3
    FROM dead_letters JOIN run USING (tenant, request_id, accepted_at)
    ORDER BY place, "partition", "offset""#;

const DEAD_LETTER: &str = r#"
    SELECT d.*, (extract(epoch FROM d.accepted_at) * 1000000)::bigint AS accepted_us,
           (extract(epoch FROM d.failed_at) * 1000000)::bigint AS failed_us
    FROM dead_letters d JOIN run_index USING (tenant, request_id, accepted_at)
    WHERE tenant = $1 AND request_id = $2 ORDER BY topic, "partition", "offset" LIMIT 1"#;

impl History {
    /// Where the records of a run lie.
    ///
    /// # Errors
    /// 503 when Postgres cannot be read.
    pub async fn records(&self, run: &RunKey) -> Result<Vec<RecordPlace>, Problem> {
        let rows = sqlx::query(RECORDS)
            .bind(&run.tenant)
            .bind(&run.request_id)
            .fetch_all(&self.pool)
            .await;
        let places = rows.and_then(|rows| rows.iter().map(|row| self.place(row)).collect::<Result<Vec<_>, _>>());
        Ok(self.told(places).await?.into_iter().flatten().collect())
    }

    fn place(&self, row: &PgRow) -> Result<Option<RecordPlace>, sqlx::Error> {
        let what: String = row.try_get("what")?;
        let src: Option<String> = row.try_get("src")?;
        let at = |topic: String| {
            Ok::<_, sqlx::Error>(Some(Place {
                topic,
                partition: row.try_get("partition")?,
                offset: row.try_get("offset")?,
            }))
        };
        let place = match (what.as_str(), src) {
            ("request", Some(src)) => Place::parse(&src),
            (_, Some(topic)) => at(topic)?,
            ("result", None) => at(self.results_topic.to_string())?,
            (_, None) => at(self.audit_topic.to_string())?,
        };
        let attempt_id = row.try_get("attempt_id")?;
        Ok(place.map(|place| RecordPlace {
            what,
            place,
            attempt_id,
        }))
    }

    /// # Errors
    /// 503 when Postgres cannot be read.
    pub async fn dead_letter(&self, run: &RunKey) -> Result<Option<DeadLetter>, Problem> {
        let row = sqlx::query(DEAD_LETTER)
            .bind(&run.tenant)
            .bind(&run.request_id)
            .fetch_optional(&self.pool)
            .await;
        let letter = row.and_then(|row| row.as_ref().map(dead_letter).transpose());
        self.told(letter).await
    }
}

fn dead_letter(row: &PgRow) -> Result<DeadLetter, sqlx::Error> {
    let (key, value): (Option<Vec<u8>>, Option<Vec<u8>>) = (row.try_get("key")?, row.try_get("value")?);
    let base64 = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|bytes| STANDARD.encode(bytes));
    let text = |bytes: &Option<Vec<u8>>| String::from_utf8(bytes.clone()?).ok();
    Ok(DeadLetter {
        run_id: row.try_get("request_id")?,
        tenant: row.try_get("tenant")?,
        place: Place {
            topic: row.try_get("topic")?,
            partition: row.try_get("partition")?,
            offset: row.try_get("offset")?,
        },
        accepted_at: Timestamp(row.try_get("accepted_us")?),
        failed_at: Timestamp(row.try_get("failed_us")?),
        class: row.try_get("class")?,
        message: row.try_get("message")?,
        chain: row.try_get("chain")?,
        key: base64(&key),
        key_text: text(&key),
        value_bytes: value.as_ref().map_or(0, Vec::len),
        value_text: text(&value),
        value: base64(&value),
        headers: run::json(row.try_get("headers")?),
        left_out: run::json(row.try_get("left_out")?),
    })
}

//! Results that have left the ring, for a reader of the feed that was away for long.

use schemas::{RunError, RunResult, Timestamp, Timings, Usage};
use sqlx::{Row as _, postgres::PgRow};

use super::History;
use crate::{feed::Row, problem::Problem};

/// A reader that missed more than this looks at `GET /runs` instead.
const MOST: i64 = 500;

/// The results of one partition from an offset up to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub partition: i32,
    pub from: i64,
    pub to: i64,
}

/// A result and where it lies.
pub(crate) struct Replayed {
    pub partition: i32,
    pub offset: i64,
    pub row: Row,
}

/// Parameters: topic, partitions, ends.
const RECORDED: &str = r#"
    SELECT coalesce(bool_and(position.next_offset >= stretch.upto), false)
    FROM UNNEST($2::int[], $3::bigint[]) AS stretch (part, upto)
    LEFT JOIN consumer_positions position ON position.topic = $1 AND position."partition" = stretch.part"#;

/// Parameters: tenant, partitions, begins, ends, how many. In the order of their completion, as far as the order within a
/// partition allows: whoever breaks off goes on after what was seen last.
const SELECT: &str = "
    SELECT request_id, tenant, turn, coalesce(result_src, '') AS src, chain, status, left(output, 4000) AS output,
           error_class, error_message, error_step, input_tokens, output_tokens, cost_nanos, queued_us, ran_us, attempts,
           (extract(epoch FROM accepted_at) * 1000000)::bigint AS accepted_us,
           (extract(epoch FROM completed_at) * 1000000)::bigint AS completed_us, result_partition, result_offset
    FROM UNNEST($2::int[], $3::bigint[], $4::bigint[]) AS stretch (part, since, upto)
    JOIN runs ON result_partition = part AND result_offset >= since AND result_offset < upto
    WHERE tenant = $1
    ORDER BY max(completed_at) OVER (PARTITION BY result_partition ORDER BY result_offset), result_partition, result_offset
    LIMIT $5";

impl History {
    /// The results of a tenant in these stretches, without their keys, which are not recorded. `None` when not all of them
    /// are recorded yet, or there are too many.
    ///
    /// # Errors
    /// 503 when Postgres cannot be read.
    pub async fn replay(&self, tenant: &str, stretches: &[Stretch]) -> Result<Option<Vec<Replayed>>, Problem> {
        self.told(self.read(tenant, stretches).await).await
    }

    async fn read(&self, tenant: &str, stretches: &[Stretch]) -> Result<Option<Vec<Replayed>>, sqlx::Error> {
        let partitions: Vec<i32> = stretches.iter().map(|stretch| stretch.partition).collect();
        let begins: Vec<i64> = stretches.iter().map(|stretch| stretch.from).collect();
        let ends: Vec<i64> = stretches.iter().map(|stretch| stretch.to).collect();
        let recorded: bool = sqlx::query_scalar(RECORDED)
            .bind(&*self.results_topic)
            .bind(&partitions)
            .bind(&ends)
            .fetch_one(&self.pool)
            .await?;
        if !recorded {
            return Ok(None);
        }
        let rows = sqlx::query(SELECT)
            .bind(tenant)
            .bind(&partitions)
            .bind(&begins)
            .bind(&ends)
            .bind(MOST + 1)
            .fetch_all(&self.pool)
            .await?;
        if rows.len() as i64 > MOST {
            return Ok(None);
        }
        rows.iter().map(replayed).collect::<Result<_, _>>().map(Some)
    }
}

fn replayed(row: &PgRow) -> Result<Replayed, sqlx::Error> {
    let number = |column| Ok::<i64, sqlx::Error>(row.try_get::<Option<i64>, _>(column)?.unwrap_or_default());
    let error = match row.try_get("error_class")? {
        Some(class) => Some(RunError {
            class,
            message: row.try_get::<Option<String>, _>("error_message")?.unwrap_or_default(),
            step: row.try_get("error_step")?,
        }),
        None => None,
    };
    let result = RunResult {
        request_id: row.try_get("request_id")?,
        tenant: row.try_get("tenant")?,
        turn: row.try_get("turn")?,
        src: row.try_get("src")?,
        accepted_at: Timestamp(row.try_get("accepted_us")?),
        completed_at: Timestamp(number("completed_us")?),
        chain: row.try_get("chain")?,
        status: row.try_get("status")?,
        output: row.try_get("output")?,
        error,
        usage: Usage {
            input_tokens: number("input_tokens")?,
            output_tokens: number("output_tokens")?,
            source: String::new(),
        },
        cost: schemas::Money(number("cost_nanos")?),
        timings: Timings {
            queued_us: number("queued_us")?,
            ran_us: number("ran_us")?,
        },
        attempts: row.try_get::<Option<i32>, _>("attempts")?.unwrap_or_default(),
        state: None,
    };
    let (partition, offset) = (row.try_get("result_partition")?, row.try_get("result_offset")?);
    Ok(Replayed {
        partition,
        offset,
        row: Row::of((partition, offset), None, result).map_err(|error| sqlx::Error::Decode(error.into()))?,
    })
}

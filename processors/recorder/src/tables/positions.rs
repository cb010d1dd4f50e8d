//! Which record of each partition is next, moved by compare-and-set: whoever moves a position owns what lies before it.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{PgConnection, PgPool, Row};
use topics::TopicPartition;

use super::column;
use crate::failure::Failure;

/// A position that is to be moved.
pub(crate) struct Move {
    pub partition: TopicPartition,
    /// None: nothing of it was ever recorded.
    pub from: Option<i64>,
    pub to: i64,
}

pub(crate) async fn load(
    pool: &PgPool,
    partitions: &[TopicPartition],
) -> Result<BTreeMap<TopicPartition, i64>, sqlx::Error> {
    let rows = sqlx::query(
        r#"SELECT topic, "partition", next_offset FROM consumer_positions
           JOIN UNNEST($1::text[], $2::int[]) AS wanted (topic, "partition") USING (topic, "partition")"#,
    )
    .bind(column(partitions, |partition| partition.topic.to_string()))
    .bind(column(partitions, |partition| partition.partition))
    .fetch_all(pool)
    .await?;
    rows.iter()
        .map(|row| {
            Ok((
                TopicPartition::new(row.try_get::<&str, _>(0)?, row.try_get(1)?),
                row.try_get(2)?,
            ))
        })
        .collect()
}

/// # Errors
/// [`Failure::Lost`] with the partitions whose position is not where this recorder left it.
pub(crate) async fn advance(connection: &mut PgConnection, moves: &[Move]) -> Result<(), Failure> {
    let moved = sqlx::query(
        r#"WITH move AS (
               SELECT * FROM UNNEST($1::text[], $2::int[], $3::bigint[], $4::bigint[])
                   AS move (topic, "partition", from_offset, to_offset)
           ), moved AS (
               UPDATE consumer_positions AS position SET next_offset = move.to_offset FROM move
               WHERE position.topic = move.topic AND position."partition" = move."partition"
                 AND position.next_offset = move.from_offset
               RETURNING position.topic, position."partition"
           ), first AS (
               INSERT INTO consumer_positions (topic, "partition", next_offset)
               SELECT topic, "partition", to_offset FROM move WHERE from_offset IS NULL
               ON CONFLICT DO NOTHING
               RETURNING topic, "partition"
           )
           SELECT * FROM moved UNION ALL SELECT * FROM first"#,
    )
    .bind(column(moves, |step| step.partition.topic.to_string()))
    .bind(column(moves, |step| step.partition.partition))
    .bind(column(moves, |step| step.from))
    .bind(column(moves, |step| step.to))
    .fetch_all(connection)
    .await?;
    let moved: BTreeSet<TopicPartition> = moved
        .iter()
        .map(|row| Ok(TopicPartition::new(row.try_get::<&str, _>(0)?, row.try_get(1)?)))
        .collect::<Result<_, sqlx::Error>>()?;
    let lost: Vec<_> = moves
        .iter()
        .map(|step| &step.partition)
        .filter(|partition| !moved.contains(partition))
        .cloned()
        .collect();
    if lost.is_empty() {
        Ok(())
    } else {
        Err(Failure::Lost(lost))
    }
}

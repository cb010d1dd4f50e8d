use sqlx::PgConnection;
use topics::TopicPartition;

/// Offsets of a partition that were deleted before they were recorded.
pub(crate) struct Gap {
    pub partition: TopicPartition,
    /// The first one.
    pub from: i64,
    /// Where the log begins now.
    pub to: i64,
    pub log_end: i64,
}

pub(crate) async fn insert(connection: &mut PgConnection, gap: &Gap) -> Result<(), sqlx::Error> {
    sqlx::query(
        r#"INSERT INTO gaps (topic, "partition", from_offset, to_offset, log_end) VALUES ($1, $2, $3, $4, $5)
           ON CONFLICT DO NOTHING"#,
    )
    .bind(&*gap.partition.topic)
    .bind(gap.partition.partition)
    .bind(gap.from)
    .bind(gap.to)
    .bind(gap.log_end)
    .execute(connection)
    .await?;
    Ok(())
}

/// How many nobody has accepted.
pub(crate) async fn open(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT count(*) FROM gaps WHERE accepted_at IS NULL")
        .fetch_one(connection)
        .await
}

//! Everything is whole again: what was asked must be answered, and what was answered must be in Postgres.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::bail;
use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use tokio::time::sleep;

use crate::world::World;

/// Without one more result. Longer than several of the slowest calls: those of one key follow each other, and a key may have
/// drawn many, so how long all of it takes has no useful bound.
const SILENT: Duration = Duration::from_secs(120);
/// Generous: the recorder may have to work off a backlog on a busy machine.
const WITHIN: Duration = Duration::from_secs(240);
const SAY_EVERY: Duration = Duration::from_secs(5);
/// The acknowledgements are read with a little delay.
const SETTLED: Duration = Duration::from_secs(1);

/// Every acknowledged request has a result that the reader saw. What is missing in the end is for the judge.
pub async fn results(world: &World) -> anyhow::Result<()> {
    sleep(SETTLED).await;
    let (began, mut said) = (Instant::now(), Instant::now());
    let (mut fewest, mut progressed) = (None, began);
    loop {
        let (acknowledged, waiting) = world.board.counts();
        if fewest.is_none_or(|fewest| waiting < fewest) {
            (fewest, progressed) = (Some(waiting), Instant::now());
        }
        if waiting == 0 {
            tracing::info!(acknowledged, after = ?began.elapsed(), "everything is answered");
            return Ok(());
        }
        if progressed.elapsed() > SILENT {
            let some = world.board.some_waiting();
            tracing::error!(waiting, ?some, "no result for {SILENT:?}; the judge will say more");
            return Ok(());
        }
        if said.elapsed() > SAY_EVERY {
            tracing::info!(acknowledged, waiting, "waiting for results");
            said = Instant::now();
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// The recorder has passed every result, and every request that was acknowledged.
pub async fn postgres(world: &World) -> anyhow::Result<()> {
    let options: PgConnectOptions = world.plan.postgres_url.parse()?;
    let mut connection: PgConnection = options.disable_statement_logging().connect().await?;
    let (began, mut said) = (Instant::now(), Instant::now());
    loop {
        let positions: BTreeMap<(String, i32), i64> = positions(&mut connection).await?;
        let mut ends = world.board.ends().into_iter();
        let behind = ends.find_map(|(topic, partition, end)| {
            let place = (topic, partition);
            let at = positions.get(&place).copied().unwrap_or_default();
            (at < end).then(|| format!("{}/{partition}: recorded up to {at} of {end}", place.0))
        });
        let Some(behind) = behind else {
            tracing::info!(after = ?began.elapsed(), "everything is recorded");
            connection.close().await?;
            return Ok(());
        };
        if began.elapsed() > WITHIN {
            bail!("Postgres is behind after {WITHIN:?}, {behind}; is the recorder alive?");
        }
        if said.elapsed() > SAY_EVERY {
            tracing::info!(behind, "waiting for the recorder");
            said = Instant::now();
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// By topic and partition: what the recorder reads next.
pub async fn positions(connection: &mut PgConnection) -> anyhow::Result<BTreeMap<(String, i32), i64>> {
    let asked = r#"SELECT topic, "partition", next_offset FROM consumer_positions"#;
    let rows: Vec<(String, i32, i64)> = sqlx::query_as(asked).fetch_all(connection).await?;
    let positions = rows.into_iter();
    Ok(positions
        .map(|(topic, partition, next)| ((topic, partition), next))
        .collect())
}

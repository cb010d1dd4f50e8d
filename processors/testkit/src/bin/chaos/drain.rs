//! Everything is whole again: what was asked must be answered, and what was answered must be in Postgres.

use std::time::{Duration, Instant};

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

/// The recorder has written every result.
pub async fn postgres(world: &World) -> anyhow::Result<()> {
    let options: PgConnectOptions = world.plan.postgres_url.parse()?;
    let mut connection: PgConnection = options.disable_statement_logging().connect().await?;
    let (began, mut said) = (Instant::now(), Instant::now());
    loop {
        let results = i64::try_from(world.board.results())?;
        let count = "SELECT count(*) FROM runs WHERE status IN ('completed', 'failed', 'cancelled')";
        let recorded: i64 = sqlx::query_scalar(count).fetch_one(&mut connection).await?;
        if recorded >= results {
            tracing::info!(recorded, after = ?began.elapsed(), "everything is recorded");
            connection.close().await?;
            return Ok(());
        }
        if began.elapsed() > WITHIN {
            bail!("{recorded} of {results} results are in Postgres after {WITHIN:?}; is the recorder alive?");
        }
        if said.elapsed() > SAY_EVERY {
            tracing::info!(recorded, results, "waiting for the recorder");
            said = Instant::now();
        }
        sleep(Duration::from_millis(200)).await;
    }
}

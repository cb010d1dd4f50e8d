//! What an operator would be told about paid calls without an outcome.

use anyhow::ensure;
use tokio::process::Command;

use crate::world::World;

/// How many `millrace audit unresolved` lists, when all processes have ended and Postgres has everything.
pub async fn unresolved(world: &World) -> anyhow::Result<u64> {
    let output = Command::new(&world.program)
        .args(["audit", "unresolved", "--json"])
        .envs(world.environment.iter().map(|(name, value)| (name, value)))
        .env("MILLRACE_POSTGRES__URL", &world.plan.postgres_url)
        .output()
        .await?;
    ensure!(
        output.status.success(),
        "millrace audit unresolved failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .count() as u64)
}

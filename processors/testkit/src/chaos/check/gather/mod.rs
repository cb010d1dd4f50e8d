//! What there is to know about a run, from everybody who cannot lie about it, and from the workers who might.

mod columns;
mod committed;
mod files;
mod patience;
mod records;
mod scan;
mod tables;

use std::fs;

use anyhow::Context;
use schemas::{Attempt, Audit, DeadLetter, Registry, RegistrySettings, RunResult, Shape};

use super::evidence::{Evidence, Logs};
use crate::chaos::{Plan, RunFolder};

pub use scan::{Isolation, Scanned, scan};

/// Reads everything. The run must be over, and the recorder at the end of its topics. Whoever does not answer is asked
/// again for a minute.
///
/// # Errors
/// What cannot be read: then there is no verdict.
pub async fn gather(folder: &RunFolder, isolation: Isolation) -> anyhow::Result<Evidence> {
    let path = folder.plan();
    let plan = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let plan: Plan = serde_json::from_slice(&plan).with_context(|| format!("{} is no plan", path.display()))?;
    let committed = async {
        let mut committed = Vec::new();
        for topic in &plan.request_topics {
            committed.extend(committed::committed(&plan, topic).await?);
        }
        anyhow::Ok(committed)
    };
    // side by side: what hangs is waited for once
    let (committed, logs) = tokio::try_join!(committed, logs(&plan, isolation))?;
    let tables = patience::patiently("Postgres", async || tables::read(&plan.postgres_url).await).await?;
    let mut evidence = Evidence {
        committed,
        logs,
        tables,
        ..Evidence::default()
    };
    files::read(folder, &mut evidence)?;
    Ok(evidence)
}

async fn logs(plan: &Plan, isolation: Isolation) -> anyhow::Result<Logs> {
    let registry = Registry::new(&RegistrySettings {
        url: plan.registry_url.clone(),
        username: None,
        password: None,
    })?;
    let mut logs = Logs::default();
    let requests = records::Requests::new(&registry, &plan.prefix)?;
    for topic in &plan.request_topics {
        let ends = scan(&plan.bootstrap, topic, isolation, async |record| {
            logs.requests.push(requests.read(topic, &record).await?);
            Ok(())
        });
        let ends = ends.await?;
        logs.ends.extend(ends);
    }
    let own = Own {
        plan,
        registry: &registry,
        isolation,
    };
    let mut results = Vec::new();
    own.read("results", &mut logs, |record, result: RunResult| {
        results.push(records::result(record, &result));
    })
    .await?;
    let mut audit = Vec::new();
    own.read("audit", &mut logs, |record, row: Audit| {
        audit.push(records::audit(record, &row));
    })
    .await?;
    let mut attempts = Vec::new();
    own.read("attempts", &mut logs, |record, attempt: Attempt| {
        attempts.push(records::attempt(record, attempt));
    })
    .await?;
    let mut dead_letters = Vec::new();
    own.read("dead-letters", &mut logs, |record, letter: DeadLetter| {
        dead_letters.push(records::dead_letter(record, letter));
    })
    .await?;
    Ok(Logs {
        results,
        audit,
        attempts,
        dead_letters,
        ..logs
    })
}

/// The topics that Millrace writes.
struct Own<'a> {
    plan: &'a Plan,
    registry: &'a Registry,
    isolation: Isolation,
}

impl Own<'_> {
    async fn read<S: Shape>(
        &self,
        name: &str,
        logs: &mut Logs,
        mut keep: impl FnMut(&Scanned, S),
    ) -> anyhow::Result<()> {
        let topic = format!("{}{name}", self.plan.prefix);
        let decoder = self.registry.decoder::<S>()?;
        let ends = scan(&self.plan.bootstrap, &topic, self.isolation, async |record| {
            match records::decode(&decoder, &record).await? {
                Ok(value) => keep(&record, value),
                Err(error) => {
                    let place = format!("{topic}/{}/{}", record.partition, record.offset);
                    logs.unreadable.push((place, error.to_string()));
                }
            }
            Ok(())
        });
        let ends = ends.await?;
        logs.ends.extend(ends);
        Ok(())
    }
}

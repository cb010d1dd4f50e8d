//! What there is to know about a run, from everybody who cannot lie about it, and from the workers who might.

mod archive;
mod columns;
mod committed;
mod files;
mod patience;
mod records;
mod scan;
mod tables;

use std::{collections::HashMap, fs};

use anyhow::Context;
use schemas::{Attempt, Audit, DeadLetter, Registry, RegistrySettings, RunResult, Shape};

use super::evidence::{Evidence, LogEnd, Logs};
use crate::chaos::{Plan, RunFolder};

pub use archive::{Archived, archive};
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
    let (committed, logs) = tokio::try_join!(committed, logs(folder, &plan, isolation))?;
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

async fn logs(folder: &RunFolder, plan: &Plan, isolation: Isolation) -> anyhow::Result<Logs> {
    let registry = Registry::new(&RegistrySettings {
        url: plan.registry_url.clone(),
        username: None,
        password: None,
    })?;
    let mut logs = Logs::default();
    let mut topics = Topics {
        plan,
        registry: &registry,
        isolation,
        archived: archive::read(&folder.archive())?,
    };
    logs.archived = topics.archived.values().map(|records| records.len() as u64).sum();
    let requests = records::Requests::new(&registry, &plan.prefix)?;
    for topic in &plan.request_topics {
        let ends = topics.each(topic, async |record| {
            logs.requests.push(requests.read(topic, &record).await?);
            Ok(())
        });
        let ends = ends.await?;
        logs.ends.extend(ends);
    }
    for topic in plan.emits.values() {
        // what its owner deletes is gone
        let scanned = scan(&plan.bootstrap, topic, isolation, async |record| {
            logs.emitted.push(records::emitted(topic, &record));
            Ok(())
        });
        scanned.await?;
    }
    let mut results = Vec::new();
    topics
        .own("results", &mut logs, |record, result: RunResult| {
            results.push(records::result(record, &result, &plan.emits));
        })
        .await?;
    let mut audit = Vec::new();
    topics
        .own("audit", &mut logs, |record, row: Audit| {
            audit.push(records::audit(record, &row));
        })
        .await?;
    let mut attempts = Vec::new();
    topics
        .own("attempts", &mut logs, |record, attempt: Attempt| {
            attempts.push(records::attempt(record, attempt));
        })
        .await?;
    let mut dead_letters = Vec::new();
    topics
        .own("dead-letters", &mut logs, |record, letter: DeadLetter| {
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

struct Topics<'a> {
    plan: &'a Plan,
    registry: &'a Registry,
    isolation: Isolation,
    /// By topic: what is not there any more.
    archived: HashMap<String, Vec<Scanned>>,
}

impl Topics<'_> {
    /// What was deleted first, then what is there.
    async fn each(
        &mut self,
        topic: &str,
        mut each: impl AsyncFnMut(Scanned) -> anyhow::Result<()>,
    ) -> anyhow::Result<Vec<LogEnd>> {
        let mut nexts: HashMap<i32, i64> = HashMap::new();
        for record in self.archived.remove(topic).unwrap_or_default() {
            nexts.insert(record.partition, record.offset + 1);
            each(record).await?;
        }
        let ends = scan(&self.plan.bootstrap, topic, self.isolation, async |record| {
            // it was archived, and could not be deleted
            let is_known = nexts.get(&record.partition).is_some_and(|next| record.offset < *next);
            if is_known { Ok(()) } else { each(record).await }
        });
        let mut ends = ends.await?;
        for end in &mut ends {
            end.next = end.next.max(nexts.get(&end.partition).copied().unwrap_or_default());
        }
        Ok(ends)
    }

    /// One of those that Millrace writes.
    async fn own<S: Shape>(
        &mut self,
        name: &str,
        logs: &mut Logs,
        mut keep: impl FnMut(&Scanned, S),
    ) -> anyhow::Result<()> {
        let topic = format!("{}{name}", self.plan.prefix);
        let decoder = self.registry.decoder::<S>()?;
        let ends = self.each(&topic, async |record| {
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

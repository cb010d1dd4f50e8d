//! The files of the run's folder.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;

use crate::{
    chaos::{
        RunFolder,
        check::evidence::{Acknowledged, Commit, Evidence, ProcessName, Workers},
    },
    history::{Event, HistoryError, Line, lines},
};

pub(super) fn read(folder: &RunFolder, evidence: &mut Evidence) -> anyhow::Result<()> {
    evidence.faults = lines(&folder.faults())?.collect::<Result<_, _>>()?;
    evidence.seen = lines(&folder.reader())?.collect::<Result<_, _>>()?;
    let answers = folder.http();
    if answers.exists() {
        evidence.http = lines(&answers)?.collect::<Result<_, _>>()?;
    }
    let feed = folder.feed();
    if feed.exists() {
        evidence.fed = lines(&feed)?.collect::<Result<_, _>>()?;
    }
    let decisions = folder.decisions();
    if decisions.exists() {
        evidence.decisions = lines(&decisions)?.collect::<Result<_, _>>()?;
    }
    let calls = folder.calls();
    if calls.exists() {
        evidence.calls = lines(&calls)?.collect::<Result<_, _>>()?;
    }
    for (_, path) in named(folder, "driver-")? {
        for line in lines::<Line>(&path)? {
            if let Event::Acknowledged {
                request_id,
                topic,
                partition,
                offset,
            } = line?.event
            {
                evidence.acknowledged.push(Acknowledged {
                    request_id,
                    topic,
                    partition,
                    offset,
                });
            }
        }
    }
    for (worker, path) in named(folder, "worker-")? {
        for line in lines::<Line>(&path)? {
            match line {
                Ok(line) => heard(&mut evidence.workers, &worker, line),
                // Its writer was killed in the middle of it, and the next one went on there.
                Err(error @ HistoryError::Line { .. }) => tracing::warn!(%error, "passed over"),
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

fn heard(workers: &mut Workers, worker: &str, Line { at, pid, event }: Line) {
    let process = ProcessName {
        worker: worker.to_owned(),
        pid,
    };
    match event {
        Event::Claimed {
            topic,
            partition,
            watermark,
            seq,
            map,
            writer,
        } => {
            workers.writers.insert(writer.clone(), process.clone());
            workers.commits.push(Commit {
                at,
                topic,
                partition,
                watermark,
                seq,
                map,
                writer,
                is_claim: true,
                is_release: false,
            });
        }
        Event::Committed {
            topic,
            partition,
            watermark,
            seq,
            map,
            writer,
        } => workers.commits.push(Commit {
            at,
            topic,
            partition,
            watermark,
            seq,
            map,
            writer,
            is_claim: false,
            is_release: false,
        }),
        // It is told right after the commit that it was.
        Event::Released {
            topic,
            partition,
            seq,
            writer,
            ..
        } => {
            let mut latest = workers.commits.iter_mut().rev();
            let is_it = |commit: &&mut Commit| {
                commit.seq == seq && commit.partition == partition && commit.topic == topic && commit.writer == writer
            };
            if let Some(commit) = latest.find(is_it) {
                commit.is_release = true;
            }
        }
        Event::Aborted { writer, .. } => workers.aborted.push((at, writer)),
        Event::Called { attempt_id, .. } => {
            workers.calls.insert(attempt_id, (process.clone(), at));
        }
        Event::Produced { .. } | Event::Acknowledged { .. } | Event::Dispatched { .. } => {}
    }
    workers.last_words.insert(process, at);
}

/// `PREFIXname.jsonl`: the names and the files, sorted.
fn named(folder: &RunFolder, prefix: &str) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let path: &Path = folder.path();
    let mut found = Vec::new();
    for entry in fs::read_dir(path).with_context(|| format!("cannot list {}", path.display()))? {
        let path = entry?.path();
        let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(name) = file.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(".jsonl")) {
            found.push((name.to_owned(), path));
        }
    }
    found.sort();
    Ok(found)
}

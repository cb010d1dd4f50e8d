//! Callers that invoke over HTTP and write down what they were answered.

use std::{fs::File, io::Write, sync::Arc, time::Duration};

use anyhow::Context;
use serde_json::{Value, json};
use tokio::{
    task::{JoinHandle, JoinSet},
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::world::{World, now};

pub struct Callers(JoinHandle<anyhow::Result<()>>);

impl Callers {
    /// `rate` calls a second until `end`.
    pub fn start(world: &Arc<World>, rate: u64, end: CancellationToken) -> Self {
        Self(tokio::spawn(run(Arc::clone(world), rate, end)))
    }

    /// Returns when all have their answers.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.0.await?
    }
}

async fn run(world: Arc<World>, rate: u64, end: CancellationToken) -> anyhow::Result<()> {
    let path = world.folder.http();
    let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    let file = Arc::new(file);
    let mut calls = JoinSet::new();
    let mut ticks = interval(Duration::from_secs(1) / u32::try_from(rate).unwrap_or(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut number = 0;
    while end.run_until_cancelled(ticks.tick()).await.is_some() {
        number += 1;
        calls.spawn(call(Arc::clone(&world), Arc::clone(&file), number));
    }
    while let Some(ended) = calls.join_next().await {
        ended??;
    }
    Ok(())
}

async fn call(world: Arc<World>, file: Arc<File>, number: u64) -> anyhow::Result<()> {
    /// Without an api there is no answer, and a caller asks another time.
    const PATIENCE: Duration = Duration::from_secs(30);
    let url = format!("http://{}/chains/one/invoke?wait=20s", world.api_address);
    let question = json!({"input": {"question": format!("http-{number} sure")}});
    let answer = world.http.post(url).timeout(PATIENCE).json(&question).send().await;
    // 0: none came, or not all of it
    let (mut status, mut body) = (0, Value::Null);
    if let Ok(answer) = answer {
        let said = answer.status().as_u16();
        if let Ok(whole) = answer.json().await {
            (status, body) = (said, whole);
        }
    }
    let id = [&body["metadata"]["run_id"], &body["run_id"]]
        .into_iter()
        .find_map(Value::as_str)
        .unwrap_or_default();
    if matches!(status, 200 | 504) && !id.is_empty() {
        world.board.acknowledged(id);
    }
    let line = json!({"at": now(), "request_id": id, "status": status, "body": body});
    (&*file)
        .write_all(format!("{line}\n").as_bytes())
        .context("cannot write an answer")
}

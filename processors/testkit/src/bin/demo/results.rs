//! What commits, one line a result, from `millrace tail`.

use std::{process::Stdio, time::Duration};

use anyhow::Context;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    sync::watch,
    task::JoinHandle,
    time::timeout,
};

use crate::system::System;

const PATIENCE: Duration = Duration::from_secs(10);
/// Characters of an answer that fit a terminal.
const SHOWN: usize = 100;

/// Prints results as they commit, until it is dropped: what scrolls on for ever hides what the terminal has to say.
pub struct Results {
    printing: JoinHandle<()>,
    count: watch::Receiver<usize>,
}

impl Results {
    /// Waits until so many were printed.
    pub async fn are(mut self, count: usize) {
        // Its end is the end of the tail: then there are no more.
        let _ = timeout(PATIENCE, self.count.wait_for(|printed| *printed >= count)).await;
    }
}

impl Drop for Results {
    fn drop(&mut self) {
        self.printing.abort();
    }
}

/// Returns when no result that is committed from now on can be missed.
pub async fn show(system: &System) -> anyhow::Result<Results> {
    let mut tail = system
        .command(&["tail", "results"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start millrace tail")?;
    let mut said = BufReader::new(tail.stderr.take().context("millrace tail has no output")?).lines();
    said.next_line().await?.context("millrace tail ended")?;
    let mut lines = BufReader::new(tail.stdout.take().context("millrace tail has no output")?).lines();
    let (printed, count) = watch::channel(0);
    let printing = tokio::spawn(async move {
        let _tail = (tail, said);
        while let Ok(Some(line)) = lines.next_line().await {
            if let Ok(record) = serde_json::from_str::<Value>(&line) {
                println!("  {}", render(&record));
                printed.send_modify(|printed| *printed += 1);
            }
        }
    });
    Ok(Results { printing, count })
}

fn render(record: &Value) -> String {
    let result = &record["value"];
    let micros = result["completed_at"].as_i64().zip(result["accepted_at"].as_i64());
    let took = micros.map_or(0, |(completed, accepted)| (completed - accepted) / 1_000);
    let chain = result["chain"].as_str().unwrap_or("-");
    let chain = chain.split_once('#').map_or(chain, |(chain, _)| chain);
    let said = match result["output"].as_str() {
        Some(output) => answer(output),
        None => result["error"]["message"].as_str().unwrap_or_default().to_owned(),
    };
    let said: String = said
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(SHOWN)
        .collect();
    format!(
        "{chain}  {}  {took:>4} ms  {said}",
        result["status"].as_str().unwrap_or("-")
    )
}

fn answer(output: &str) -> String {
    match serde_json::from_str::<Value>(output) {
        Ok(Value::Object(fields)) => match fields.get("answer") {
            // the local model says first that it quotes; the quote is what fits on a line
            Some(Value::String(answer)) => answer
                .split_once("> ")
                .map_or(answer.as_str(), |(_, quote)| quote)
                .to_owned(),
            _ => output.to_owned(),
        },
        _ => output.to_owned(),
    }
}

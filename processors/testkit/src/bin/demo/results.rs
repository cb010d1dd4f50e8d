//! What commits, one line a result, from `millrace tail`.

use std::process::Stdio;

use anyhow::Context;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::system::System;

/// Characters of an answer that fit a terminal.
const SHOWN: usize = 100;

/// Prints results as they commit, in the background; returns when none that is committed from now on can be missed.
pub async fn show(system: &System) -> anyhow::Result<()> {
    let mut tail = system
        .command(&["tail", "results"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start millrace tail")?;
    let mut said = BufReader::new(tail.stderr.take().context("millrace tail has no output")?).lines();
    said.next_line().await?.context("millrace tail ended")?;
    let mut lines = BufReader::new(tail.stdout.take().context("millrace tail has no output")?).lines();
    tokio::spawn(async move {
        let _tail = (tail, said);
        while let Ok(Some(line)) = lines.next_line().await {
            if let Ok(record) = serde_json::from_str::<Value>(&line) {
                println!("  {}", render(&record));
            }
        }
    });
    Ok(())
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

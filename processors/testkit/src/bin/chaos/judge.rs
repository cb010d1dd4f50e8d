//! The judge is a program of its own: here it is started, and listened to.

use std::{collections::VecDeque, fs, path::Path, process::Stdio};

use anyhow::{Context, bail};
use serde_json::Value;
use testkit::chaos::RunFolder;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::Command,
};

/// Of what it said before it ended without a verdict.
const LAST_WORDS: usize = 5;

/// Its verdict, which is kept in the folder too.
pub async fn judge(program: &Path, folder: &RunFolder) -> anyhow::Result<Value> {
    let mut command = Command::new(program);
    command.arg("--run").arg(folder.path());
    let verdict = verdict_of(command).await?;
    let path = folder.path().join("verdict.json");
    fs::write(&path, verdict.to_string()).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(verdict)
}

/// What it says meanwhile is passed on.
async fn verdict_of(mut command: Command) -> anyhow::Result<Value> {
    let piped = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut judge = piped.kill_on_drop(true).spawn().context("cannot start the judge")?;
    let says = judge.stderr.take().context("the judge has no stderr")?;
    let (ended, last_words) = tokio::join!(judge.wait_with_output(), pass_on(says));
    let ended = ended.context("cannot wait for the judge")?;
    let said = String::from_utf8_lossy(&ended.stdout);
    match said.lines().last().map(serde_json::from_str) {
        Some(Ok(verdict)) => Ok(verdict),
        Some(Err(_)) | None => bail!(
            "the judge gave no verdict ({}): {}",
            ended.status,
            last_words.join("\n")
        ),
    }
}

/// Returns the last lines.
async fn pass_on(says: impl AsyncRead + Unpin) -> Vec<String> {
    let (mut lines, mut last) = (BufReader::new(says).lines(), VecDeque::new());
    while let Ok(Some(line)) = lines.next_line().await {
        eprintln!("{line}");
        last.push_back(line);
        if last.len() > LAST_WORDS {
            last.pop_front();
        }
    }
    last.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn a_verdict_is_the_last_line() {
        let judge = program(r#"echo 1 of 2 >&2; echo; echo '{"lost": 0}'; exit 1"#);
        assert_eq!(verdict_of(judge).await.unwrap()["lost"], 0);
    }

    #[tokio::test]
    async fn without_a_verdict_there_is_the_reason() {
        let error = verdict_of(program("echo the registry is away >&2; exit 2")).await;
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("exit status: 2") && error.contains("the registry is away"),
            "{error}"
        );
    }
}

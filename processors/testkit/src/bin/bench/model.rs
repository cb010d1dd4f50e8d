use std::path::Path;
use std::time::Duration;

use testkit::scripted::Summary;
use testkit::{Latency, Launch, Process, Script, binary};

/// The scripted model in a process of its own, so that its CPU and memory are nobody else's.
pub struct Model {
    pub url: String,
    http: reqwest::Client,
    _process: Process,
}

impl Model {
    /// Files go to `folder`.
    pub async fn start(folder: &Path, call_ms: u64) -> anyhow::Result<Self> {
        let script = Script {
            list_calls: false,
            ..Script::after(Latency::Fixed { ms: call_ms })
        };
        let path = folder.join("script.yaml");
        std::fs::write(&path, serde_yaml_ng::to_string(&script)?)?;
        let program = tokio::task::spawn_blocking(|| binary("scripted-model")).await??;
        let launch = Launch::new("scripted-model", program, folder.join("model.log"));
        let mut process = launch.args(["--script".as_ref(), path.as_os_str()]).start()?;
        let line = process.line("listening on ", Duration::from_secs(10)).await?;
        Ok(Self {
            url: line.trim_start_matches("listening on ").to_owned(),
            http: reqwest::Client::builder().no_proxy().build()?,
            _process: process,
        })
    }

    pub async fn summary(&self) -> anyhow::Result<Summary> {
        let url = format!("{}/control/summary", self.url.trim_end_matches("/v1"));
        Ok(self.http.get(url).send().await?.error_for_status()?.json().await?)
    }
}

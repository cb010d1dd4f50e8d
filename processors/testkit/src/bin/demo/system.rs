//! The parts, the twin and one process with every role.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use testkit::{Launch, OwnParts, Parts, PartsConfig, Ports, Process, parts::free_port_preferably, until};
use tokio::process::Command;

use crate::models;

/// Ports that a laptop rarely uses; another free one is taken where this is not so.
const KAFKA: u16 = 29092;
const REGISTRY: u16 = 28081;
const POSTGRES: u16 = 25432;
const PINECONE: u16 = 25081;
const API: u16 = 28080;

const READY_WITHIN: Duration = Duration::from_secs(60);
const STOPPED_WITHIN: Duration = Duration::from_secs(30);

pub struct System {
    parts: OwnParts,
    twin: Process,
    millrace: Process,
    http: reqwest::Client,
    pub api: String,
    pinecone: String,
    environment: Vec<(String, String)>,
    folder: PathBuf,
}

impl System {
    pub async fn start(folder: &Path) -> anyhow::Result<Self> {
        if folder.exists() {
            let is_ours = folder.join("twin.log").exists() || fs::read_dir(folder)?.next().is_none();
            anyhow::ensure!(
                is_ours,
                "{} is not empty and not of a demo; name another folder",
                folder.display()
            );
            fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let folder = folder.canonicalize()?;
        let models = models::choose(&folder)?;
        let parts = OwnParts::start(PartsConfig {
            name: "demo".to_owned(),
            ports: Ports {
                kafka: Some(free_port_preferably(KAFKA)?),
                registry: Some(free_port_preferably(REGISTRY)?),
                postgres: Some(free_port_preferably(POSTGRES)?),
            },
            ..PartsConfig::default()
        })
        .await?;
        let pinecone = format!("127.0.0.1:{}", free_port_preferably(PINECONE)?);
        let api = format!("127.0.0.1:{}", free_port_preferably(API)?);
        let mut environment = vec![
            (
                "MILLRACE_CONFIG".to_owned(),
                root().join("processors/millrace/millrace.yaml").display().to_string(),
            ),
            (
                "MILLRACE_KAFKA__BOOTSTRAP_SERVERS".to_owned(),
                parts.parts.bootstrap.clone(),
            ),
            ("MILLRACE_REGISTRY__URL".to_owned(), parts.parts.registry_url.clone()),
            ("MILLRACE_POSTGRES__URL".to_owned(), parts.parts.postgres_url.clone()),
            (
                "MILLRACE_PINECONE__CONTROL_URL".to_owned(),
                format!("http://{pinecone}"),
            ),
            ("MILLRACE_API__LISTEN".to_owned(), api.clone()),
        ];
        if let Some(models) = models {
            environment.push(("MILLRACE_MODELS".to_owned(), models.display().to_string()));
        }

        let launch = |name: &str, args: &[&str]| {
            let launch = Launch::new(name, millrace(), folder.join(format!("{name}.log")))
                .args(args)
                .folder(root());
            environment
                .iter()
                .fold(launch, |launch, (name, value)| launch.env(name, value))
        };
        let data = folder.join("pinecone").display().to_string();
        let twin = launch("twin", &["pinecone", "--listen", &pinecone, "--data", &data]).start()?;
        run(&environment, &["topics", "apply"]).await?;
        run(&environment, &["schemas", "register"]).await?;
        let millrace = launch("millrace", &["run"]).start()?;
        let mut system = Self {
            parts,
            twin,
            millrace,
            http: reqwest::Client::new(),
            api: format!("http://{api}"),
            pinecone: format!("http://{pinecone}"),
            environment,
            folder,
        };
        system.ready().await?;
        Ok(system)
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        let Self {
            http, api, millrace, ..
        } = self;
        let url = format!("{api}/readyz");
        let ready = until(READY_WITHIN, async || match millrace.running() {
            Ok(()) => http
                .get(&url)
                .send()
                .await
                .is_ok_and(|answer| answer.status().is_success())
                .then_some(Ok(())),
            Err(ended) => Some(Err(ended)),
        });
        match ready.await {
            Ok(outcome) => Ok(outcome?),
            Err(late) => {
                let said = match http.get(&url).send().await {
                    Ok(answer) => answer.text().await.unwrap_or_default(),
                    Err(error) => error.to_string(),
                };
                bail!("{url} {late}: {said}; the log is {}", self.millrace.log().display())
            }
        }
    }

    /// Sends README and the sample documents to the indexer and waits until they can be found.
    pub async fn index(&self) -> anyhow::Result<String> {
        let said = run(
            &self.environment,
            &["index", "README.md", "processors/chains/documents"],
        )
        .await?;
        let found = until(READY_WITHIN, async || {
            let answer = self.invoke(json!({"question": crate::QUESTIONS[0]})).await.ok()?;
            (!answer["output"]["documents"].as_array()?.is_empty()).then_some(())
        });
        found.await.context("the documents cannot be found in the index")?;
        Ok(said.trim().to_owned())
    }

    pub async fn ask(&self, question: &str) -> anyhow::Result<()> {
        self.invoke(json!({"question": question})).await.map(|_| ())
    }

    async fn invoke(&self, input: Value) -> anyhow::Result<Value> {
        let url = format!("{}/chains/answer/invoke", self.api);
        let answer = self.http.post(url).json(&json!({"input": input})).send().await?;
        if !answer.status().is_success() {
            bail!("{} answered {}: {}", self.api, answer.status(), answer.text().await?);
        }
        Ok(answer.json().await?)
    }

    pub fn parts(&self) -> &Parts {
        &self.parts.parts
    }

    /// A `millrace` of the same configuration.
    pub fn command(&self, args: &[&str]) -> Command {
        command(&self.environment, args)
    }

    /// Says where everything is, to people and to scripts.
    pub fn introduce(&self) -> anyhow::Result<()> {
        let parts = &self.parts.parts;
        let env = self.folder.join("env");
        let mut text = format!(
            "export API={} KAFKA={} REGISTRY={} DATABASE_URL={} PINECONE={}\n",
            self.api, parts.bootstrap, parts.registry_url, parts.postgres_url, self.pinecone
        );
        // `millrace` in that shell is the one that runs here, and means these parts.
        for (name, value) in &self.environment {
            text.push_str(&format!("export {name}={}\n", quoted(value)));
        }
        if let Some(folder) = millrace().parent() {
            text.push_str(&format!(
                "export PATH={}:$PATH\n",
                quoted(&folder.display().to_string())
            ));
        }
        fs::write(&env, text).with_context(|| format!("cannot write {}", env.display()))?;
        println!(
            "
It runs, and sample requests keep coming. Look at it in a browser:

  {api}/ui/

Ask something there, or in another terminal:

  curl -s {api}/chains/answer/invoke -H 'content-type: application/json' -d '{{\"input\": {{\"question\": \"What is a lane?\"}}}}'

  api       {api}      (GET /runs, /feed, /stats, /readyz, /metrics; all of it: /openapi.json)
  Kafka     {kafka}             (topics millrace.*)
  registry  {registry}
  Postgres  {postgres}
  Pinecone  {pinecone}      (the local twin)
  logs      {logs}
  for a shell: source {env}

Ctrl-C stops all of it.
",
            env = env.display(),
            api = self.api,
            kafka = parts.bootstrap,
            registry = parts.registry_url,
            postgres = parts.postgres_url,
            pinecone = self.pinecone,
            logs = self.folder.display(),
        );
        Ok(())
    }

    /// Returns when something ends that should run.
    pub async fn watch(&mut self) -> anyhow::Result<()> {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        loop {
            tick.tick().await;
            self.millrace.running()?;
            self.twin.running()?;
        }
    }

    pub async fn stop(self) -> anyhow::Result<()> {
        self.millrace.stop(STOPPED_WITHIN).await?;
        self.twin.stop(STOPPED_WITHIN).await?;
        Ok(self.parts.end()?)
    }
}

async fn run(environment: &[(String, String)], args: &[&str]) -> anyhow::Result<String> {
    let output = command(environment, args)
        .output()
        .await
        .context("cannot start millrace")?;
    if !output.status.success() {
        bail!(
            "`millrace {}` failed:\n{}",
            args.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn command(environment: &[(String, String)], args: &[&str]) -> Command {
    let mut command = Command::new(millrace());
    command
        .args(args)
        .current_dir(root())
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .env("MILLRACE_LOG", "warn")
        .kill_on_drop(true);
    command
}

/// One word of a shell, whatever is in it.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// Built together with this binary.
fn millrace() -> PathBuf {
    env::current_exe()
        .map(|path| path.with_file_name("millrace"))
        .unwrap_or_else(|_| "millrace".into())
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

//! Millrace itself: one process of the binary on the parts of the run, its topics under a prefix of its own.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use schemas::{Encoder, Registry, RegistrySettings, Request, Timestamp, headers, request_kind};
use tempfile::TempDir;
use testkit::{Launch, Process, build, parts, until};
use topics::{Headers, KafkaSettings, Output, Producer, ProducerSettings};

use crate::flow::{Asked, Flow};
use crate::kafka::Bench;
use crate::model::Model;

/// Partitions of `requests`, as topics.yaml has them.
const PARTITIONS: i32 = 6;
/// Begins the id of a request of a [`Flow`].
const FLOWING: &str = "flow-";
const READY_WITHIN: Duration = Duration::from_secs(60);
const STOPPED_WITHIN: Duration = Duration::from_secs(30);

/// One call of the scripted model.
const ASK: &str = r#"
apiVersion: chain/v1
kind: Chain
metadata: {name: ask, version: 1}
input: {schema: {}}
budget: {deadline: 1h}
steps:
  - id: answer
    chat: {model: scripted, messages: [{role: user, content: "{{ input }}"}]}
output: {value: "{{ steps.answer.text }}"}
"#;

/// No call: everything around the models.
const ECHO: &str = r#"
apiVersion: chain/v1
kind: Chain
metadata: {name: echo, version: 1}
input: {schema: {}}
budget: {deadline: 1h}
steps:
  - id: echo
    transform: "{{ input }}"
output: {value: "{{ steps.echo }}"}
"#;

pub struct System {
    kafka: KafkaSettings,
    encoder: Encoder<Request>,
    producer: Producer,
    environment: Vec<(String, String)>,
    program: std::path::PathBuf,
    folder: TempDir,
    http: reqwest::Client,
    members: AtomicUsize,
    pub model: Model,
}

/// What differs between scenarios.
pub struct Setup {
    call_ms: u64,
    in_flight: usize,
    /// `MILLRACE_*` without the prefix, over what all have.
    environment: Vec<(&'static str, String)>,
}

impl Setup {
    pub fn new(call_ms: u64, in_flight: usize) -> Self {
        Self {
            call_ms,
            in_flight,
            environment: Vec::new(),
        }
    }

    pub fn with(mut self, name: &'static str, value: &impl ToString) -> Self {
        self.environment.push((name, value.to_string()));
        self
    }
}

/// A running process of Millrace.
pub struct Member {
    process: Process,
    address: String,
    http: reqwest::Client,
}

impl Member {
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Results that its engine has committed so far.
    pub async fn committed(&self) -> anyhow::Result<u64> {
        let metrics = self.http.get(format!("http://{}/metrics", self.address)).send().await?;
        let metrics = metrics.error_for_status()?.text().await?;
        let sums = metrics
            .lines()
            .filter(|line| line.starts_with("millrace_commit_results_sum"))
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        Ok(sums.sum::<f64>() as u64)
    }

    /// `kill -9`.
    pub fn kill(self) -> anyhow::Result<()> {
        self.process.kill()?;
        Ok(())
    }

    /// `SIGTERM`, and waits for its end.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.process.stop(STOPPED_WITHIN).await?;
        Ok(())
    }
}

impl System {
    /// Topics and schemas are there; nothing runs yet.
    pub async fn prepare(bench: &Bench, setup: Setup) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let model = Model::start(folder.path(), setup.call_ms).await?;
        let chains = folder.path().join("chains");
        std::fs::create_dir(&chains)?;
        std::fs::write(chains.join("ask.yaml"), ASK)?;
        std::fs::write(chains.join("echo.yaml"), ECHO)?;
        let models = folder.path().join("models.yaml");
        std::fs::write(&models, models_file(&model.url))?;

        let kafka = KafkaSettings {
            bootstrap_servers: bench.parts.bootstrap.clone(),
            prefix: format!("bench-{}.", uuid::Uuid::new_v4()),
            client: BTreeMap::new(),
        };
        let environment = [
            ("CONFIG", "/dev/null".to_owned()),
            ("KAFKA__BOOTSTRAP_SERVERS", kafka.bootstrap_servers.clone()),
            ("KAFKA__PREFIX", kafka.prefix.clone()),
            ("REGISTRY__URL", bench.parts.registry_url.clone()),
            ("POSTGRES__URL", bench.parts.postgres_url.clone()),
            ("CHAINS", chains.display().to_string()),
            ("MODELS", models.display().to_string()),
            ("ORCHESTRATOR__IN_FLIGHT", setup.in_flight.to_string()),
            ("LOG", "warn".to_owned()),
        ];
        let environment: Vec<_> = environment
            .into_iter()
            .chain(setup.environment)
            .map(|(name, value)| (format!("MILLRACE_{name}"), value))
            .collect();
        let program = tokio::task::spawn_blocking(|| build("millrace", "millrace")).await??;
        for arguments in [["topics", "apply"], ["schemas", "register"]] {
            let launch = launch(&program, &environment, folder.path(), arguments[0]).args(arguments);
            launch.start()?.succeeded(READY_WITHIN).await?;
        }

        let registry = RegistrySettings {
            url: bench.parts.registry_url.clone(),
            username: None,
            password: None,
        };
        let encoder = Registry::new(&registry)?
            .encoder::<Request>(&kafka.topic("requests"))
            .await?;
        let producer = Producer::new(&kafka, ProducerSettings::new("bench"))?;
        Ok(Self {
            kafka,
            encoder,
            producer,
            environment,
            program,
            folder,
            http: reqwest::Client::builder().no_proxy().build()?,
            members: AtomicUsize::new(0),
            model,
        })
    }

    /// A process with these roles, ready.
    pub async fn run(&self, roles: &str) -> anyhow::Result<Member> {
        let address = format!("127.0.0.1:{}", parts::free_port()?);
        let setting = if roles.contains("api") {
            "MILLRACE_API__LISTEN"
        } else {
            "MILLRACE_ADMIN"
        };
        let name = format!("millrace-{}", self.members.fetch_add(1, Ordering::Relaxed));
        let launch = launch(&self.program, &self.environment, self.folder.path(), &name);
        let mut process = launch.args(["run", "--roles", roles]).env(setting, &address).start()?;
        let ready = until(READY_WITHIN, async || {
            if let Err(ended) = process.running() {
                return Some(Err(ended));
            }
            let answer = self.http.get(format!("http://{address}/readyz")).send().await;
            answer
                .is_ok_and(|answer| answer.status().is_success())
                .then_some(Ok(()))
        });
        match ready.await {
            Ok(ready) => ready?,
            Err(_) => return Err(process.late("readiness", READY_WITHIN).into()),
        }
        Ok(Member {
            process,
            address,
            http: self.http.clone(),
        })
    }

    /// Its full name.
    pub fn topic(&self, name: &str) -> String {
        self.kafka.topic(name)
    }

    /// Returns when the broker has it.
    pub async fn send(&self, chain: &str, id: String) -> anyhow::Result<()> {
        let output = Output {
            topic: self.topic("requests"),
            value: Some(request(&self.encoder, chain, &id)?.into()),
            headers: Headers::new().with(headers::REQUEST_ID, id),
            ..Output::default()
        };
        self.producer.send(output).await?;
        Ok(())
    }

    /// Requests of all partitions in turn.
    pub fn flow(&self, bench: &Bench, chain: &'static str, per_second: f64) -> anyhow::Result<Flow> {
        let encoder = self.encoder.clone();
        let ask = move |n: usize| {
            Ok(Asked {
                partition: i32::try_from(n)? % PARTITIONS,
                // one each: without keys a client sends all that it has at a moment to the same partition of the results
                key: Some(n.to_string()),
                value: request(&encoder, chain, &format!("{FLOWING}{n}"))?,
            })
        };
        let topics = (&*self.topic("requests"), &*self.topic("results"));
        Flow::start(bench, topics, per_second, ask, |message| {
            request_id(message)?.strip_prefix(FLOWING)?.parse().ok()
        })
    }
}

/// The header of a result.
pub fn request_id<'m>(message: &'m BorrowedMessage<'_>) -> Option<&'m str> {
    let headers = message.headers()?.iter();
    let id = headers.filter(|header| header.key == headers::REQUEST_ID).last()?;
    std::str::from_utf8(id.value?).ok()
}

fn request(encoder: &Encoder<Request>, chain: &str, id: &str) -> anyhow::Result<Vec<u8>> {
    let request = Request {
        request_id: Some(id.to_owned()),
        kind: request_kind::RUN.to_owned(),
        chain: chain.to_owned(),
        input: "\"one request\"".to_owned(),
        created_at: Timestamp::now(),
        ..Request::default()
    };
    Ok(encoder.encode(&request)?.to_vec())
}

fn launch(program: &Path, environment: &[(String, String)], folder: &Path, name: &str) -> Launch {
    let launch = Launch::new(name, program, folder.join(format!("{name}.log"))).folder(folder);
    environment
        .iter()
        .fold(launch, |launch, (name, value)| launch.env(name, value))
}

fn models_file(url: &str) -> String {
    format!(
        "providers:
  scripted: {{dialect: openai, base_url: {url}}}
models:
  scripted: {{provider: scripted, model: scripted, max_tokens: 100, context: 8000, price: {{input: 1, output: 2}}, timeout: 30s}}
"
    )
}

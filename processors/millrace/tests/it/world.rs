//! One test's own Millrace: topics, schemas, a twin of Pinecone and processes of the binary, on the shared parts.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use schemas::{Registry, RegistrySettings, Request, Timestamp, headers, request_kind};
use serde_json::Value;
use testkit::{Launch, Parts, Process, Space, parts, until};
use topics::{Headers, KafkaSettings, Producer, ProducerSettings};

const BINARY: &str = env!("CARGO_BIN_EXE_millrace");
const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
/// Generous: tests share two cores.
pub const SOON: Duration = Duration::from_secs(60);

pub struct World {
    pub parts: Parts,
    pub prefix: String,
    pub postgres_url: String,
    pub folder: tempfile::TempDir,
    settings: Vec<(String, String)>,
}

/// A request as a producer sends it.
pub struct Ask {
    pub id: String,
    pub key: Option<String>,
    /// JSON.
    pub input: String,
}

/// A running `millrace run`, with the address of its health and metrics; if it has the api role, that is the api.
pub struct Running {
    pub process: Process,
    pub url: String,
}

impl World {
    /// Topics applied and schemas registered; nothing runs yet.
    pub async fn new(name: &str) -> Self {
        let space = Space::new(name).await;
        let world = Self::unprepared(space.parts.clone(), space.prefix, space.postgres_url);
        world.prepare();
        world
    }

    /// On parts that the test may break.
    pub fn unprepared(parts: Parts, prefix: String, postgres_url: String) -> Self {
        let settings = [
            ("MILLRACE_KAFKA__BOOTSTRAP_SERVERS", parts.bootstrap.as_str()),
            ("MILLRACE_KAFKA__PREFIX", &prefix),
            ("MILLRACE_REGISTRY__URL", &parts.registry_url),
            ("MILLRACE_POSTGRES__URL", &postgres_url),
            ("MILLRACE_CHAINS", concat!(env!("CARGO_MANIFEST_DIR"), "/../chains")),
            ("MILLRACE_CONFIG", "/dev/null"),
            // what the chains that ship name; no story here asks it
            (
                "MILLRACE_INDEXES",
                "[{name: millrace-docs, index: millrace-docs, embedding: embedding, dimension: 384}]",
            ),
            ("MILLRACE_PINECONE__CONTROL_URL", "http://127.0.0.1:1"),
        ];
        Self {
            settings: settings
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
            folder: tempfile::tempdir().unwrap(),
            parts,
            prefix,
            postgres_url,
        }
    }

    pub fn prepare(&self) {
        self.succeed(&["topics", "apply"]);
        self.succeed(&["schemas", "register"]);
    }

    /// `set("ORCHESTRATOR__IN_FLIGHT", "5")`, for all processes from now on.
    pub fn set(&mut self, setting: &str, value: impl Into<String>) {
        self.settings.push((format!("MILLRACE_{setting}"), value.into()));
    }

    /// Writes a file into the test's folder; gives its path.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    pub fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    pub fn kafka(&self) -> KafkaSettings {
        KafkaSettings {
            bootstrap_servers: self.parts.bootstrap.clone(),
            prefix: self.prefix.clone(),
            client: BTreeMap::new(),
        }
    }

    /// Produces requests for a chain, and returns when all are acknowledged.
    pub async fn send(&self, topic: &str, chain: &str, asks: impl IntoIterator<Item = Ask>) {
        let settings = RegistrySettings {
            url: self.parts.registry_url.clone(),
            username: None,
            password: None,
        };
        let topic = self.topic(topic);
        let registry = Registry::new(&settings).unwrap();
        let encoder = registry.encoder::<Request>(&topic).await.unwrap();
        let producer = Producer::new(&self.kafka(), ProducerSettings::new("driver")).unwrap();
        let sent = asks.into_iter().map(|ask| {
            let request = Request {
                request_id: Some(ask.id.clone()),
                kind: request_kind::RUN.to_owned(),
                chain: chain.to_owned(),
                input: ask.input,
                created_at: Timestamp::now(),
                ..Request::default()
            };
            producer.send(topics::Output {
                topic: topic.clone(),
                partition: None,
                key: ask.key.map(Into::into),
                value: Some(encoder.encode(&request).unwrap()),
                headers: Headers::new().with(headers::REQUEST_ID, ask.id),
            })
        });
        for acknowledged in futures::future::join_all(sent).await {
            acknowledged.unwrap();
        }
    }

    /// Runs a command to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(BINARY);
        command.args(args).current_dir(REPOSITORY).env("MILLRACE_LOG", "warn");
        command
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .output()
            .unwrap()
    }

    /// Runs a command that must succeed; gives its standard output.
    pub fn succeed(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "millrace {}: {said}", args.join(" "));
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn launch(&self, name: &str, args: &[&str]) -> Launch {
        let launch = Launch::new(name, BINARY, self.folder.path().join(format!("{name}.log")));
        let launch = launch.args(args).folder(REPOSITORY);
        self.settings
            .iter()
            .fold(launch, |launch, (name, value)| launch.env(name, value))
    }

    /// Starts a process with these roles and waits until it is ready.
    pub async fn start(&self, name: &str, roles: &str) -> Running {
        let mut running = self.start_unready(name, roles);
        running.ready().await;
        running
    }

    pub fn start_unready(&self, name: &str, roles: &str) -> Running {
        let address = format!("127.0.0.1:{}", parts::free_port().unwrap());
        let launch = self.launch(name, &["run", "--roles", roles]);
        let setting = if roles.contains("api") {
            "MILLRACE_API__LISTEN"
        } else {
            "MILLRACE_ADMIN"
        };
        let process = launch.env(setting, &address).start().unwrap();
        Running {
            process,
            url: format!("http://{address}"),
        }
    }
}

impl Running {
    pub async fn ready(&mut self) {
        let url = format!("{}/readyz", self.url);
        let ready = until(SOON, async || {
            self.process.running().unwrap();
            get(&url)
                .await
                .is_ok_and(|answer| answer.status().is_success())
                .then_some(())
        });
        if ready.await.is_err() {
            let said = match get(&url).await {
                Ok(answer) => answer.text().await.unwrap(),
                Err(error) => error.to_string(),
            };
            panic!("{url}: {said}\n{}", self.log());
        }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.process.log()).unwrap()
    }
}

/// Lines of JSON, as the commands print them.
pub fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub async fn get(url: &str) -> reqwest::Result<reqwest::Response> {
    reqwest::Client::new().get(url).send().await
}

pub fn repository() -> &'static Path {
    Path::new(REPOSITORY)
}

//! `millrace.yaml` plus `MILLRACE_*`: read once, checked whole, every mistake told at once.
//!
//! Each part is the settings struct of the crate it configures, so a setting is documented where it acts. Nothing here
//! opens a socket; `command::run` builds things from it.

mod environment;
mod load;
mod secret;

use std::{
    env,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::bail;
use api::ApiSettings;
use egress::{EgressSettings, Hosts};
use indexer::Splitting;
use orchestrator::HashKey;
use recorder::RecorderSettings;
use retrieval::{ApiKey, IndexSpec, Pinecone, PineconeSettings};
use schemas::RegistrySettings;
use serde::Deserialize;
use topics::{Catalog, KafkaSettings, engine::EngineTuning};

pub use load::load;

/// The annotated file that ships with the project; a test holds it to the structs.
pub const EXAMPLE: &str = include_str!("../../millrace.yaml");

/// Everything a process of Millrace is told. Relative paths are relative to the folder of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub kafka: KafkaSettings,
    pub registry: RegistrySettings,
    #[serde(default)]
    pub postgres: Postgres,
    #[serde(default)]
    pub pinecone: PineconeSettings,

    /// Folder of the chain files.
    #[serde(default = "default_chains")]
    pub chains: PathBuf,
    /// Providers, aliases and prices. Without it: the `local` models only.
    #[serde(default)]
    pub models: Option<PathBuf>,
    /// Without it: Millrace's own topics as they ship.
    #[serde(default)]
    pub topics: Option<PathBuf>,
    /// Vector indexes, by the name that chains use.
    #[serde(default)]
    pub indexes: Vec<IndexSpec>,

    /// What `http` steps of chains may call.
    #[serde(default)]
    pub http: EgressSettings,
    /// What `strategy: hash` of a redaction hashes with: a secret, from the environment or a file.
    #[serde(default)]
    pub hash_key: Option<HashKey>,

    #[serde(default)]
    pub orchestrator: EngineTuning,
    #[serde(default)]
    pub indexer: Indexer,
    #[serde(default)]
    pub recorder: RecorderSettings,
    #[serde(default)]
    pub api: ApiSettings,
    /// Health and metrics of a process without the api role. Loopback only, as the api.
    #[serde(default = "default_admin")]
    pub admin: SocketAddr,
    /// A paid call is announced on `attempts` before it leaves. Off: a crash hides what was being paid for.
    #[serde(default = "yes")]
    pub write_ahead: bool,
    /// A folder for outputs that are too large for `results`. Without it they are lost, though they were paid for.
    #[serde(default)]
    pub oversized_outputs: Option<PathBuf>,
    /// JSON lines of what this process did; the fault runs are judged by it. Off without a path.
    #[serde(default)]
    pub history: Option<PathBuf>,
}

/// The `indexer:` part.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Indexer {
    /// The entry of `indexes` that documents go to; without it the first one.
    pub index: Option<String>,
    pub splitting: Splitting,
    /// How long a document is tried again while Pinecone or the provider is away, before it is a dead letter.
    pub patience_seconds: u64,
    pub engine: EngineTuning,
}

impl Default for Indexer {
    fn default() -> Self {
        Self {
            index: None,
            splitting: Splitting::default(),
            patience_seconds: 600,
            engine: EngineTuning {
                in_flight: 32,
                ..EngineTuning::default()
            },
        }
    }
}

/// The `postgres:` part.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Postgres {
    /// `postgres://user:password@host:5432/database`; with a password it belongs into the environment or a file.
    pub url: String,
}

impl Default for Postgres {
    fn default() -> Self {
        Self {
            url: "postgres://postgres@127.0.0.1:5432/postgres".to_owned(),
        }
    }
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Postgres")
    }
}

impl Config {
    /// A client with the key from the variable that every Pinecone client reads. The local twin takes any key.
    pub fn pinecone(&self) -> anyhow::Result<Pinecone> {
        let url = &self.pinecone.control_url;
        let is_twin = ["http://127.0.0.1", "http://localhost", "http://[::1]"]
            .iter()
            .any(|twin| url.starts_with(twin));
        let api_key = match env::var("PINECONE_API_KEY") {
            Ok(key) => ApiKey::new(key),
            Err(_) if is_twin || self.indexes.is_empty() => ApiKey::new("local"),
            Err(_) => bail!("`indexes` are configured, but there is no key for {url}: set PINECONE_API_KEY"),
        };
        Ok(Pinecone::new(&PineconeSettings {
            api_key,
            ..self.pinecone.clone()
        })?)
    }

    /// What chains may call.
    pub fn hosts(&self) -> anyhow::Result<Arc<Hosts>> {
        match Hosts::new(&self.http) {
            Ok(hosts) => Ok(Arc::new(hosts)),
            Err(mistakes) => {
                let lines: Vec<String> = mistakes
                    .iter()
                    .map(|(place, what)| format!("{place}: {what}"))
                    .collect();
                bail!("{}", lines.join("\n"))
            }
        }
    }

    /// Whether what the api takes can go on its topic.
    pub fn fits(&self, catalog: &Catalog) -> anyhow::Result<()> {
        let topic = catalog.topics.iter().find(|topic| topic.name == "requests.interactive");
        let (body, most) = (
            self.api.max_body_bytes,
            topic.map_or(u64::MAX, |topic| topic.max_message_bytes),
        );
        if body as u64 >= most {
            bail!(
                "api.max_body_bytes: a body of {body} bytes becomes one record, and requests.interactive takes {most} bytes; \
                 lower the one, or raise max_message of the other in the topics file"
            );
        }
        Ok(())
    }

    /// What no type says: where, and what.
    fn mistakes(&self) -> Vec<(String, String)> {
        let mut mistakes = Hosts::new(&self.http).err().unwrap_or_default();
        let mut wrong = |place: &str, what: String| mistakes.push((place.to_owned(), what));
        for (part, engine) in [
            ("orchestrator", &self.orchestrator),
            ("indexer.engine", &self.indexer.engine),
        ] {
            for (field, what) in engine.mistakes() {
                wrong(&format!("{part}.{field}"), what);
            }
        }
        if let Some(name) = &self.indexer.index
            && !self.indexes.iter().any(|index| index.name == *name)
        {
            wrong("indexer.index", format!("`{name}` is not under `indexes`"));
        }
        for (place, listen) in [("api.listen", self.api.listen), ("admin", self.admin)] {
            if !listen.ip().is_loopback() {
                wrong(
                    place,
                    format!(
                        "{listen} is not a loopback address, and without API keys everybody who reaches the port could use \
                         it: 127.0.0.1 or [::1], and a proxy in front that authenticates"
                    ),
                );
            }
        }
        for (field, what) in self.kafka.mistakes() {
            wrong(&format!("kafka.{field}"), what);
        }
        let brokers = &self.kafka.bootstrap_servers;
        if !brokers.split(',').all(is_host_and_port) {
            wrong(
                "kafka.bootstrap_servers",
                format!("must be HOST:PORT, several with commas between them, not `{brokers}`"),
            );
        }
        let http: &[&str] = &["http://", "https://"];
        for (place, url, schemes) in [
            ("registry.url", &self.registry.url, http),
            ("pinecone.control_url", &self.pinecone.control_url, http),
            ("postgres.url", &self.postgres.url, &["postgres://", "postgresql://"]),
        ] {
            if !schemes.iter().any(|scheme| url.starts_with(scheme)) {
                // never the value: it may hold a password
                wrong(place, format!("must begin with {}", schemes.join(" or ")));
            }
        }
        mistakes
    }

    fn resolve_paths(&mut self, folder: &Path) {
        let files = [
            Some(&mut self.chains),
            self.models.as_mut(),
            self.topics.as_mut(),
            self.history.as_mut(),
            self.oversized_outputs.as_mut(),
        ];
        for path in files.into_iter().flatten() {
            *path = folder.join(&*path);
        }
    }
}

fn is_host_and_port(server: &str) -> bool {
    // PLAINTEXT://host:port is taken by clients, too
    let server = server.trim().rsplit("://").next().unwrap_or_default();
    let parts = server.rsplit_once(':');
    parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

fn default_chains() -> PathBuf {
    "chains".into()
}

fn default_admin() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8079))
}

const fn yes() -> bool {
    true
}

use std::path::PathBuf;

use super::fetch::fetch;
use super::java::Heap;
use super::part::Part;
use super::registry::Storage;
use super::{Parts, PartsError, folder, kafka, port, postgres, registry};

/// A set that belongs to its caller: each part can be stopped, killed, paused and restarted. All end when it is dropped,
/// or when its process ends, however it ends.
#[derive(Debug)]
pub struct OwnParts {
    pub parts: Parts,
    pub kafka: Part,
    pub registry: Part,
    pub postgres: Part,
    folder: PathBuf,
}

#[derive(Debug, Clone)]
pub struct PartsConfig {
    /// Begins the name of its folder.
    pub name: String,
    pub ports: Ports,
    pub broker: Broker,
    /// Crash-safe: PostgreSQL syncs, and the registry keeps its schemas there instead of in memory. Slower to start.
    pub durable: bool,
}

/// `None`: any free one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ports {
    pub kafka: Option<u16>,
    pub registry: Option<u16>,
    pub postgres: Option<u16>,
}

#[derive(Debug, Clone)]
pub struct Broker {
    /// Megabytes of Java heap.
    pub heap_megabytes: u32,
    /// Both of Java's compilers, for measurements; otherwise only the one that starts quickly.
    pub optimise: bool,
    /// Broker properties that replace or add to the usual ones.
    pub properties: Vec<(String, String)>,
}

impl Default for PartsConfig {
    fn default() -> Self {
        Self {
            name: "own".to_owned(),
            ports: Ports::default(),
            broker: Broker::default(),
            durable: false,
        }
    }
}

impl Default for Broker {
    fn default() -> Self {
        Self {
            heap_megabytes: 192,
            optimise: false,
            properties: Vec::new(),
        }
    }
}

impl Broker {
    /// What the figures of `make bench` are measured against.
    #[must_use]
    pub fn for_measurements() -> Self {
        Self {
            heap_megabytes: 512,
            optimise: true,
            properties: Vec::new(),
        }
    }

    pub(super) fn heap(&self) -> Heap {
        Heap {
            megabytes: self.heap_megabytes,
            optimise: self.optimise,
        }
    }
}

impl OwnParts {
    /// Fetches what is missing, starts all three at the same time, and returns when they answer.
    pub async fn start(config: PartsConfig) -> Result<Self, PartsError> {
        let fetched = fetch().await?;
        let folder = folder::run(&config.name)?;
        let kafka_port = port::choose("Kafka", config.ports.kafka, "PARTS_KAFKA_PORT")?;
        let registry_port = port::choose("the registry", config.ports.registry, "PARTS_REGISTRY_PORT")?;
        let postgres_port = port::choose("PostgreSQL", config.ports.postgres, "PARTS_POSTGRES_PORT")?;

        let (mut kafka, bootstrap) =
            kafka::part(&fetched, &folder, kafka_port, &config.broker, &fetched.archive("kafka"))?;
        let storage = match config.durable {
            true => Storage::Postgres {
                port: postgres_port,
                database: "registry",
            },
            false => Storage::Memory,
        };
        let (mut registry, registry_url) =
            registry::part(&fetched, &folder, registry_port, &storage, &fetched.archive("registry"))?;

        let start_postgres = async || {
            let (mut postgres, url) = postgres::part(&fetched, &folder, postgres_port, config.durable).await?;
            postgres.start().await?;
            Ok::<_, PartsError>((postgres, url))
        };
        let (postgres, postgres_url) = match storage {
            Storage::Memory => {
                let (started, (), ()) = tokio::try_join!(start_postgres(), kafka.start(), registry.start())?;
                started
            }
            Storage::Postgres { database, .. } => {
                let postgres_and_registry = async {
                    let (postgres, url) = start_postgres().await?;
                    let create = format!("CREATE DATABASE {database}");
                    postgres::execute(&url, &create)
                        .await
                        .map_err(|source| PartsError::Database { source })?;
                    registry.start().await?;
                    Ok((postgres, url))
                };
                let (started, ()) = tokio::try_join!(postgres_and_registry, kafka.start())?;
                started
            }
        };
        Ok(Self {
            parts: Parts {
                bootstrap,
                registry_url,
                postgres_url,
            },
            kafka,
            registry,
            postgres,
            folder,
        })
    }

    /// Ends all three without ceremony: their data goes with them, only the logs stay.
    pub fn end(mut self) -> Result<(), PartsError> {
        self.kill()
    }

    /// Where the logs are.
    pub fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    fn kill(&mut self) -> Result<(), PartsError> {
        self.kafka.kill()?;
        self.registry.kill()?;
        self.postgres.kill()?;
        folder::clear(&self.folder)
    }
}

impl Drop for OwnParts {
    fn drop(&mut self) {
        // whoever wants to know calls `end`
        let _ = self.kill();
    }
}

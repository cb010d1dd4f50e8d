use std::path::PathBuf;

use super::fetch::{Fetched, fetch};
use super::java::Heap;
use super::kafka::Seat;
use super::part::Part;
use super::stores::Stores;
use super::{Parts, PartsError, folder, kafka, port};

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
        port::with_others(async || Self::try_start(&fetched, &config).await).await
    }

    async fn try_start(fetched: &Fetched, config: &PartsConfig) -> Result<Self, PartsError> {
        let folder = folder::run(&config.name)?;
        let kafka_port = port::choose("Kafka", config.ports.kafka, "PARTS_KAFKA_PORT")?;
        let registry_port = port::choose("the registry", config.ports.registry, "PARTS_REGISTRY_PORT")?;
        let postgres_port = port::choose("PostgreSQL", config.ports.postgres, "PARTS_POSTGRES_PORT")?;

        let seat = Seat::alone(kafka_port)?;
        let (mut kafka, bootstrap) = kafka::part(fetched, &folder, &seat, &config.broker, &fetched.archive("kafka"))?;
        let stores = Stores::start(fetched, &folder, registry_port, postgres_port, config.durable);
        let (stores, ()) = tokio::try_join!(stores, kafka.start())?;
        Ok(Self {
            parts: Parts {
                bootstrap,
                registry_url: stores.registry_url,
                postgres_url: stores.postgres_url,
            },
            kafka,
            registry: stores.registry,
            postgres: stores.postgres,
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

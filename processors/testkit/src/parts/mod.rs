//! The real parts that the demo and the tests run against: Kafka in KRaft mode, a schema registry, PostgreSQL.
//!
//! Ways to have them. [`parts`] is the set that all tests of a run share: a supervisor process owns it, every test
//! binary holds a lease, and it ends with the last of them. [`OwnParts`] belong to their caller, who may stop, pause and
//! restart each of them; they die with the process that started them; a [`Cluster`] is the same with several brokers.

mod cluster;
mod fetch;
pub(crate) mod folder;
mod java;
mod kafka;
mod lease;
mod own;
mod part;
mod port;
mod postgres;
mod registry;
mod stores;
mod supervisor;

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use serde::{Deserialize, Serialize};

use crate::ProcessError;
use crate::binary::BinaryError;

pub use cluster::{Cluster, ClusterConfig, Data};
pub use kafka::Door;
pub use lease::{Lease, Slot, down, lease, parts, status};
pub use own::{Broker, OwnParts, PartsConfig, Ports};
pub use part::Part;
pub use port::{any as free_port, preferably as free_port_preferably};
pub(crate) use postgres::execute as postgres_execute;
pub use supervisor::{Stay, supervise};

/// Where the parts answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    /// `host:port` of the Kafka broker.
    pub bootstrap: String,
    /// Base of the registry's Confluent API, without a slash at the end.
    pub registry_url: String,
    /// A superuser's URL, with the database `postgres`.
    pub postgres_url: String,
}

#[derive(Debug, thiserror::Error)]
pub enum PartsError {
    #[error(
        "Java 17 or newer is needed for Kafka and the schema registry, {found}; {}",
        install("a Java runtime", "default-jre-headless", "openjdk")
    )]
    Java { found: String },
    #[error(
        "Maven (mvn) is needed to fetch Kafka, the schema registry and PostgreSQL; {}",
        install("Maven", "maven", "maven")
    )]
    Maven { source: io::Error },
    #[error(
        "{tool} is needed to unpack PostgreSQL ({status}); {}",
        install("them", "tar xz-utils", "xz")
    )]
    Unpack { tool: &'static str, status: String },
    #[error("there are no PostgreSQL binaries for {os} on {arch}: Linux and macOS on x86_64 and aarch64 are supported")]
    Platform { os: &'static str, arch: &'static str },
    #[error("Maven could not fetch the parts ({status}); it said, in {}:\n{said}", log.display())]
    Fetch {
        status: ExitStatus,
        log: PathBuf,
        said: String,
    },
    #[error("cannot {action} {}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("port {port} for {part} is taken; stop what listens there or set {variable}")]
    PortTaken {
        part: &'static str,
        port: u16,
        variable: &'static str,
    },
    #[error("no free port on 127.0.0.1 between 20000 and 32000")]
    NoPort,
    #[error("the user `nobody` is unknown here; PostgreSQL refuses to run as root")]
    NoUser,
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error("there is no supervisor to start")]
    Binary(#[from] BinaryError),
    #[error("the supervisor did not come up; its log: {}", log.display())]
    Supervisor { log: PathBuf },
    #[error("{0}")]
    Start(String),
    #[error("cannot make a Kafka client")]
    Client { source: rdkafka::error::KafkaError },
    #[error("cannot create the registry's database")]
    Database { source: sqlx::Error },
}

fn install(what: &str, apt: &str, brew: &str) -> String {
    if cfg!(target_os = "macos") {
        format!("install {what} with `brew install {brew}`")
    } else {
        format!("install {what} with `apt-get install {apt}`")
    }
}

/// For `map_err`: the step and the path that failed.
fn failed(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> PartsError {
    let path = path.into();
    move |source| PartsError::Io { action, path, source }
}

/// An error and its causes on one line, for a reader in another process or in a panic.
fn describe(error: &PartsError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

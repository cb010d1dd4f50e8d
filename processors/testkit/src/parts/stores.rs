//! The registry and PostgreSQL: what every set has once, however many brokers it has.

use std::path::Path;

use super::fetch::Fetched;
use super::part::Part;
use super::registry::Storage;
use super::{PartsError, postgres, registry};

pub struct Stores {
    pub registry: Part,
    pub postgres: Part,
    pub registry_url: String,
    pub postgres_url: String,
}

impl Stores {
    /// `durable`: PostgreSQL syncs, and the registry keeps its schemas there, so it starts second.
    pub async fn start(
        fetched: &Fetched,
        folder: &Path,
        registry_port: u16,
        postgres_port: u16,
        durable: bool,
    ) -> Result<Self, PartsError> {
        let storage = match durable {
            true => Storage::Postgres {
                port: postgres_port,
                database: "registry",
            },
            false => Storage::Memory,
        };
        let archive = fetched.archive("registry");
        let (mut registry, registry_url) = registry::part(fetched, folder, registry_port, &storage, &archive)?;
        let start_postgres = async || {
            let (mut postgres, url) = postgres::part(fetched, folder, postgres_port, durable).await?;
            postgres.start().await?;
            Ok::<_, PartsError>((postgres, url))
        };
        let (postgres, postgres_url) = match storage {
            Storage::Memory => tokio::try_join!(start_postgres(), registry.start())?.0,
            Storage::Postgres { database, .. } => {
                let (postgres, url) = start_postgres().await?;
                let create = format!("CREATE DATABASE {database}");
                postgres::execute(&url, &create)
                    .await
                    .map_err(|source| PartsError::Database { source })?;
                registry.start().await?;
                (postgres, url)
            }
        };
        Ok(Self {
            registry,
            postgres,
            registry_url,
            postgres_url,
        })
    }
}

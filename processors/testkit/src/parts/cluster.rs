use std::path::{Path, PathBuf};

use super::fetch::{Fetched, fetch};
use super::kafka::{COORDINATED, Door, Seat};
use super::own::Broker;
use super::part::Part;
use super::stores::Stores;
use super::{Parts, PartsError, folder, kafka, port};

/// A set with several brokers, which belongs to its caller: each part can be stopped, killed, paused and restarted. With
/// three brokers every partition has three replicas, of which two must have a record before it is acknowledged.
#[derive(Debug)]
pub struct Cluster {
    /// The brokers' own addresses.
    pub parts: Parts,
    /// In the order of their ids, from 1.
    pub brokers: Vec<Part>,
    pub registry: Part,
    pub postgres: Part,
    pub data: Data,
}

/// The folder of a set. Its data goes when this is dropped, only the logs stay; so drop it last.
#[derive(Debug)]
pub struct Data(PathBuf);

#[derive(Debug, Clone)]
pub struct ClusterConfig {
    /// Begins the name of its folder.
    pub name: String,
    pub broker: Broker,
    /// As of [`super::PartsConfig`].
    pub durable: bool,
    /// One for each broker.
    pub doors: Vec<Door>,
}

impl Cluster {
    /// As many brokers as there are doors. Returns when all answer.
    pub async fn start(config: ClusterConfig) -> Result<Self, PartsError> {
        let fetched = fetch().await?;
        port::with_others(async || Self::try_start(&fetched, &config).await).await
    }

    async fn try_start(fetched: &Fetched, config: &ClusterConfig) -> Result<Self, PartsError> {
        let folder = folder::run(&config.name)?;
        let controllers: Vec<u16> = config.doors.iter().map(|_| port::any()).collect::<Result<_, _>>()?;
        let (mut brokers, mut addresses) = (Vec::new(), Vec::new());
        for (index, door) in config.doors.iter().enumerate() {
            let seat = Seat {
                id: index + 1,
                port: port::any()?,
                controllers: controllers.clone(),
                door: Some(*door),
            };
            let archive = fetched.archive("kafka");
            let (broker, address) = kafka::part(fetched, &folder, &seat, &config.broker, &archive)?;
            brokers.push(broker);
            addresses.push(address);
        }
        let stores = Stores::start(fetched, &folder, port::any()?, port::any()?, config.durable);
        let started = futures::future::try_join_all(brokers.iter_mut().map(Part::start));
        let (stores, _) = tokio::try_join!(stores, started)?;
        Ok(Self {
            parts: Parts {
                bootstrap: addresses.join(","),
                registry_url: stores.registry_url,
                postgres_url: stores.postgres_url,
            },
            brokers,
            registry: stores.registry,
            postgres: stores.postgres,
            data: Data(folder),
        })
    }

    /// The partition of `__consumer_offsets` (for a group) or `__transaction_state` (for a transactional id) whose leader
    /// coordinates `name`.
    #[must_use]
    pub fn coordinated_by(name: &str) -> i32 {
        // Java's String.hashCode, with its sign bit cleared
        let hash = name
            .encode_utf16()
            .fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
        (hash & i32::MAX) % COORDINATED
    }
}

impl Data {
    /// Where the logs are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        // it is in an ignored folder, and the next set sweeps
        let _ = folder::clear(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinators_are_found_as_java_finds_them() {
        assert_eq!(Cluster::coordinated_by("a"), 97 % COORDINATED);
        assert_eq!(Cluster::coordinated_by("ab"), (97 * 31 + 98) % COORDINATED);
    }
}

//! The producer that knows nothing of Millrace: confluent-kafka in Python.

use std::{path::Path, time::Duration};

use testkit::{Launch, Process, python, until};

use crate::world::World;

/// A busy machine takes its time to load its modules.
const BEGINS_WITHIN: Duration = Duration::from_secs(90);
const ENDS_WITHIN: Duration = Duration::from_secs(240);

pub struct ThirdParty(Process);

impl ThirdParty {
    /// Returns when it sends: it cannot begin while the registry is away.
    pub async fn start(world: &World, seed: u64, rate: u64) -> anyhow::Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin/chaos/third_party");
        let python = python::environment(&folder.join("requirements.txt"))?;
        let history = world.folder.driver("python");
        let launch = Launch::new("python", python, world.folder.path().join("python.log"))
            .args([folder.join("producer.py")])
            .env("KAFKA_BOOTSTRAP_SERVERS", &world.proxied_bootstrap)
            .env("SCHEMA_REGISTRY_URL", &world.plan.registry_url)
            .env("KAFKA_PREFIX", &world.plan.prefix)
            .env("HISTORY", &history)
            .env("SEED", seed.to_string())
            .env("RATE", rate.to_string());
        let mut process = launch.start()?;
        let sends = until(BEGINS_WITHIN, async || match process.running() {
            Ok(()) => history
                .metadata()
                .is_ok_and(|history| history.len() > 0)
                .then_some(Ok(())),
            Err(ended) => Some(Err(ended)),
        });
        match sends.await {
            Ok(sends) => sends?,
            Err(_) => return Err(process.late("a request", BEGINS_WITHIN).into()),
        }
        Ok(Self(process))
    }

    /// Returns when everything it sent is acknowledged.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.0.running()?;
        self.0.signal(testkit::Signal::TERM)?;
        Ok(self.0.succeeded(ENDS_WITHIN).await?)
    }
}

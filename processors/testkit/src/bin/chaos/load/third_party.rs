//! The producer that knows nothing of Millrace: confluent-kafka in Python.

use std::{path::Path, time::Duration};

use testkit::{Launch, Process, python};

use crate::world::World;

const ENDS_WITHIN: Duration = Duration::from_secs(240);

pub struct ThirdParty(Process);

impl ThirdParty {
    pub fn start(world: &World, seed: u64, rate: u64) -> anyhow::Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin/chaos/third_party");
        let python = python::environment(&folder.join("requirements.txt"))?;
        let launch = Launch::new("python", python, world.folder.path().join("python.log"))
            .args([folder.join("producer.py")])
            .env("KAFKA_BOOTSTRAP_SERVERS", &world.proxied_bootstrap)
            .env("SCHEMA_REGISTRY_URL", &world.plan.registry_url)
            .env("KAFKA_PREFIX", &world.plan.prefix)
            .env("HISTORY", world.folder.driver("python"))
            .env("SEED", seed.to_string())
            .env("RATE", rate.to_string());
        Ok(Self(launch.start()?))
    }

    /// Returns when everything it sent is acknowledged.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.0.running()?;
        self.0.signal(testkit::Signal::TERM)?;
        Ok(self.0.succeeded(ENDS_WITHIN).await?)
    }
}

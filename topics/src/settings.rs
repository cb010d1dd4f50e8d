//! How to reach the brokers: one struct for every client of this crate.

use std::{collections::BTreeMap, fmt};

use serde::Deserialize;

/// The `kafka:` part of `millrace.yaml`.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaSettings {
    /// `host:port,host:port`
    pub bootstrap_servers: String,
    /// In front of every topic name, group and transactional id.
    #[serde(default = "default_prefix")]
    pub prefix: String,
    /// Anything else librdkafka knows (`security.protocol`, `sasl.mechanism`, ...), passed to every client as it is.
    #[serde(default)]
    pub client: BTreeMap<String, String>,
}

impl KafkaSettings {
    /// The full name of one of Millrace's own topics: `results` → `millrace.results`.
    #[must_use]
    pub fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// The full name of one of Millrace's groups: `orchestrator` → `millrace.orchestrator`.
    #[must_use]
    pub fn group(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

/// Without the values under `client`: passwords and private keys are among them.
impl fmt::Debug for KafkaSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSettings")
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("prefix", &self.prefix)
            .field("client", &self.client.keys())
            .finish()
    }
}

fn default_prefix() -> String {
    "millrace.".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_printed() {
        let client = BTreeMap::from([("sasl.password".to_owned(), "hunter2".to_owned())]);
        let settings = KafkaSettings {
            bootstrap_servers: "broker:9092".to_owned(),
            prefix: default_prefix(),
            client,
        };
        let printed = format!("{settings:?}");
        assert!(
            printed.contains("sasl.password") && !printed.contains("hunter2"),
            "{printed}"
        );
    }
}

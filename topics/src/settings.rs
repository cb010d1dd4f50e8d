//! How to reach the brokers: one struct for every client of this crate.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The `kafka:` part of `millrace.yaml`.
#[derive(Debug, Clone, Deserialize)]
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

fn default_prefix() -> String {
    "millrace.".to_owned()
}

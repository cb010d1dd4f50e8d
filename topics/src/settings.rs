//! How to reach the brokers: one struct for every client of this crate.

use std::{collections::BTreeMap, fmt};

use rdkafka::{ClientConfig, error::KafkaError, types::RDKafkaConfRes};
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

    /// What no client could be made of: the field, below `kafka`, and what is wrong with it. Never a value of `client`, which
    /// may be a password.
    #[must_use]
    pub fn mistakes(&self) -> Vec<(String, String)> {
        let mut mistakes = Vec::new();
        let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if !self.prefix.chars().all(is_legal) || self.prefix.len() > MAX_PREFIX {
            let what = format!(
                "stands in front of each topic's name: at most {MAX_PREFIX} of a-z, A-Z, 0-9, `.`, `_` and `-`"
            );
            mistakes.push(("prefix".to_owned(), what));
        }
        for (name, value) in &self.client {
            let mut config = ClientConfig::new();
            let taken = config.set(name, value).create_native_config();
            let what = match taken.err() {
                None => continue,
                Some(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..)) => {
                    "is no setting of librdkafka; its CONFIGURATION.md lists them"
                }
                Some(_) => "does not take this value; see librdkafka's CONFIGURATION.md for its type and range",
            };
            mistakes.push((format!("client.{name}"), what.to_owned()));
        }
        mistakes
    }
}

/// Kafka takes names of 249 characters; the longest of ours behind it must fit, and a UUID behind that.
const MAX_PREFIX: usize = 128;

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
    fn what_no_client_takes_is_told_without_its_value() {
        let mistakes = |prefix: &str, name: &str, value: &str| {
            let settings = KafkaSettings {
                bootstrap_servers: "broker:9092".to_owned(),
                prefix: prefix.to_owned(),
                client: BTreeMap::from([(name.to_owned(), value.to_owned())]),
            };
            settings.mistakes()
        };
        assert_eq!(mistakes("a.b-c_D9.", "security.protocol", "ssl"), []);
        assert_eq!(mistakes("a/b", "security.protocol", "ssl")[0].0, "prefix");
        for (name, value) in [("nonsense.key", "hunter2"), ("security.protocol", "hunter2")] {
            let found = mistakes("", name, value);
            assert_eq!(found[0].0, format!("client.{name}"));
            assert!(!found[0].1.contains("hunter2"));
        }
    }

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

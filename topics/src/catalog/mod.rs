//! The one list of topics and groups, `topics.yaml`: what exists, how it is configured, who writes and reads it.

mod parse;
mod rights;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

pub use rights::{Operation, Resource, ResourceKind, Right};
pub use yaml::Problem;

use crate::KafkaSettings;

/// The list as it is shipped, to print and to begin an own one from.
pub const EMBEDDED: &str = include_str!("../../topics.yaml");

/// What a dead letter holds besides the record it is about: the reason, the headers' names, where it was.
pub(crate) const DEAD_LETTER_HEADROOM: u64 = 64 << 10;

/// Every topic that Millrace owns, and every group with committed offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalog {
    pub topics: Vec<Topic>,
    pub groups: Vec<Group>,
}

/// One of Millrace's own topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Without the prefix; see [`KafkaSettings::topic`].
    pub name: String,
    /// What the record key is, in words.
    pub key: String,
    /// The record type under `<topic>-value` in the registry.
    pub schema: Option<String>,
    pub partitions: i32,
    /// None: as many as the broker's `default.replication.factor` says.
    pub replication: Option<i32>,
    pub cleanup: Cleanup,
    /// None: for ever.
    pub retention: Option<Duration>,
    pub max_message_bytes: u64,
    pub timestamp: Timestamp,
    /// Roles, and `clients` for whoever is outside.
    pub writers: Vec<String>,
    pub readers: Vec<String>,
}

/// `cleanup.policy`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleanup {
    Delete,
    Compact,
}

/// `message.timestamp.type`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timestamp {
    Create,
    Append,
}

/// A group whose offsets are committed to Kafka and are never guessed: `apply` writes the first ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Without the prefix; see [`KafkaSettings::group`].
    pub name: String,
    pub inputs: Vec<Input>,
}

/// A topic that a group works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// One of ours without the prefix, or a user's own topic by its full name.
    pub topic: String,
    /// False: a user's own topic, which gets no prefix and is never created or altered.
    pub own: bool,
    /// Its share of the slots when several inputs have records waiting.
    pub weight: u32,
    pub value: Value,
    /// The chain (`name` or `name@version`) that runs for each record of this topic.
    pub chain: Option<String>,
    /// The tenant that every record of this topic belongs to.
    pub tenant: Option<String>,
}

/// What the record values of an input are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// Millrace's own record for that topic.
    Request,
    /// Any Avro record in Confluent's wire format: the chain's input.
    Avro,
    /// JSON text: the chain's input.
    Json,
}

impl Topic {
    /// Kafka's configuration entries for this topic.
    #[must_use]
    pub fn configs(&self) -> BTreeMap<String, String> {
        let mut configs = BTreeMap::from([
            ("max.message.bytes".to_owned(), self.max_message_bytes.to_string()),
            ("message.timestamp.type".to_owned(), self.timestamp.config().to_owned()),
            ("cleanup.policy".to_owned(), self.cleanup.config().to_owned()),
        ]);
        if self.cleanup == Cleanup::Delete {
            let millis = self
                .retention
                .map_or("-1".to_owned(), |retention| retention.as_millis().to_string());
            configs.insert("retention.ms".to_owned(), millis);
        }
        configs
    }
}

impl Cleanup {
    fn config(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Compact => "compact",
        }
    }
}

impl Timestamp {
    fn config(self) -> &'static str {
        match self {
            Self::Create => "CreateTime",
            Self::Append => "LogAppendTime",
        }
    }
}

impl Input {
    /// As it is called on the cluster.
    #[must_use]
    pub fn full_topic(&self, kafka: &KafkaSettings) -> String {
        if self.own {
            kafka.topic(&self.topic)
        } else {
            self.topic.clone()
        }
    }
}

/// Where no topic takes requests.
const MAX_REQUEST_BYTES: u64 = 1 << 20;

impl Catalog {
    /// The list that is shipped with the binary.
    ///
    /// # Errors
    /// Never for a released binary: a test parses it.
    pub fn embedded() -> Result<Self, CatalogError> {
        Self::parse(EMBEDDED, Path::new("topics.yaml"))
    }

    /// The list in a file, in place of the shipped one.
    ///
    /// # Errors
    /// When the file cannot be read, and all its mistakes at once.
    pub fn load(path: &Path) -> Result<Self, CatalogError> {
        let text = std::fs::read_to_string(path).map_err(|source| CatalogError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text, path)
    }

    /// `path` only names the source in messages.
    ///
    /// # Errors
    /// All mistakes at once, each with its line and column.
    pub fn parse(text: &str, path: &Path) -> Result<Self, CatalogError> {
        parse::parse(text, &path.display().to_string()).map_err(CatalogError::Problems)
    }

    /// One of Millrace's own topics by its name without the prefix.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<&Topic> {
        self.topics.iter().find(|topic| topic.name == name)
    }

    /// Of the topics that take requests, what the one that takes most takes: a run can be resumed there, whatever its state.
    /// Limits of topics count what was compressed; a value that is longer when it is read is nobody's request.
    #[must_use]
    pub fn max_request_bytes(&self) -> usize {
        let requests = self
            .topics
            .iter()
            .filter(|topic| topic.schema.as_deref() == Some("Request"));
        let largest = requests.map(|topic| topic.max_message_bytes).max();
        usize::try_from(largest.unwrap_or(MAX_REQUEST_BYTES)).unwrap_or(usize::MAX)
    }

    #[must_use]
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{}", yaml::listed(.0))]
    Problems(Vec<Problem>),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> Vec<String> {
        let error = Catalog::parse(text, Path::new("topics.yaml")).unwrap_err();
        error.to_string().lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_shipped_list_is_right_and_has_every_topic_of_the_path() {
        let catalog = Catalog::embedded().unwrap();
        let names: Vec<&str> = catalog.topics.iter().map(|topic| topic.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "requests",
                "requests.interactive",
                "results",
                "audit",
                "attempts",
                "dead-letters",
                "tokens",
                "documents",
                "control",
                "chains",
                "limits",
                "audit-heads",
                "instances"
            ]
        );
        assert_eq!(catalog.topic("limits").unwrap().partitions, 1);
        assert_eq!(
            catalog.topic("requests").unwrap().configs()["message.timestamp.type"],
            "LogAppendTime"
        );
        assert_eq!(catalog.topic("chains").unwrap().configs()["cleanup.policy"], "compact");
    }

    #[test]
    fn every_mistake_is_told_at_once_with_its_place() {
        let text = "\
topics:
  - name: events
    key: any
    partitions: none
    retention: 7d
    cleanup: compact
    max_message: 1MB
    writers: clients
    readers: [worker]
    colour: red
groups:
  - name: worker
    inputs:
      - topic: tickets
      - {topic: events, chain: triage}
";
        assert_eq!(
            mistakes(text),
            [
                "topics.yaml:4:17: `partitions` of a topic must be a whole number of at least 1, not `none`",
                "topics.yaml:5:16: `retention` has no meaning on a compacted topic: leave it out",
                "topics.yaml:7:18: `max_message` of a topic must be a size from 1MiB to 2047MiB such as `4MiB`, not \
                 `1MB`",
                "topics.yaml:8:14: `writers` must be a list, and this is text",
                "  help: for example `writers: [orchestrator]`",
                "topics.yaml:10:5: unknown key `colour` in a topic",
                "  help: there is: name, key, schema, partitions, replication, cleanup, retention, max_message, \
                 timestamp, writers, readers",
                "topics.yaml:14:16: `tickets` is not in `topics`, so it is a topic of your own: add `value: avro`, \
                 `json` or `request`",
                "topics.yaml:15:17: `events` is not in `topics`, so it is a topic of your own: add `value: avro`, \
                 `json` or `request`",
            ]
        );
    }

    #[test]
    fn what_is_not_yaml_is_told_with_its_place() {
        assert!(mistakes("topics: [")[0].starts_with("topics.yaml:2:1: this is not YAML"));
        assert_eq!(mistakes(""), ["topics.yaml:1:1: the file is empty"]);
        let told = mistakes("topics: &a []\ngroups: *a");
        assert_eq!(told[0], "topics.yaml:1:9: anchors are not supported");
        assert_eq!(told[2], "topics.yaml:2:9: aliases are not supported");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_taken_or_told_about(text in "(\\PC|[\n:\\[\\]{}, -])*") {
            if let Err(error) = Catalog::parse(&text, Path::new("topics.yaml")) {
                proptest::prop_assert!(!error.to_string().is_empty());
            }
        }
    }

    #[test]
    fn dead_letters_must_hold_the_largest_input() {
        let shipped = EMBEDDED.replace("max_message: 5MiB", "max_message: 4MiB");
        let told = mistakes(&shipped);
        assert!(told[0].ends_with("`max_message` must be at least 4160KiB"), "{told:?}");
    }

    #[test]
    fn a_users_topic_is_bound_to_a_chain_and_keeps_its_name() {
        let bound = EMBEDDED.replace(
            "groups:\n  - name: orchestrator\n    inputs:",
            "groups:\n  - name: orchestrator\n    inputs:\n      \
             - {topic: tickets, chain: triage@2, value: avro, tenant: acme, weight: 3}",
        );
        let catalog = Catalog::parse(&bound, Path::new("topics.yaml")).unwrap();
        let input = &catalog.group("orchestrator").unwrap().inputs[0];
        let kafka = KafkaSettings {
            bootstrap_servers: String::new(),
            prefix: "millrace.".to_owned(),
            client: Default::default(),
        };
        assert_eq!(input.full_topic(&kafka), "tickets");
        assert_eq!(
            (input.value, input.chain.as_deref(), input.weight),
            (Value::Avro, Some("triage@2"), 3)
        );

        let rights = catalog.rights(&kafka);
        let has = |kind, name: &str, prefixed, operation| {
            let resource = Resource {
                kind,
                name: name.to_owned(),
                prefixed,
            };
            rights.contains(&Right {
                role: "orchestrator".to_owned(),
                resource,
                operation,
            })
        };
        assert!(has(ResourceKind::Topic, "tickets", false, Operation::Read));
        assert!(has(
            ResourceKind::TransactionalId,
            "millrace.orchestrator.",
            true,
            Operation::Write
        ));
        assert!(has(
            ResourceKind::Group,
            "millrace.orchestrator",
            false,
            Operation::Read
        ));
    }
}

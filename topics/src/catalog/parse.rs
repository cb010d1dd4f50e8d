//! From YAML to the catalog, with every mistake and its place.

use std::{collections::BTreeSet, time::Duration};

use yaml::{Fields, Node, Placed, Position, Problem, Problems, count, duration, word};

use super::{Catalog, Cleanup, DEAD_LETTER_HEADROOM, Group, Input, Timestamp, Topic, Value};

pub(super) fn parse(source: &str, file: &str) -> Result<Catalog, Vec<Problem>> {
    let problems = Problems::of(file);
    let catalog = Node::read(source, &problems).and_then(|root| catalog(&root, &problems));
    problems.unless_any(catalog)
}

fn catalog(root: &Node, problems: &Problems) -> Option<Catalog> {
    let file = Fields::of(root, "the file", &["topics", "groups"], &[], problems)?;
    let topics = list(&file, "topics", "[{name: requests, ...}]");
    let groups = list(&file, "groups", "[{name: orchestrator, ...}]");
    let topics: Vec<_> = topics.iter().filter_map(|node| topic(node, problems)).collect();
    unique(
        topics.iter().map(|topic| (topic.position, topic.value.name.as_str())),
        problems,
    );
    let own = topics.iter().map(|topic| topic.value.name.as_str()).collect();
    let groups: Vec<_> = groups.iter().filter_map(|node| group(node, &own, problems)).collect();
    unique(
        groups.iter().map(|group| (group.position, group.value.name.as_str())),
        problems,
    );
    dead_letters_hold_every_input(&topics, &groups, problems);
    let values = |topics: Vec<Placed<Topic>>| topics.into_iter().map(|topic| topic.value).collect();
    Some(Catalog {
        topics: values(topics),
        groups: groups.into_iter().map(|group| group.value).collect(),
    })
}

fn topic(node: &Node, problems: &Problems) -> Option<Placed<Topic>> {
    let known = [
        "name",
        "key",
        "schema",
        "partitions",
        "replication",
        "cleanup",
        "retention",
        "max_message",
        "timestamp",
        "writers",
        "readers",
    ];
    let fields = Fields::of(node, "a topic", &known, &[], problems)?;
    let name = fields.require_scalar("name", "results", name);
    let key = fields.require_scalar("key", "the request's", word);
    let schema = fields.scalar("schema", word);
    let partitions = fields.require_scalar("partitions", "6", count);
    let replication = fields.scalar("replication", count);
    let cleanup = fields
        .scalar("cleanup", cleanup)
        .map_or(Cleanup::Delete, |cleanup| cleanup.value);
    let retention = retention(&fields, cleanup);
    let max_message = fields.require_scalar("max_message", "1MiB", bytes);
    let timestamp = fields
        .scalar("timestamp", timestamp)
        .map_or(Timestamp::Create, |timestamp| timestamp.value);
    let writers = names(&fields, "writers");
    let readers = names(&fields, "readers");
    let name = name?;
    Some(Placed {
        position: name.position,
        value: Topic {
            name: name.value,
            key: key?.value.to_owned(),
            schema: schema.map(|schema| schema.value.to_owned()),
            partitions: partitions?.value,
            replication: replication.map(|replication| replication.value),
            cleanup,
            retention,
            max_message_bytes: max_message?.value,
            timestamp,
            writers,
            readers,
        },
    })
}

/// A compacted topic keeps the last record of each key, however old.
fn retention(fields: &Fields<'_>, cleanup: Cleanup) -> Option<Duration> {
    match (fields.scalar("retention", duration), cleanup) {
        (Some(retention), Cleanup::Delete) => Some(retention.value),
        (Some(retention), Cleanup::Compact) => {
            fields.problems.add_plain(
                retention.position,
                "`retention` has no meaning on a compacted topic: leave it out",
            );
            None
        }
        (None, Cleanup::Delete | Cleanup::Compact) => None,
    }
}

fn group(node: &Node, own: &BTreeSet<&str>, problems: &Problems) -> Option<Placed<Group>> {
    let fields = Fields::of(node, "a group", &["name", "inputs"], &[], problems)?;
    let name = fields.require_scalar("name", "orchestrator", name);
    let inputs = list(&fields, "inputs", "[{topic: requests, weight: 1}]");
    let inputs: Vec<_> = inputs.iter().filter_map(|node| input(node, own, problems)).collect();
    unique(
        inputs.iter().map(|input| (input.position, input.value.topic.as_str())),
        problems,
    );
    let name = name?;
    Some(Placed {
        position: name.position,
        value: Group {
            name: name.value,
            inputs: inputs.into_iter().map(|input| input.value).collect(),
        },
    })
}

fn input(node: &Node, own: &BTreeSet<&str>, problems: &Problems) -> Option<Placed<Input>> {
    let known = ["topic", "weight", "value", "chain", "tenant"];
    let fields = Fields::of(node, "an input", &known, &[], problems)?;
    let topic = fields.require_scalar("topic", "requests", name);
    let weight = fields.scalar("weight", count).map_or(1, |weight| weight.value);
    let value = fields.scalar("value", value);
    let chain = fields.scalar("chain", word);
    let tenant = fields.scalar("tenant", tenant);
    let topic = topic?;
    let own = own.contains(topic.value.as_str());
    match (&value, &chain) {
        (Some(value), _) if own && value.value != Value::Request => {
            problems.add_plain(
                value.position,
                format!("`{}` carries Millrace's own records: leave `value` out", topic.value),
            );
        }
        (_, Some(chain)) if own => {
            problems.add_plain(
                chain.position,
                format!(
                    "a record of `{}` names its chain itself: leave `chain` out",
                    topic.value
                ),
            );
        }
        (None, _) if !own => {
            let message = format!(
                "`{}` is not in `topics`, so it is a topic of your own: add `value: avro`, `json` or `request`",
                topic.value
            );
            problems.add_plain(topic.position, message);
        }
        (Some(value), None) if value.value != Value::Request => {
            problems.add_plain(
                topic.position,
                "the records of this topic are a chain's input: add `chain: name@version`",
            );
        }
        (Some(value), Some(chain)) if value.value == Value::Request => {
            problems.add_plain(
                chain.position,
                "with `value: request` a record names its chain itself: leave `chain` out",
            );
        }
        (Some(_) | None, Some(_) | None) => {}
    }
    Some(Placed {
        position: topic.position,
        value: Input {
            topic: topic.value,
            own,
            weight,
            value: value.map_or(Value::Request, |value| value.value),
            chain: chain.map(|chain| chain.value.to_owned()),
            tenant: tenant.map(|tenant| tenant.value),
        },
    })
}

fn dead_letters_hold_every_input(topics: &[Placed<Topic>], groups: &[Placed<Group>], problems: &Problems) {
    let find = |name: &str| topics.iter().find(|topic| topic.value.name == name);
    let Some(dead_letters) = find("dead-letters") else {
        return;
    };
    let largest = groups
        .iter()
        .flat_map(|group| &group.value.inputs)
        .filter_map(|input| find(&input.topic))
        .max_by_key(|topic| topic.value.max_message_bytes);
    let Some(largest) = largest else { return };
    let needed = largest.value.max_message_bytes + DEAD_LETTER_HEADROOM;
    if dead_letters.value.max_message_bytes < needed {
        let message = format!(
            "a dead letter holds a whole record of `{}`: `max_message` must be at least {}KiB",
            largest.value.name,
            needed.div_ceil(1024)
        );
        problems.add_plain(dead_letters.position, message);
    }
}

fn unique<'a>(names: impl Iterator<Item = (Position, &'a str)>, problems: &Problems) {
    let mut seen = BTreeSet::new();
    for (position, name) in names {
        if !seen.insert(name) {
            problems.add(position, format!("`{name}` is listed twice"), "keep one of the two");
        }
    }
}

fn list<'n>(fields: &Fields<'n>, key: &str, example: &str) -> &'n [Node] {
    fields.require_list(key, example).unwrap_or_default()
}

fn names(fields: &Fields<'_>, key: &str) -> Vec<String> {
    let mut names = Vec::new();
    for node in list(fields, key, "[orchestrator]") {
        match node.written() {
            Some(role) if !role.is_empty() => names.push(role.to_owned()),
            Some(_) | None => {
                let message = format!("`{key}` is a list of roles, or `clients`");
                fields.problems.add_plain(node.position, message);
            }
        }
    }
    names
}

/// Kafka's rule for topic names; group names keep to it as well.
fn name(text: &str) -> Result<String, String> {
    let legal = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    if legal && (1..=249).contains(&text.len()) && text != "." && text != ".." {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "must be 1 to 249 of a-z, A-Z, 0-9, `.`, `_` and `-`, not `{text}`"
        ))
    }
}

fn tenant(text: &str) -> Result<String, String> {
    let legal = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-'));
    if legal && (1..=128).contains(&text.len()) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "must be 1 to 128 of a-z, A-Z, 0-9, `.`, `_`, `:` and `-`, not `{text}`"
        ))
    }
}

fn cleanup(text: &str) -> Result<Cleanup, String> {
    match text {
        "delete" => Ok(Cleanup::Delete),
        "compact" => Ok(Cleanup::Compact),
        _ => Err(format!("must be `delete` or `compact`, not `{text}`")),
    }
}

fn timestamp(text: &str) -> Result<Timestamp, String> {
    match text {
        "create" => Ok(Timestamp::Create),
        "append" => Ok(Timestamp::Append),
        _ => Err(format!("must be `create` or `append`, not `{text}`")),
    }
}

fn value(text: &str) -> Result<Value, String> {
    match text {
        "request" => Ok(Value::Request),
        "avro" => Ok(Value::Avro),
        "json" => Ok(Value::Json),
        _ => Err(format!("must be `avro`, `json` or `request`, not `{text}`")),
    }
}

/// At least 1 MiB: `max.message.bytes` counts a whole batch, librdkafka fills batches of 1 MB (`batch.size`), and a
/// refused batch takes every record in it along.
fn bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let factor = match unit {
        "KiB" => Some(1_u64 << 10),
        "MiB" => Some(1 << 20),
        _ => None,
    };
    factor
        .zip(number.parse::<u64>().ok())
        .and_then(|(factor, number)| factor.checked_mul(number))
        .filter(|bytes| (1 << 20..=i32::MAX as u64).contains(bytes))
        .ok_or_else(|| format!("must be a size from 1MiB to 2047MiB such as `4MiB`, not `{text}`"))
}

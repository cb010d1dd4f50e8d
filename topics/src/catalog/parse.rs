//! From YAML to the catalog, with every mistake and its place.

use std::{collections::BTreeSet, time::Duration};

use super::{
    Catalog, Cleanup, DEAD_LETTER_HEADROOM, Group, Input, Timestamp, Topic, Value,
    fields::{Fields, Placed, bytes, count, duration, text},
    yaml::{self, Content, Mistake, Node, Place},
};

pub(super) fn parse(source: &str) -> Result<Catalog, Vec<Mistake>> {
    let root = yaml::parse(source).map_err(|mistake| vec![mistake])?;
    let mut mistakes = Vec::new();
    let catalog = catalog(&root, &mut mistakes);
    mistakes.sort_by_key(|mistake| (mistake.line, mistake.column));
    match catalog {
        Some(catalog) if mistakes.is_empty() => Ok(catalog),
        Some(_) | None => Err(mistakes),
    }
}

fn catalog(root: &Node, mistakes: &mut Vec<Mistake>) -> Option<Catalog> {
    let mut file = Fields::of(root, "the file", mistakes)?;
    let topics = file.list("topics", "[{name: requests, ...}]");
    let groups = file.list("groups", "[{name: orchestrator, ...}]");
    file.finish();
    let topics: Vec<_> = topics.iter().filter_map(|node| topic(node, mistakes)).collect();
    unique(
        topics.iter().map(|topic| (topic.place, topic.value.name.as_str())),
        mistakes,
    );
    let own = topics.iter().map(|topic| topic.value.name.as_str()).collect();
    let groups: Vec<_> = groups.iter().filter_map(|node| group(node, &own, mistakes)).collect();
    unique(
        groups.iter().map(|group| (group.place, group.value.name.as_str())),
        mistakes,
    );
    dead_letters_hold_every_input(&topics, &groups, mistakes);
    let values = |topics: Vec<Placed<Topic>>| topics.into_iter().map(|topic| topic.value).collect();
    Some(Catalog {
        topics: values(topics),
        groups: groups.into_iter().map(|group| group.value).collect(),
    })
}

fn topic(node: &Node, mistakes: &mut Vec<Mistake>) -> Option<Placed<Topic>> {
    let mut fields = Fields::of(node, "a topic", mistakes)?;
    let name = fields.required_scalar("name", "results", name);
    let key = fields.required_scalar("key", "the request's", text);
    let schema = fields.scalar("schema", text);
    let partitions = fields.required_scalar("partitions", "6", count);
    let replication = fields.scalar("replication", count);
    let cleanup = fields
        .scalar("cleanup", cleanup)
        .map_or(Cleanup::Delete, |cleanup| cleanup.value);
    let retention = retention(&mut fields, cleanup);
    let max_message = fields.required_scalar("max_message", "1MiB", bytes);
    let timestamp = fields
        .scalar("timestamp", timestamp)
        .map_or(Timestamp::Create, |timestamp| timestamp.value);
    let writers = names(&mut fields, "writers");
    let readers = names(&mut fields, "readers");
    fields.finish();
    let name = name?;
    Some(Placed {
        place: name.place,
        value: Topic {
            name: name.value,
            key: key?.value,
            schema: schema.map(|schema| schema.value),
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
fn retention(fields: &mut Fields<'_, '_>, cleanup: Cleanup) -> Option<Duration> {
    match (fields.scalar("retention", duration), cleanup) {
        (Some(retention), Cleanup::Delete) => Some(retention.value),
        (Some(retention), Cleanup::Compact) => {
            fields.wrong(
                retention.place,
                "`retention` has no meaning on a compacted topic: leave it out",
            );
            None
        }
        (None, Cleanup::Delete | Cleanup::Compact) => None,
    }
}

fn group(node: &Node, own: &BTreeSet<&str>, mistakes: &mut Vec<Mistake>) -> Option<Placed<Group>> {
    let mut fields = Fields::of(node, "a group", mistakes)?;
    let name = fields.required_scalar("name", "orchestrator", name);
    let inputs = fields.list("inputs", "[{topic: requests, weight: 1}]");
    fields.finish();
    let inputs: Vec<_> = inputs.iter().filter_map(|node| input(node, own, mistakes)).collect();
    unique(
        inputs.iter().map(|input| (input.place, input.value.topic.as_str())),
        mistakes,
    );
    let name = name?;
    Some(Placed {
        place: name.place,
        value: Group {
            name: name.value,
            inputs: inputs.into_iter().map(|input| input.value).collect(),
        },
    })
}

fn input(node: &Node, own: &BTreeSet<&str>, mistakes: &mut Vec<Mistake>) -> Option<Placed<Input>> {
    let mut fields = Fields::of(node, "an input", mistakes)?;
    let topic = fields.required_scalar("topic", "requests", name);
    let weight = fields.scalar("weight", count).map_or(1, |weight| weight.value);
    let value = fields.scalar("value", value);
    let chain = fields.scalar("chain", text);
    let tenant = fields.scalar("tenant", tenant);
    let topic = topic?;
    let own = own.contains(topic.value.as_str());
    match (&value, &chain) {
        (Some(value), _) if own && value.value != Value::Request => {
            fields.wrong(
                value.place,
                format!("`{}` carries Millrace's own records: leave `value` out", topic.value),
            );
        }
        (_, Some(chain)) if own => {
            fields.wrong(
                chain.place,
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
            fields.wrong(topic.place, message);
        }
        (Some(value), None) if value.value != Value::Request => {
            fields.wrong(
                topic.place,
                "the records of this topic are a chain's input: add `chain: name@version`",
            );
        }
        (Some(value), Some(chain)) if value.value == Value::Request => {
            fields.wrong(
                chain.place,
                "with `value: request` a record names its chain itself: leave `chain` out",
            );
        }
        (Some(_) | None, Some(_) | None) => {}
    }
    fields.finish();
    Some(Placed {
        place: topic.place,
        value: Input {
            topic: topic.value,
            own,
            weight,
            value: value.map_or(Value::Request, |value| value.value),
            chain: chain.map(|chain| chain.value),
            tenant: tenant.map(|tenant| tenant.value),
        },
    })
}

fn dead_letters_hold_every_input(topics: &[Placed<Topic>], groups: &[Placed<Group>], mistakes: &mut Vec<Mistake>) {
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
        mistakes.push(dead_letters.place.mistake(format!(
            "a dead letter holds a whole record of `{}`: `max_message` must be at least {}KiB",
            largest.value.name,
            needed.div_ceil(1024)
        )));
    }
}

fn unique<'a>(names: impl Iterator<Item = (Place, &'a str)>, mistakes: &mut Vec<Mistake>) {
    let mut seen = BTreeSet::new();
    for (place, name) in names {
        if !seen.insert(name) {
            mistakes.push(place.mistake(format!("`{name}` is listed twice")));
        }
    }
}

fn names(fields: &mut Fields<'_, '_>, key: &'static str) -> Vec<String> {
    let mut names = Vec::new();
    for node in fields.list(key, "[orchestrator]") {
        match &node.content {
            Content::Scalar(role) if !role.is_empty() => names.push(role.clone()),
            Content::Scalar(_) | Content::List(_) | Content::Map(_) => {
                fields.wrong(node.place, format!("`{key}` is a list of roles, or `clients`"));
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

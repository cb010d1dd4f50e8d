//! What an index is, in the two shapes of Pinecone's control plane.
//!
//! Until `2026-04` an index has `dimension`, `metric` and `spec`; from `2026-07` on it has a `schema` of fields and a
//! `deployment`, and the reserved field `_values` stands for the vectors of the older shape. Clients of both are in use:
//! the Python client 7 (which langchain-pinecone needs) speaks the former, 10 the latter.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::refusal::Refusal;
use crate::Metric;

const MOST_DIMENSIONS: u32 = 20_000;
const LONGEST_NAME: usize = 45;
const DENSE_FIELD: &str = "_values";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Definition {
    pub(super) name: String,
    pub(super) dimension: u32,
    pub(super) metric: Metric,
    cloud: String,
    region: String,
    tags: Map<String, Value>,
}

/// Which of the two shapes a client understands, by its `X-Pinecone-Api-Version`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ControlShape {
    Spec,
    Schema,
}

impl ControlShape {
    /// Versions are dates, so they compare as text. Without one it is the older shape.
    pub(super) fn of_version(version: &str) -> Self {
        if version >= "2026-07" { Self::Schema } else { Self::Spec }
    }
}

impl Definition {
    pub(super) fn parse(body: &Value, shape: ControlShape) -> Result<Self, Refusal> {
        let name = body["name"]
            .as_str()
            .ok_or_else(|| Refusal::invalid("an index needs a `name`"))?;
        check_name(name)?;
        if body["deletion_protection"] == "enabled" {
            return Err(Refusal::unimplemented("deletion_protection"));
        }
        if body["vector_type"] == "sparse" {
            return Err(Refusal::unimplemented("an index of sparse vectors"));
        }
        let (vectors, place) = match shape {
            ControlShape::Spec => (body, serverless(&body["spec"])?),
            ControlShape::Schema => (dense_field(&body["schema"])?, managed(&body["deployment"])?),
        };
        let text = |value: &Value, default: &str| value.as_str().unwrap_or(default).to_owned();
        Ok(Self {
            name: name.to_owned(),
            dimension: dimension(&vectors["dimension"])?,
            metric: metric(&vectors["metric"])?,
            cloud: text(&place["cloud"], "aws"),
            region: text(&place["region"], "us-east-1"),
            tags: match &body["tags"] {
                Value::Null => Map::new(),
                Value::Object(tags) if tags.values().all(Value::is_string) => tags.clone(),
                _ => return Err(Refusal::invalid("`tags` is a map of strings")),
            },
        })
    }

    /// `host` is where the index's vectors are.
    pub(super) fn describe(&self, host: &str, shape: ControlShape) -> Value {
        let mut description = json!({
            "name": self.name,
            "host": host,
            "status": {"ready": true, "state": "Ready"},
            "deletion_protection": "disabled",
            "tags": self.tags,
        });
        let own = match shape {
            ControlShape::Spec => json!({
                "dimension": self.dimension,
                "metric": self.metric,
                "vector_type": "dense",
                "spec": {"serverless": {"cloud": self.cloud, "region": self.region}},
            }),
            ControlShape::Schema => json!({
                "schema": {"fields": {DENSE_FIELD: {
                    "type": "dense_vector",
                    "dimension": self.dimension,
                    "metric": self.metric,
                }}},
                "deployment": {"deployment_type": "managed", "cloud": self.cloud, "region": self.region},
                "read_capacity": {"mode": "OnDemand", "status": {"state": "Ready"}},
            }),
        };
        if let (Value::Object(description), Value::Object(own)) = (&mut description, own) {
            description.extend(own);
        }
        description
    }
}

fn check_name(name: &str) -> Result<(), Refusal> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fits = (1..=LONGEST_NAME).contains(&name.len());
    if fits && name.bytes().all(allowed) && !name.starts_with('-') && !name.ends_with('-') {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "the index name {name:?} must be 1 to {LONGEST_NAME} lower case letters, digits or '-', and begin and end with a \
         letter or digit"
    )))
}

fn serverless(spec: &Value) -> Result<&Value, Refusal> {
    match &spec["serverless"] {
        Value::Null => Err(Refusal::unimplemented("an index whose `spec` is not `serverless`")),
        serverless => Ok(serverless),
    }
}

fn managed(deployment: &Value) -> Result<&Value, Refusal> {
    match deployment["deployment_type"].as_str() {
        None | Some("managed") => Ok(deployment),
        Some(other) => Err(Refusal::unimplemented(&format!("the deployment type {other:?}"))),
    }
}

fn dense_field(schema: &Value) -> Result<&Value, Refusal> {
    let fields = schema["fields"]
        .as_object()
        .ok_or_else(|| Refusal::invalid("an index needs `schema.fields`"))?;
    match fields.get(DENSE_FIELD) {
        Some(field) if fields.len() == 1 && field["type"] == "dense_vector" => Ok(field),
        _ => Err(Refusal::unimplemented(
            "schemas other than one field `_values` of type dense_vector (documents, text and sparse vectors)",
        )),
    }
}

fn dimension(value: &Value) -> Result<u32, Refusal> {
    value
        .as_u64()
        .and_then(|dimension| u32::try_from(dimension).ok())
        .filter(|dimension| (1..=MOST_DIMENSIONS).contains(dimension))
        .ok_or_else(|| Refusal::invalid(format!("`dimension` must be 1 to {MOST_DIMENSIONS}, not {value}")))
}

fn metric(value: &Value) -> Result<Metric, Refusal> {
    match value.as_str() {
        None if value.is_null() => Ok(Metric::Cosine),
        Some("cosine") => Ok(Metric::Cosine),
        Some("dotproduct") => Ok(Metric::DotProduct),
        Some("euclidean") => Ok(Metric::Euclidean),
        _ => Err(Refusal::invalid(format!(
            "`metric` must be cosine, dotproduct or euclidean, not {value}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_shapes_define_the_same_index() {
        let spec = json!({
            "name": "docs", "dimension": 8, "metric": "euclidean", "vector_type": "dense",
            "spec": {"serverless": {"cloud": "gcp", "region": "europe-west4"}},
        });
        let schema = json!({
            "name": "docs",
            "schema": {"fields": {"_values": {"type": "dense_vector", "dimension": 8, "metric": "euclidean"}}},
            "deployment": {"deployment_type": "managed", "cloud": "gcp", "region": "europe-west4"},
        });
        assert_eq!(
            Definition::parse(&spec, ControlShape::of_version("2025-04")).unwrap(),
            Definition::parse(&schema, ControlShape::of_version("2026-07")).unwrap(),
        );
    }

    #[test]
    fn what_an_index_cannot_be_is_said() {
        let check = |body: Value, part: &str| {
            let refusal = Definition::parse(&body, ControlShape::Spec).unwrap_err();
            assert!(refusal.message.contains(part), "{body}: {}", refusal.message);
        };
        let spec = json!({"serverless": {}});
        check(json!({}), "`name`");
        check(json!({"name": "Docs"}), "lower case");
        check(json!({"name": "d".repeat(46)}), "1 to 45");
        check(json!({"name": "../docs"}), "lower case");
        check(json!({"name": "docs", "spec": {"pod": {}}}), "does not support");
        check(json!({"name": "docs", "spec": spec, "dimension": 0}), "1 to 20000");
        check(json!({"name": "docs", "spec": spec, "dimension": 20_001}), "1 to 20000");
        check(
            json!({"name": "docs", "spec": spec, "dimension": 8, "metric": "manhattan"}),
            "cosine",
        );
        check(
            json!({"name": "docs", "deletion_protection": "enabled"}),
            "does not support",
        );
    }
}

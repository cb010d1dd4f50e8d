//! What a chain calls an index, and what it stands for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One entry of `indexes:` in `millrace.yaml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexSpec {
    /// The name that chains use: `retrieve: {index: docs}`.
    pub name: String,
    /// The index at Pinecone: at most 45 of `[a-z0-9-]`.
    pub index: String,
    /// The alias in the models file that embeds both documents and questions: they must be the same model's vectors.
    pub embedding: String,
    /// Numbers per vector, at most 20,000.
    pub dimension: u32,
    #[serde(default)]
    pub metric: Metric,
    /// The metadata key that holds a chunk's text.
    #[serde(default = "default_text_key")]
    pub text_key: String,
    /// The metadata by which chains may filter: `{year: number}`. Filters are held to it; where it is empty, by any.
    #[serde(default)]
    pub fields: BTreeMap<String, FieldType>,
}

impl IndexSpec {
    /// The namespace that holds a tenant's vectors. The indexer writes there and a chain reads there, so no question can
    /// reach another tenant's documents, whatever its filter says.
    #[must_use]
    pub fn namespace<'t>(&self, tenant: &'t str) -> &'t str {
        tenant
    }
}

fn default_text_key() -> String {
    "text".to_owned()
}

/// What a metadata field holds. Pinecone has no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldType {
    String,
    Number,
    Boolean,
    /// Of strings.
    List,
}

impl FieldType {
    /// What a document that knows only texts means: the value of this type that `text` is in JSON, else the text.
    #[must_use]
    pub fn of_text(self, text: &str) -> Value {
        let value = serde_json::from_str(text).ok().filter(|value| match (self, value) {
            (Self::Number, Value::Number(_)) | (Self::Boolean, Value::Bool(_)) => true,
            (Self::List, Value::Array(items)) => items.iter().all(Value::is_string),
            _ => false,
        });
        value.unwrap_or_else(|| Value::String(text.to_owned()))
    }
}

/// How similarity is measured, in Pinecone's words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// Higher is nearer, 1 is the same direction.
    #[default]
    Cosine,
    /// Higher is nearer.
    DotProduct,
    /// The squared distance: lower is nearer.
    Euclidean,
}

//! What is stored and what is asked, in the names of the wire (camelCase JSON).

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Flat: string, number, bool or list of strings; at most 40 KB as JSON.
pub type Metadata = serde_json::Map<String, Value>;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Vector {
    /// 1–512 ASCII characters.
    pub id: String,
    /// As many as the index has dimensions.
    #[serde(default)]
    pub values: Vec<f32>,
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Query {
    pub namespace: String,
    pub vector: Vec<f32>,
    /// 1–10,000
    pub top_k: u32,
    /// A metadata filter in Pinecone's language: `{"genre": {"$in": ["drama", "comedy"]}}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Value>,
    pub include_values: bool,
    pub include_metadata: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Match {
    pub id: String,
    /// In the index's metric: see [`Metric`](crate::Metric) for which end is near.
    #[serde(default)]
    pub score: f32,
    /// Empty unless asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<f32>,
    /// Empty unless asked for.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
}

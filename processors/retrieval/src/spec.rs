//! What a chain calls an index, and what it stands for.

use serde::{Deserialize, Serialize};

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

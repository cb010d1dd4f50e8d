use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Shape, Timestamp};

/// Something to be indexed, so that chains can retrieve it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Document {
    pub document_id: String,
    /// Empty: the tenant of the topic's binding, or `default`.
    pub tenant: String,
    /// Where it came from: a path or a URL.
    pub source: String,
    pub title: String,
    pub content: String,
    /// Media type of the content, such as `text/markdown`; empty for `text/plain`.
    pub content_type: String,
    pub metadata: BTreeMap<String, String>,
    /// Remove it from the index.
    pub deleted: bool,
    pub updated_at: Timestamp,
}

impl Shape for Document {
    const NAME: &'static str = "Document";
    const SCHEMA: &'static str = include_str!("../avro/document.avsc");
}

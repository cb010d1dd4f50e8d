//! What the chains of these tests may name: the local models, and indexes good and bad.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use egress::{EgressSettings, HostSettings, Hosts};
use models::Models;
use orchestrator::Resources;
use retrieval::{FieldType, IndexSpec, Metric};

pub fn resources() -> Resources {
    static MODELS: LazyLock<Arc<Models>> = LazyLock::new(|| {
        // What the local ones can is not said; these say it.
        let more = "
  narrow: {provider: local, model: extractive, context: 20}
  plain: {provider: local, model: extractive, features: []}
  able: {provider: local, model: extractive, features: [tools, json_schema, images, streaming]}
";
        let file = format!("{}{more}", models::DEFAULT_FILE);
        Arc::new(Models::load(&file, "models.yaml").expect("the models file that ships, and more"))
    });
    Resources {
        hosts: Arc::new(hosts(vec![host("api.example.com")])),
        indexes: vec![
            index("millrace-docs", "embedding", 384, Metric::Cosine),
            index("wide", "embedding", 1536, Metric::Cosine),
            index("far", "embedding", 384, Metric::Euclidean),
            index("spoken", "answer", 384, Metric::Cosine),
            IndexSpec {
                fields: [
                    ("lang", FieldType::String),
                    ("year", FieldType::Number),
                    ("draft", FieldType::Boolean),
                    ("tags", FieldType::List),
                ]
                .map(|(name, of)| (name.to_owned(), of))
                .into(),
                ..index("films", "embedding", 384, Metric::Cosine)
            },
        ],
        ..Resources::of(Arc::clone(&MODELS))
    }
}

pub fn hosts(hosts: Vec<HostSettings>) -> Hosts {
    Hosts::new(&EgressSettings { hosts }).expect("hosts that make sense")
}

/// One that has a secret.
pub fn host(name: &str) -> HostSettings {
    HostSettings {
        host: name.to_owned(),
        port: None,
        plain: false,
        private: false,
        bearer: Some("hunter2".to_owned()),
        headers: std::collections::BTreeMap::new(),
    }
}

pub fn index(name: &str, embedding: &str, dimension: u32, metric: Metric) -> IndexSpec {
    IndexSpec {
        name: name.to_owned(),
        index: name.to_owned(),
        embedding: embedding.to_owned(),
        dimension,
        metric,
        text_key: "text".to_owned(),
        fields: BTreeMap::new(),
    }
}

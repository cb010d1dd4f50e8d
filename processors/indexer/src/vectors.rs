//! What of a chunk goes into the index, and under which id.

use std::collections::HashSet;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use retrieval::{IndexSpec, Metadata, Vector};
use schemas::Document;
use sha2::{Digest, Sha256};

use crate::split::{Chunk, Splitting};

/// Ids are made of what Pinecone's fetch takes: ASCII without spaces. `#` stands between document and chunk.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'.')
    .remove(b'_')
    .remove(b'-')
    .remove(b'/')
    .remove(b':');
/// Leaves room for the chunk's part within Pinecone's 512.
const LONGEST_DOCUMENT_PART: usize = 400;
const HASH_DIGITS: usize = 32;

/// A vector that is not embedded yet.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Planned {
    pub(crate) id: String,
    /// What the model reads: the text under its title and headings, which say what the text is about.
    pub(crate) embedded: String,
    metadata: Metadata,
}

impl Planned {
    pub(crate) fn with_values(self, values: Vec<f32>) -> Vector {
        Vector {
            id: self.id,
            values,
            metadata: self.metadata,
        }
    }
}

/// The vectors that the index should hold of a document, without repetition.
pub(crate) fn planned(document: &Document, splitting: &Splitting, spec: &IndexSpec) -> Vec<Planned> {
    if document.deleted {
        return Vec::new();
    }
    let prefix = id_prefix(&document.document_id);
    let chunks = splitting.split(&document.content, &document.content_type);
    let mut planned: Vec<Planned> = chunks
        .iter()
        .map(|chunk| plan(document, chunk, &prefix, spec))
        .collect();
    let mut seen = HashSet::new();
    planned.retain(|vector| seen.insert(vector.id.clone()));
    planned
}

fn plan(document: &Document, chunk: &Chunk, prefix: &str, spec: &IndexSpec) -> Planned {
    let text = &document.content[chunk.range.clone()];
    let mut metadata = Metadata::new();
    for (key, value) in &document.metadata {
        let value = match spec.fields.get(key) {
            Some(field) => field.of_text(value),
            None => value.as_str().into(),
        };
        metadata.insert(key.clone(), value);
    }
    for (key, value) in [
        ("document_id", document.document_id.as_str()),
        ("source", &document.source),
        ("title", &document.title),
        ("heading", &chunk.heading),
        ("sha256", &hex(&Sha256::digest(text))),
        (&spec.text_key, text),
    ] {
        metadata.insert(key.to_owned(), value.into());
    }
    let embedded = [document.title.as_str(), &chunk.heading, text];
    let embedded = embedded
        .iter()
        .filter(|part| !part.is_empty())
        .copied()
        .collect::<Vec<_>>()
        .join("\n");
    let stored = serde_json::Value::Object(metadata.clone()).to_string();
    let digest = Sha256::new()
        .chain_update(&spec.embedding)
        .chain_update([0])
        .chain_update(stored);
    let hash = hex(&digest.finalize());
    Planned {
        id: format!("{prefix}{}", &hash[..HASH_DIGITS]),
        embedded,
        metadata,
    }
}

/// What the ids of a document's chunks begin with.
pub(crate) fn id_prefix(document_id: &str) -> String {
    let escaped = utf8_percent_encode(document_id, ESCAPED).to_string();
    if escaped.len() <= LONGEST_DOCUMENT_PART {
        format!("{escaped}#")
    } else {
        format!("sha256:{}#", hex(&Sha256::digest(document_id)))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use retrieval::{FieldType, Metric};
    use serde_json::{Value, json};

    use super::*;

    fn spec() -> IndexSpec {
        IndexSpec {
            name: "docs".to_owned(),
            index: "docs".to_owned(),
            embedding: "local-embed".to_owned(),
            dimension: 8,
            metric: Metric::Cosine,
            text_key: "text".to_owned(),
            fields: std::collections::BTreeMap::new(),
        }
    }

    fn document() -> Document {
        Document {
            document_id: "guide/a b.md".to_owned(),
            source: "https://example.com/guide".to_owned(),
            title: "Guide".to_owned(),
            content: "# Install\napt\n# Run\ngo\n# Install\napt\n".to_owned(),
            content_type: "text/markdown".to_owned(),
            metadata: [
                ("lang".to_owned(), "en".to_owned()),
                ("title".to_owned(), "spoofed".to_owned()),
            ]
            .into(),
            ..Document::default()
        }
    }

    fn ids(document: &Document, spec: &IndexSpec) -> Vec<String> {
        planned(document, &Splitting::default(), spec)
            .into_iter()
            .map(|planned| planned.id)
            .collect()
    }

    #[test]
    fn a_chunk_carries_where_it_comes_from() {
        let planned = planned(&document(), &Splitting::default(), &spec());
        assert_eq!(planned.len(), 2, "the repeated section is stored once");
        assert_eq!(planned[0].embedded, "Guide\nInstall\napt");
        let vector = planned[0].clone().with_values(vec![1.0]);
        assert!(vector.id.starts_with("guide/a%20b.md#") && vector.id.len() == "guide/a%20b.md#".len() + 32);
        let value = |key: &str| vector.metadata[key].as_str().unwrap();
        assert_eq!(
            ["document_id", "title", "heading", "text", "lang"].map(value),
            ["guide/a b.md", "Guide", "Install", "apt", "en"]
        );
    }

    #[test]
    fn metadata_are_of_the_type_that_the_index_declares() {
        let fields = [
            ("year", FieldType::Number),
            ("draft", FieldType::Boolean),
            ("tags", FieldType::List),
            ("lang", FieldType::String),
        ];
        let spec = IndexSpec {
            fields: fields.map(|(name, of)| (name.to_owned(), of)).into(),
            ..spec()
        };
        let stored = |metadata: [(&str, &str); 5]| {
            let document = Document {
                metadata: metadata.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
                ..document()
            };
            let planned = planned(&document, &Splitting::default(), &spec);
            ["year", "draft", "tags", "lang", "other"].map(|key| planned[0].metadata[key].clone())
        };

        assert_eq!(
            stored([
                ("year", "1979"),
                ("draft", "true"),
                ("tags", r#"["a"]"#),
                ("lang", "1"),
                ("other", "1")
            ]),
            [json!(1979), json!(true), json!(["a"]), json!("1"), json!("1")]
        );
        assert_eq!(
            stored([
                ("year", "soon"),
                ("draft", "1"),
                ("tags", "[1]"),
                ("lang", "en"),
                ("other", "x")
            ]),
            ["soon", "1", "[1]", "en", "x"].map(Value::from),
            "what is not of the type stays what it was"
        );
    }

    #[test]
    fn the_same_content_has_the_same_ids_and_any_other_has_not() {
        let first = ids(&document(), &spec());
        assert_eq!(ids(&document(), &spec()), first);
        let changed = Document {
            content: document().content.replace("go", "gone"),
            ..document()
        };
        let changed = ids(&changed, &spec());
        assert!(changed[0] == first[0] && changed[1] != first[1]);
        let retitled = Document {
            title: "Handbook".to_owned(),
            ..document()
        };
        assert!(ids(&retitled, &spec()).iter().all(|id| !first.contains(id)));
        let other_model = IndexSpec {
            embedding: "other".to_owned(),
            ..spec()
        };
        assert!(ids(&document(), &other_model).iter().all(|id| !first.contains(id)));
    }

    #[test]
    fn a_deleted_document_has_no_chunks() {
        let deleted = Document {
            deleted: true,
            ..document()
        };
        assert!(ids(&deleted, &spec()).is_empty());
    }

    proptest! {
        #[test]
        fn prefixes_fit_and_tell_documents_apart(a in ".{1,600}", b in ".{1,600}") {
            let prefix = id_prefix(&a);
            prop_assert!(prefix.len() + HASH_DIGITS <= 512);
            prop_assert!(prefix.bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert_eq!(prefix.bytes().filter(|byte| *byte == b'#').count(), 1);
            prop_assert_eq!(a == b, prefix == id_prefix(&b));
        }
    }
}

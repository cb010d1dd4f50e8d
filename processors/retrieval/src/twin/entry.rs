//! What a log says: one [`Header`], then one [`Entry`] for each write.
//!
//! A payload is `json length: u32 LE, JSON, f32 LE...`, where the values follow the JSON in the order of the vectors: as
//! JSON they would take three times the room and most of the time it takes to start.

use serde::{Deserialize, Serialize, Serializer, de::DeserializeOwned};

use super::definition::Definition;
use crate::{Metadata, Vector};

pub(super) const FORMAT: u32 = 1;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) format: u32,
    pub(super) definition: Definition,
    /// The log sequence number before the first entry. Each entry adds one.
    pub(super) lsn: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(super) enum Entry {
    Upsert {
        namespace: String,
        #[serde(serialize_with = "without_values")]
        vectors: Vec<Vector>,
    },
    Delete {
        namespace: String,
        ids: Vec<String>,
    },
    Clear {
        namespace: String,
    },
}

impl Header {
    pub(super) fn new(definition: Definition, lsn: u64) -> Self {
        Self {
            format: FORMAT,
            definition,
            lsn,
        }
    }

    pub(super) fn payload(&self) -> serde_json::Result<Vec<u8>> {
        payload(self, &[])
    }

    pub(super) fn from_payload(payload: &[u8]) -> Option<Self> {
        Some(split(payload)?.0)
    }
}

impl Entry {
    /// How many vectors it writes or deletes.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Upsert { vectors, .. } => vectors.len(),
            Self::Delete { ids, .. } => ids.len(),
            Self::Clear { .. } => 1,
        }
    }

    pub(super) fn payload(&self) -> serde_json::Result<Vec<u8>> {
        let vectors = match self {
            Self::Upsert { vectors, .. } => vectors.as_slice(),
            Self::Delete { .. } | Self::Clear { .. } => &[],
        };
        payload(self, vectors)
    }

    pub(super) fn from_payload(payload: &[u8], dimension: usize) -> Option<Self> {
        let (mut entry, values): (Self, _) = split(payload)?;
        if let Self::Upsert { vectors, .. } = &mut entry {
            let mut values = values.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four));
            for vector in vectors {
                vector.values.extend(values.by_ref().take(dimension));
                if vector.values.len() != dimension {
                    return None;
                }
            }
        }
        Some(entry)
    }
}

fn without_values<S: Serializer>(vectors: &[Vector], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Bare<'a> {
        id: &'a str,
        #[serde(skip_serializing_if = "Metadata::is_empty")]
        metadata: &'a Metadata,
    }
    serializer.collect_seq(vectors.iter().map(|Vector { id, metadata, .. }| Bare { id, metadata }))
}

fn payload(json: &impl Serialize, vectors: &[Vector]) -> serde_json::Result<Vec<u8>> {
    let json = serde_json::to_vec(json)?;
    let mut payload = Vec::new();
    payload.extend_from_slice(&(json.len() as u32).to_le_bytes());
    payload.extend_from_slice(&json);
    for value in vectors.iter().flat_map(|vector| &vector.values) {
        payload.extend_from_slice(&value.to_le_bytes());
    }
    Ok(payload)
}

fn split<T: DeserializeOwned>(payload: &[u8]) -> Option<(T, &[u8])> {
    let (length, rest) = payload.split_first_chunk::<4>()?;
    let (json, values) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some((serde_json::from_slice(json).ok()?, values))
}

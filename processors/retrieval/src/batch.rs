//! Splits what is to be written or fetched into requests that Pinecone accepts.

use bytes::Bytes;

use crate::{RetrievalError, Vector};

/// Pinecone's limits (docs.pinecone.io, "Database limits").
const UPSERT_VECTORS: usize = 1_000;
const UPSERT_BYTES: usize = 2_000_000;
const DELETE_IDS: usize = 1_000;
/// A fetch carries its ids in the URL, which servers cut at 8 KiB; percent-encoding triples an id at worst.
const FETCH_ID_BYTES: usize = 2_000;

/// The bodies of the upsert requests for `vectors`. Each vector is serialised once.
pub(crate) fn upsert_bodies(namespace: &str, vectors: &[Vector]) -> Result<Vec<Bytes>, RetrievalError> {
    let encode = |source| RetrievalError::Encode { call: "upsert", source };
    let mut head = br#"{"namespace":"#.to_vec();
    serde_json::to_writer(&mut head, namespace).map_err(encode)?;
    head.extend_from_slice(br#","vectors":["#);
    const TAIL: &[u8] = b"]}";

    let mut bodies = Vec::new();
    let mut body = head.clone();
    let mut count = 0;
    for vector in vectors {
        let json = serde_json::to_vec(vector).map_err(encode)?;
        if head.len() + json.len() + TAIL.len() > UPSERT_BYTES {
            return Err(RetrievalError::TooLarge {
                id: vector.id.clone(),
                bytes: json.len(),
                limit: UPSERT_BYTES,
            });
        }
        if count == UPSERT_VECTORS || body.len() + 1 + json.len() + TAIL.len() > UPSERT_BYTES {
            body.extend_from_slice(TAIL);
            bodies.push(Bytes::from(std::mem::replace(&mut body, head.clone())));
            count = 0;
        }
        if count > 0 {
            body.push(b',');
        }
        body.extend_from_slice(&json);
        count += 1;
    }
    if count > 0 {
        body.extend_from_slice(TAIL);
        bodies.push(Bytes::from(body));
    }
    Ok(bodies)
}

pub(crate) fn delete_ids(ids: &[String]) -> impl Iterator<Item = &[String]> {
    ids.chunks(DELETE_IDS)
}

pub(crate) fn fetch_ids(ids: &[String]) -> Vec<&[String]> {
    let mut batches = Vec::new();
    let mut start = 0;
    let mut bytes = 0;
    for (at, id) in ids.iter().enumerate() {
        let size = "&ids=".len() + id.len();
        if at > start && bytes + size > FETCH_ID_BYTES {
            batches.push(&ids[start..at]);
            start = at;
            bytes = 0;
        }
        bytes += size;
    }
    if start < ids.len() {
        batches.push(&ids[start..]);
    }
    batches
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn vector(id: usize, dimension: usize) -> Vector {
        Vector {
            id: format!("v{id}"),
            values: vec![0.123_456_7; dimension],
            ..Vector::default()
        }
    }

    #[test]
    fn nothing_needs_no_request() {
        assert!(upsert_bodies("ns", &[]).unwrap().is_empty());
        assert!(fetch_ids(&[]).is_empty());
    }

    #[test]
    fn a_vector_that_fits_no_request_is_named() {
        let mut huge = vector(1, 3);
        huge.metadata.insert("text".into(), "x".repeat(UPSERT_BYTES).into());
        let error = upsert_bodies("ns", &[huge]).unwrap_err();
        assert!(matches!(error, RetrievalError::TooLarge { id, .. } if id == "v1"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn upserts_keep_order_and_limits(count in 0_usize..2_500, dimension in 1_usize..600) {
            let vectors: Vec<_> = (0..count).map(|id| vector(id, dimension)).collect();
            let bodies = upsert_bodies("a \"quoted\" namespace", &vectors).unwrap();
            let mut ids = Vec::new();
            for body in bodies {
                prop_assert!(body.len() <= UPSERT_BYTES);
                let json: Value = serde_json::from_slice(&body).unwrap();
                prop_assert_eq!(&json["namespace"], "a \"quoted\" namespace");
                let batch = json["vectors"].as_array().unwrap();
                prop_assert!(!batch.is_empty() && batch.len() <= UPSERT_VECTORS);
                ids.extend(batch.iter().map(|v| v["id"].as_str().unwrap().to_owned()));
            }
            prop_assert_eq!(ids, vectors.into_iter().map(|v| v.id).collect::<Vec<_>>());
        }

        #[test]
        fn fetches_keep_order_and_fit_a_url(lengths in proptest::collection::vec(1_usize..=512, 0..200)) {
            let ids: Vec<_> = lengths.iter().map(|length| "i".repeat(*length)).collect();
            let batches = fetch_ids(&ids);
            for batch in &batches {
                prop_assert!(batch.iter().map(|id| id.len() + 5).sum::<usize>() <= FETCH_ID_BYTES);
            }
            prop_assert_eq!(batches.concat(), ids);
        }
    }
}

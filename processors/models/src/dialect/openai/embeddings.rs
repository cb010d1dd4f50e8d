//! `POST /embeddings`: <https://platform.openai.com/docs/api-reference/embeddings>.

use super::WireUsage;
use crate::dialect::{Failure, Reply, Tokens};
use crate::{EmbedResponse, ErrorClass};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

/// Texts in one embeddings request at most; the provider refuses more.
pub const MAX_EMBED_INPUTS: usize = 2048;

#[derive(Serialize)]
struct WireRequest<'a> {
    model: &'a str,
    input: &'a [String],
    encoding_format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u32>,
}

/// The body of a request.
///
/// Vectors are asked for in base64, a third of the size of decimal text and no float parsing; OpenAI's own clients do
/// the same. The length is asked for only where it can be chosen: other models refuse the field.
pub(crate) fn encode(model: &str, dimension: u32, texts: &[String]) -> Vec<u8> {
    let wire = WireRequest {
        model,
        input: texts,
        encoding_format: "base64",
        dimensions: model.starts_with("text-embedding-3").then_some(dimension),
    };
    serde_json::to_vec(&wire).unwrap_or_default()
}

#[derive(Deserialize)]
struct WireResponse {
    #[serde(default)]
    model: String,
    data: Vec<WireEmbedding>,
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct WireEmbedding {
    index: usize,
    embedding: WireVector,
}

/// Servers that do not know base64 answer in numbers.
#[derive(Deserialize)]
#[serde(untagged)]
enum WireVector {
    Base64(String),
    Numbers(Vec<f32>),
}

/// The answer to `count` texts by a model whose vectors have `dimension` numbers.
pub(crate) fn decode(body: &[u8], count: usize, dimension: u32) -> Reply<EmbedResponse> {
    let response: WireResponse = match serde_json::from_slice(body) {
        Ok(response) => response,
        Err(e) => return Reply::failed(Failure::malformed(format!("not a list of embeddings: {e}"))),
    };
    let tokens = response.usage.map(Tokens::from);
    let outcome = vectors(response.data, count, dimension).map(|vectors| EmbedResponse {
        vectors,
        model: response.model,
    });
    Reply {
        outcome,
        tokens,
        text: None,
    }
}

fn vectors(data: Vec<WireEmbedding>, count: usize, dimension: u32) -> Result<Vec<Vec<f32>>, Failure> {
    if data.len() != count {
        return Err(Failure::malformed(format!("{} vectors for {count} texts", data.len())));
    }
    let mut vectors = vec![Vec::new(); count];
    for WireEmbedding { index, embedding } in data {
        let vector = numbers(embedding)?;
        if vector.len() != dimension as usize {
            let message = format!(
                "the model answers vectors of {}, the models file says `dimension: {dimension}`: mend the file, and \
                 the index if it was made by it",
                vector.len()
            );
            return Err(Failure::new(ErrorClass::BadRequest, message));
        }
        match vectors.get_mut(index) {
            Some(place) if place.is_empty() => *place = vector,
            Some(_) | None => return Err(Failure::malformed(format!("vector {index} is twice or too far"))),
        }
    }
    Ok(vectors)
}

/// Little-endian 32-bit floats under the base64.
fn numbers(wire: WireVector) -> Result<Vec<f32>, Failure> {
    let vector: Vec<f32> = match wire {
        WireVector::Numbers(numbers) => numbers,
        WireVector::Base64(text) => {
            let bytes = BASE64_STANDARD
                .decode(text)
                .map_err(|e| Failure::malformed(format!("a vector is not base64: {e}")))?;
            let (floats, []) = bytes.as_chunks::<4>() else {
                return Err(Failure::malformed("a vector is not made of 32-bit floats"));
            };
            floats.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
        }
    };
    if vector.iter().all(|number| number.is_finite()) {
        Ok(vector)
    } else {
        Err(Failure::malformed("a vector has numbers that are not finite"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_length_is_asked_for_only_where_it_can_be_chosen() {
        let body = |model| String::from_utf8(encode(model, 512, &["a".to_owned()])).unwrap();
        let chosen = r#"{"model":"text-embedding-3-small","input":["a"],"encoding_format":"base64","dimensions":512}"#;
        assert_eq!(body("text-embedding-3-small"), chosen);
        assert_eq!(
            body("nomic-embed-text"),
            r#"{"model":"nomic-embed-text","input":["a"],"encoding_format":"base64"}"#
        );
    }

    #[test]
    fn vectors_come_in_the_order_of_the_texts_in_either_form() {
        let body = br#"{"object":"list","model":"m-1","data":[
            {"object":"embedding","index":1,"embedding":[0.5,-2]},
            {"object":"embedding","index":0,"embedding":"AACAPwAAAEA="}],
            "usage":{"prompt_tokens":3,"total_tokens":3}}"#;
        let reply = decode(body, 2, 2);
        let vectors = vec![vec![1.0, 2.0], vec![0.5, -2.0]];
        assert_eq!(
            reply.outcome,
            Ok(EmbedResponse {
                vectors,
                model: "m-1".to_owned()
            })
        );
        assert_eq!(reply.tokens, Some(Tokens { input: 3, output: 0 }));
    }

    #[test]
    fn what_is_not_one_vector_per_text_is_refused() {
        let class = |data: &str, dimension| {
            decode(format!(r#"{{"data":[{data}]}}"#).as_bytes(), 1, dimension)
                .outcome
                .unwrap_err()
                .class
        };
        assert_eq!(class("", 1), ErrorClass::Malformed);
        assert_eq!(class(r#"{"index":1,"embedding":[1]}"#, 1), ErrorClass::Malformed);
        assert_eq!(class(r#"{"index":0,"embedding":"AAA="}"#, 1), ErrorClass::Malformed);
        assert_eq!(
            class(r#"{"index":0,"embedding":"AADAfw=="}"#, 1),
            ErrorClass::Malformed,
            "not a number"
        );
        assert_eq!(
            class(r#"{"index":0,"embedding":[1,2]}"#, 1),
            ErrorClass::BadRequest,
            "the models file is wrong"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_vectors_or_a_failure(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(decode(&body, 1, 1).outcome.is_err());
        }
    }
}

//! A vector as a client sends it, and what it must be to be stored.

use serde::Deserialize;
use serde_json::Value;

use super::{definition::Definition, refusal::Refusal};
use crate::{Metadata, Metric, Vector};

const LONGEST_ID: usize = 512;
const LARGEST_METADATA: usize = 40 * 1_024;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewVector {
    id: String,
    #[serde(default)]
    values: Vec<f32>,
    sparse_values: Option<Value>,
    metadata: Option<Metadata>,
}

impl NewVector {
    pub(super) fn checked(self, definition: &Definition) -> Result<Vector, Refusal> {
        let Self {
            id,
            values,
            sparse_values,
            metadata,
        } = self;
        check_id(&id)?;
        if sparse_values.is_some_and(|sparse| !sparse.is_null()) {
            return Err(Refusal::unimplemented("sparse values"));
        }
        check_values(definition, &values)?;
        if definition.metric == Metric::Cosine && values.iter().all(|value| *value == 0.0) {
            return Err(Refusal::invalid(format!(
                "vector {id:?} is all zeros, which has no direction: metric cosine needs one value that is not zero"
            )));
        }
        Ok(Vector {
            metadata: checked_metadata(&id, metadata.unwrap_or_default())?,
            id,
            values,
        })
    }
}

fn check_id(id: &str) -> Result<(), Refusal> {
    if (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(|byte| (1..=0x7f).contains(&byte)) {
        return Ok(());
    }
    let begin: String = id.chars().take(40).collect();
    Err(Refusal::invalid(format!(
        "a vector id must be 1 to {LONGEST_ID} ASCII characters: {begin:?} is not, with {} bytes",
        id.len()
    )))
}

pub(super) fn check_values(definition: &Definition, values: &[f32]) -> Result<(), Refusal> {
    let dimension = definition.dimension as usize;
    if values.len() != dimension {
        return Err(Refusal::invalid(format!(
            "Vector dimension {} does not match the dimension of the index {dimension}",
            values.len()
        )));
    }
    if values.iter().any(|value| !value.is_finite()) {
        return Err(Refusal::invalid("a vector's values must be finite 32-bit floats"));
    }
    Ok(())
}

/// Numbers become doubles, as they do at Pinecone; null members are dropped by clients and refused here.
fn checked_metadata(id: &str, mut metadata: Metadata) -> Result<Metadata, Refusal> {
    for (key, value) in &mut metadata {
        if key.starts_with('$') {
            return Err(Refusal::invalid(format!(
                "vector {id:?}: the metadata key {key:?} begins with '$'"
            )));
        }
        match value {
            Value::Number(number) => *value = number.as_f64().into(),
            Value::String(_) | Value::Bool(_) => {}
            Value::Array(elements) if elements.iter().all(Value::is_string) => {}
            Value::Array(_) | Value::Object(_) | Value::Null => {
                return Err(Refusal::invalid(format!(
                    "vector {id:?}: the metadata value of {key:?} must be a string, number, boolean or list of strings, \
                     got {value}"
                )));
            }
        }
    }
    let size = Value::Object(metadata.clone()).to_string().len();
    if size > LARGEST_METADATA {
        return Err(Refusal::invalid(format!(
            "vector {id:?}: the metadata is {size} bytes as JSON, the limit is {LARGEST_METADATA}"
        )));
    }
    Ok(metadata)
}

//! The JSON Schema of chain files, for completion and checks while one is written.

/// JSON Schema, draft 7, which is what editors understand. It knows forms only: names and types are for [`super::Chain::read`].
pub const SCHEMA: &str = include_str!("../../chain.schema.json");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::chain::{error, steps};

    #[test]
    fn it_knows_every_key_and_every_class_of_the_language() {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        for (kind, keys) in steps::vocabulary() {
            let properties = schema["definitions"][kind]["properties"].as_object().unwrap();
            // Written into the chain before it is read.
            let told = properties.keys().map(String::as_str).filter(|key| *key != "schema_ref");
            let told: BTreeSet<&str> = told.collect();
            assert_eq!(told, keys.into_iter().collect(), "{kind}");
        }
        let told = schema["definitions"]["class"]["enum"].as_array().unwrap();
        let told: BTreeSet<&str> = told.iter().filter_map(Value::as_str).collect();
        assert_eq!(told, error::classes().into_iter().collect());
    }
}

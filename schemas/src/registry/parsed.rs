//! What the registry keeps → a schema that data can be read with, references included.

use apache_avro::Schema;
use schema_registry_converter::{
    async_impl::schema_registry as lookup,
    schema_registry_common::{RegisteredSchema, SchemaType},
};

use super::{Registry, RegistryError, answer::LookupError};

/// How far references may lead: deeper is a cycle.
pub(super) const REFERENCE_DEPTH: usize = 16;

/// A schema with those it refers to; kept as long as the process.
#[derive(Debug, Clone)]
pub(crate) struct Parsed {
    pub id: u32,
    pub schema: &'static Schema,
    pub referenced: &'static [Schema],
}

impl Registry {
    pub(super) async fn parsed(&self, registered: &RegisteredSchema, what: &str) -> Result<Parsed, RegistryError> {
        if registered.schema_type != SchemaType::Avro {
            let found = match &registered.schema_type {
                SchemaType::Avro => "Avro",
                SchemaType::Protobuf => "Protobuf",
                SchemaType::Json => "JSON Schema",
                SchemaType::Other(other) => other,
                _ => "another format",
            };
            return Err(RegistryError::NotAvro {
                what: what.to_owned(),
                found: found.to_owned(),
            });
        }
        let referenced = self.referenced(registered, what).await?;
        let failed = |source| RegistryError::Parse {
            what: what.to_owned(),
            source: Box::new(source),
        };
        let (schema, referenced) = if referenced.is_empty() {
            (Schema::parse_str(&registered.schema).map_err(failed)?, Vec::new())
        } else {
            Schema::parse_str_with_list(&registered.schema, &referenced).map_err(failed)?
        };
        // Ids never change their schema, and there are as many as versions: what is learned is kept.
        Ok(Parsed {
            id: registered.id,
            schema: Box::leak(Box::new(schema)),
            referenced: referenced.leak(),
        })
    }

    /// The texts of all schemas that this one refers to, those that are referred to first.
    async fn referenced(&self, registered: &RegisteredSchema, what: &str) -> Result<Vec<String>, RegistryError> {
        let mut texts = Vec::new();
        let mut level = registered.references.clone();
        for _ in 0..REFERENCE_DEPTH {
            if level.is_empty() {
                texts.reverse();
                return Ok(texts);
            }
            let mut next = Vec::new();
            for reference in &level {
                let found = lookup::get_referenced_schema(&self.inner.lookups, reference)
                    .await
                    .map_err(|error| self.unavailable(LookupError(error)))?;
                texts.retain(|text| *text != found.schema);
                texts.push(found.schema);
                next.extend(found.references);
            }
            level = next;
        }
        Err(RegistryError::References { what: what.to_owned() })
    }
}

//! What every record type has in common, and which topic carries which.

use std::{
    any::TypeId,
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
};

use apache_avro::Schema;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Attempt, Audit, ChainRecord, DeadLetter, Document, Instance, RegistryError, Request, RunResult, Token};

/// A record type: a struct whose serde form is the Avro record of [`Shape::SCHEMA`].
pub trait Shape: Serialize + DeserializeOwned + Default + Send + Sync + 'static {
    /// The Avro name, within the namespace `millrace`.
    const NAME: &'static str;
    /// The text of its `.avsc` file.
    const SCHEMA: &'static str;
}

/// A record type as the registry sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Definition {
    pub name: &'static str,
    /// The text of its `.avsc` file.
    pub avsc: &'static str,
}

impl Definition {
    #[must_use]
    pub const fn of<S: Shape>() -> Self {
        Self {
            name: S::NAME,
            avsc: S::SCHEMA,
        }
    }

    /// The schema on one line: what is sent to the registry.
    #[must_use]
    pub fn text(&self) -> String {
        // A text that is no JSON is for the registry to refuse; a test parses every schema.
        serde_json::from_str::<serde_json::Value>(self.avsc)
            .map_or_else(|_| self.avsc.to_owned(), |json| json.to_string())
    }
}

/// Millrace's own topics, without the prefix, and the record type that each carries.
#[must_use]
pub const fn topics() -> [(&'static str, Definition); 10] {
    [
        ("requests", Definition::of::<Request>()),
        ("requests.interactive", Definition::of::<Request>()),
        ("results", Definition::of::<RunResult>()),
        ("audit", Definition::of::<Audit>()),
        ("attempts", Definition::of::<Attempt>()),
        ("dead-letters", Definition::of::<DeadLetter>()),
        ("tokens", Definition::of::<Token>()),
        ("documents", Definition::of::<Document>()),
        ("chains", Definition::of::<ChainRecord>()),
        ("instances", Definition::of::<Instance>()),
    ]
}

/// The parsed schema of a record type, parsed once.
pub(crate) fn schema_of<S: Shape>() -> Result<&'static Schema, RegistryError> {
    static PARSED: LazyLock<Mutex<HashMap<TypeId, &'static Schema>>> = LazyLock::new(Mutex::default);
    let mut parsed = PARSED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(schema) = parsed.get(&TypeId::of::<S>()) {
        return Ok(schema);
    }
    let schema = Schema::parse_str(S::SCHEMA).map_err(|source| RegistryError::Parse {
        what: S::NAME.to_owned(),
        source: Box::new(source),
    })?;
    Ok(parsed.entry(TypeId::of::<S>()).or_insert(Box::leak(Box::new(schema))))
}

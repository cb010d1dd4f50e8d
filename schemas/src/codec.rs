//! What a decoder knows about schema ids.
//!
//! Everything that costs is done once per id: the lookup, the parse, the resolution of names, the check that the
//! schema can be read. Failures are remembered too, but not for long: an unknown id may be registered a moment later,
//! and a registry that was down comes back.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use apache_avro::{
    Schema,
    reader::datum::GenericDatumReader,
    schema::{Name, NamesRef, ResolvedSchema},
    schema_compatibility::SchemaCompatibility,
};
use tokio::sync::Mutex;

use crate::{
    Registry, RegistryError,
    decoder::{DecodeError, Misfit},
    registry::Parsed,
};

/// The most that one length in a datum can make apache-avro allocate; holds for the whole process.
pub(crate) const MAX_ALLOCATION: usize = 64 * 1024 * 1024;
/// How deep values may lie within each other. A recursive schema has no depth: few bytes of datum would fill the stack.
const MAX_DEPTH: usize = 64;
const UNKNOWN_FOR: Duration = Duration::from_secs(30);
const UNAVAILABLE_FOR: Duration = Duration::from_secs(1);

/// All that is needed to read data of one schema.
pub(crate) struct Codec {
    pub schema: &'static Schema,
    pub names: ResolvedSchema<'static>,
    pub reader: GenericDatumReader<'static>,
}

pub(crate) struct Codecs {
    registry: Registry,
    /// What the data must be readable as; none: anything.
    shape: Option<&'static Schema>,
    known: RwLock<HashMap<u32, Entry>>,
    /// One lookup at a time: a thousand records with a new id are one question.
    asking: Mutex<()>,
}

#[derive(Clone)]
enum Entry {
    Readable(Arc<Codec>),
    Failed { error: DecodeError, until: Instant },
}

impl Codecs {
    pub fn new(registry: Registry, shape: Option<&'static Schema>) -> Self {
        Self {
            registry,
            shape,
            known: RwLock::default(),
            asking: Mutex::default(),
        }
    }

    /// What reads data of schema `id`.
    ///
    /// # Errors
    /// `UnknownSchema`, `WrongShape`, `Unavailable`.
    pub async fn get(&self, id: u32) -> Result<Arc<Codec>, DecodeError> {
        if let Some(answer) = self.remembered(id) {
            return answer;
        }
        let _asking = self.asking.lock().await;
        if let Some(answer) = self.remembered(id) {
            return answer;
        }
        let answer = self.look_up(id).await;
        let entry = match &answer {
            Ok(codec) => Entry::Readable(codec.clone()),
            Err(error) => {
                let lifetime = if error.is_transient() {
                    UNAVAILABLE_FOR
                } else {
                    UNKNOWN_FOR
                };
                Entry::Failed {
                    error: error.clone(),
                    until: Instant::now() + lifetime,
                }
            }
        };
        self.known
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, entry);
        answer
    }

    fn remembered(&self, id: u32) -> Option<Result<Arc<Codec>, DecodeError>> {
        match self.known.read().unwrap_or_else(PoisonError::into_inner).get(&id)? {
            Entry::Readable(codec) => Some(Ok(codec.clone())),
            Entry::Failed { error, until } => (Instant::now() < *until).then(|| Err(error.clone())),
        }
    }

    async fn look_up(&self, id: u32) -> Result<Arc<Codec>, DecodeError> {
        let wrong = |misfit| DecodeError::WrongShape {
            id,
            source: Arc::new(misfit),
        };
        let parsed = self.registry.schema(id).await.map_err(|error| match error {
            RegistryError::UnknownId { id } => DecodeError::UnknownSchema { id },
            RegistryError::Settings { .. } | RegistryError::Unavailable { .. } => DecodeError::Unavailable {
                source: Arc::new(error),
            },
            RegistryError::NotRegistered { .. }
            | RegistryError::Refused { .. }
            | RegistryError::NotAvro { .. }
            | RegistryError::Parse { .. }
            | RegistryError::References { .. } => wrong(Misfit::Schema(error)),
        })?;
        Codec::new(&parsed, self.shape).map(Arc::new).map_err(wrong)
    }
}

impl Codec {
    pub fn new(parsed: &Parsed, shape: Option<&'static Schema>) -> Result<Self, Misfit> {
        let Parsed { schema, referenced, .. } = *parsed;
        if let Some(shape) = shape {
            SchemaCompatibility::can_read(schema, shape).map_err(|error| Misfit::Unreadable(Box::new(error)))?;
        }
        let everything = referenced.iter().chain([schema]).collect();
        let names = ResolvedSchema::new_with_schemata(everything).map_err(|error| Misfit::Names(Box::new(error)))?;
        depth(schema, names.get_names(), MAX_DEPTH, &mut HashMap::new()).ok_or(Misfit::TooDeep)?;
        let reader = GenericDatumReader::builder(schema)
            .resolved_writer_schemata(names.clone())
            .build()
            .map_err(|error| Misfit::Names(Box::new(error)))?;
        Ok(Self { schema, names, reader })
    }
}

/// How many values lie within each other in the deepest datum of this schema; none when more than `limit`.
fn depth<'s>(
    schema: &'s Schema,
    names: &NamesRef<'s>,
    limit: usize,
    measured: &mut HashMap<&'s Name, usize>,
) -> Option<usize> {
    let limit = limit.checked_sub(1)?;
    let below = match schema {
        Schema::Array(array) => depth(&array.items, names, limit, measured)?,
        Schema::Map(map) => depth(&map.types, names, limit, measured)?,
        Schema::Union(union) => deepest(union.variants().iter(), names, limit, measured)?,
        Schema::Record(record) => {
            let below = deepest(record.fields.iter().map(|field| &field.schema), names, limit, measured)?;
            measured.insert(&record.name, below);
            below
        }
        Schema::Ref { name } => match measured.get(name) {
            Some(measured) => Some(*measured).filter(|measured| *measured <= limit)?,
            None => depth(names.get(name)?, names, limit, measured)?,
        },
        _ => 0,
    };
    Some(below + 1)
}

fn deepest<'s>(
    mut schemas: impl Iterator<Item = &'s Schema>,
    names: &NamesRef<'s>,
    limit: usize,
    measured: &mut HashMap<&'s Name, usize>,
) -> Option<usize> {
    schemas.try_fold(0, |deepest, schema| {
        Some(deepest.max(depth(schema, names, limit, measured)?))
    })
}

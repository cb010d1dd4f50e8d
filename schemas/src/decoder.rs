//! Bytes of a topic → our structs, whatever version of the schema wrote them.
//!
//! A datum is read by its writer's schema straight into the struct: fields that the writer did not know take the
//! struct's defaults, which are those of the `.avsc` file (a test holds them together), and fields that only the writer
//! knows are skipped. That a writer's schema can be read at all is checked once per id, by Avro's rules.

use std::{io, marker::PhantomData, sync::Arc};

use apache_avro::{
    Schema,
    error::{CompatibilityError, Details},
};

use crate::{
    Registry, RegistryError, Shape,
    codec::Codecs,
    shape::schema_of,
    wire::{self, NotFramed},
};

/// Decodes the values of one record type. Clones share what is known about schema ids.
pub struct Decoder<S> {
    codecs: Arc<Codecs>,
    shape: PhantomData<fn() -> S>,
}

/// Why bytes are not a record.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DecodeError {
    #[error("the value is {0}")]
    NotFramed(#[from] NotFramed),
    #[error("the schema registry has no schema with id {id}")]
    UnknownSchema { id: u32 },
    #[error("schema {id} cannot be read as what this topic carries")]
    WrongShape {
        id: u32,
        #[source]
        source: Arc<Misfit>,
    },
    #[error("the value is not a datum of schema {id}")]
    Corrupt {
        id: u32,
        #[source]
        source: Arc<Corruption>,
    },
    /// Nothing is known about the bytes: ask again later.
    #[error("the schema of the value is not known yet")]
    Unavailable {
        #[source]
        source: Arc<RegistryError>,
    },
}

/// Why data of a schema cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Misfit {
    #[error("its fields do not resolve to ours")]
    Unreadable(#[source] Box<CompatibilityError>),
    #[error("a field of the value has another type than ours")]
    Type(#[source] Box<apache_avro::Error>),
    #[error("its names cannot be resolved")]
    Names(#[source] Box<apache_avro::Error>),
    #[error("it nests deeper than 64 levels; recursive schemas are not supported")]
    TooDeep,
    #[error("the registry's schema is of no use")]
    Schema(#[source] RegistryError),
}

/// Why bytes are not a datum of their schema.
#[derive(Debug, thiserror::Error)]
pub enum Corruption {
    #[error("the datum cannot be read")]
    Datum(#[source] Box<apache_avro::Error>),
    #[error("it ends in the middle")]
    CutOff,
    #[error("{0} bytes are left over")]
    LeftOver(usize),
}

impl DecodeError {
    /// Whether the same bytes may decode later: the registry could not be asked.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable { .. } => true,
            Self::NotFramed(_) | Self::UnknownSchema { .. } | Self::WrongShape { .. } | Self::Corrupt { .. } => false,
        }
    }
}

impl<S: Shape> Decoder<S> {
    pub(crate) fn new(registry: Registry) -> Result<Self, RegistryError> {
        let shape: &'static Schema = schema_of::<S>()?;
        Ok(Self {
            codecs: Arc::new(Codecs::new(registry, Some(shape))),
            shape: PhantomData,
        })
    }

    /// Asks the registry once per schema id, and not at all when it is known.
    ///
    /// # Errors
    /// Any [`DecodeError`]; only [`DecodeError::Unavailable`] may pass.
    pub async fn decode(&self, bytes: &[u8]) -> Result<S, DecodeError> {
        let (id, datum) = wire::unframe(bytes)?;
        let codec = self.codecs.get(id).await?;
        let mut datum = Datum::new(datum);
        let record = codec
            .reader
            .read_deser(&mut datum)
            .map_err(|error| match error.details() {
                Details::DeserializeSchemaAware { .. } => DecodeError::WrongShape {
                    id,
                    source: Arc::new(Misfit::Type(Box::new(error))),
                },
                _ => corrupt(id, Corruption::Datum(Box::new(error))),
            })?;
        datum.end().map_err(|corruption| corrupt(id, corruption))?;
        Ok(record)
    }
}

impl<S> Clone for Decoder<S> {
    fn clone(&self) -> Self {
        Self {
            codecs: self.codecs.clone(),
            shape: PhantomData,
        }
    }
}

pub(crate) fn corrupt(id: u32, corruption: Corruption) -> DecodeError {
    DecodeError::Corrupt {
        id,
        source: Arc::new(corruption),
    }
}

/// The bytes of one datum. apache-avro takes the end of the bytes within a string or a union for null: what was
/// missing must be noticed here.
pub(crate) struct Datum<'a> {
    rest: &'a [u8],
    cut_off: bool,
}

impl<'a> Datum<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            cut_off: false,
        }
    }

    /// Whether the datum was all of the bytes.
    pub fn end(&self) -> Result<(), Corruption> {
        match (self.cut_off, self.rest.len()) {
            (true, _) => Err(Corruption::CutOff),
            (false, 0) => Ok(()),
            (false, left) => Err(Corruption::LeftOver(left)),
        }
    }
}

impl io::Read for Datum<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.cut_off |= self.rest.len() < buffer.len();
        self.rest.read(buffer)
    }

    fn read_exact(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.cut_off |= self.rest.len() < buffer.len();
        self.rest.read_exact(buffer)
    }
}

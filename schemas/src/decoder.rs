//! Bytes of a topic → our structs, whatever version of the schema wrote them.

use std::{marker::PhantomData, sync::Arc};

use crate::{
    Registry, RegistryError, Shape,
    codec::{Corruption, Misfit},
    codecs::Codecs,
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
    #[error(transparent)]
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
        let shape = schema_of::<S>()?;
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
        codec.read(datum).map_err(|corruption| corrupt(id, corruption))
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

//! Bytes of a topic → our structs, whatever version of the schema wrote them.

use std::{
    marker::PhantomData,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    Registry, RegistryError, Shape, Timestamp,
    codec::{Corruption, Misfit},
    codecs::{Codecs, REGISTRY_LAG},
    shape::schema_of,
    wire::{self, NotFramed},
};

/// Between two questions about an id that the registry does not know yet.
const ASK_AGAIN: Duration = Duration::from_millis(500);

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
    UnknownSchema {
        id: u32,
        /// When it was first found to be.
        since: Instant,
    },
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
    /// One word that programs may branch on.
    #[must_use]
    pub fn class(&self) -> &'static str {
        match self {
            Self::NotFramed(_) => "corrupt_frame",
            Self::UnknownSchema { .. } => "unknown_schema",
            Self::WrongShape { .. } => "wrong_schema",
            Self::Corrupt { .. } => "corrupt_value",
            Self::Unavailable { .. } => "registry_unavailable",
        }
    }

    /// Whether it is worth to ask about the same bytes again: the registry could not be asked, or it may not know the id
    /// yet. That is so for half a minute of the record's life, if the broker says when it was appended, and for half a
    /// minute since this process met the id in any case, so that an old record with a bad id waits for nothing, a clock
    /// that is wrong does little, and no second record pays for a bad id.
    #[must_use]
    pub fn may_pass(&self, appended_at: Option<Timestamp>) -> bool {
        match self {
            Self::UnknownSchema { id, since } => {
                let lag = i64::try_from(REGISTRY_LAG.as_micros()).unwrap_or(i64::MAX);
                // Ids are Java's `int`: whatever is above it is no id.
                i32::try_from(*id).is_ok()
                    && since.elapsed() < REGISTRY_LAG
                    && appended_at.is_none_or(|at| Timestamp::now().micros_since(at) < lag)
            }
            Self::Unavailable { .. } | Self::NotFramed(_) | Self::WrongShape { .. } | Self::Corrupt { .. } => {
                self.is_transient()
            }
        }
    }

    /// Whether the registry may know the id in a moment, which is over when this returns `true`.
    pub(crate) async fn passed_a_moment(&self, appended_at: Option<Timestamp>) -> bool {
        let unknown_yet = !self.is_transient() && self.may_pass(appended_at);
        if unknown_yet {
            tokio::time::sleep(ASK_AGAIN).await;
        }
        unknown_yet
    }

    /// Whether the registry could not be asked.
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
    /// Any [`DecodeError`]; see [`DecodeError::may_pass`].
    pub async fn decode(&self, bytes: &[u8]) -> Result<S, DecodeError> {
        let (id, datum) = wire::unframe(bytes)?;
        let codec = self.codecs.get(id).await?;
        codec.read(datum).map_err(|corruption| corrupt(id, corruption))
    }

    /// As [`Self::decode`], but an id that the registry may not know yet is waited for.
    ///
    /// # Errors
    /// Any [`DecodeError`]; only [`DecodeError::Unavailable`] may pass.
    pub async fn decode_in_time(&self, bytes: &[u8], appended_at: Option<Timestamp>) -> Result<S, DecodeError> {
        loop {
            match self.decode(bytes).await {
                Err(error) if error.passed_a_moment(appended_at).await => {}
                decoded => return decoded,
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_id_is_waited_for_once_and_only_by_young_records() {
        let ago = |seconds: i64| Some(Timestamp::now().plus_micros(-seconds * 1_000_000));
        let since = |seconds: u64| Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap();
        let unknown = |id, since| DecodeError::UnknownSchema { id, since };
        assert!(unknown(7, since(1)).may_pass(None));
        assert!(unknown(7, since(1)).may_pass(ago(2)));
        assert!(unknown(7, since(1)).may_pass(ago(-60)), "a broker whose clock is ahead");
        assert!(!unknown(7, since(1)).may_pass(ago(31)), "old when it was read");
        assert!(!unknown(7, since(31)).may_pass(ago(0)), "the id is known to be bad");
        assert!(
            !unknown(1 << 31, since(0)).may_pass(ago(0)),
            "no registry gives such ids"
        );
    }
}

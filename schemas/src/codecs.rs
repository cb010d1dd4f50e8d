//! What a decoder knows about schema ids.
//!
//! Everything that costs is done once per id: the lookup, the parse, the resolution of names, the check that the
//! schema can be read. Failures are remembered too, but not for long: a registry that was down comes back.
//!
//! An id that the registry does not have may be one that it does not have *yet*: who registered it asked another node.
//! Since when it is unknown decides whether that is worth a wait ([`DecodeError::may_pass`]), so the moment of the first
//! answer outlives the answer: an id that stayed unknown for all of that time is never waited for again.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use apache_avro::Schema;
use tokio::sync::Mutex;

use crate::{
    Registry, RegistryError,
    codec::{Codec, Misfit},
    decoder::DecodeError,
};

/// How long a registry may lag behind the node that gave an id away.
pub(crate) const REGISTRY_LAG: Duration = Duration::from_secs(30);
/// While it may lag, and after that.
const UNKNOWN_YET_FOR: Duration = Duration::from_secs(1);
const UNKNOWN_FOR: Duration = Duration::from_secs(30);
/// Ids are cheap to make up: beyond so many failures they are forgotten together.
const FAILURES: usize = 10_000;
const UNAVAILABLE_FOR: Duration = Duration::from_secs(1);
/// An id never changes its schema.
const UNREADABLE_FOR: Duration = Duration::from_secs(3_600);

pub(crate) struct Codecs {
    registry: Registry,
    /// What the data must be readable as; none: anything.
    shape: Option<&'static Schema>,
    known: RwLock<HashMap<u32, Entry>>,
    /// One lookup at a time: a thousand records with a new id are one question.
    asking: Mutex<()>,
}

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
        match self.remembered(id) {
            Some(answer) => answer,
            // Apart: whoever decodes holds the room for this future for as long as it lives, and it is needed once an id.
            None => Box::pin(self.ask(id)).await,
        }
    }

    async fn ask(&self, id: u32) -> Result<Arc<Codec>, DecodeError> {
        let _asking = self.asking.lock().await;
        if let Some(answer) = self.remembered(id) {
            return answer;
        }
        let mut answer = self.look_up(id).await;
        let now = Instant::now();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if let (Err(DecodeError::UnknownSchema { since, .. }), Some(first)) =
            (&mut answer, known.get(&id).and_then(Entry::unknown_since))
        {
            *since = first;
        }
        let entry = match &answer {
            Ok(codec) => Entry::Readable(codec.clone()),
            Err(error) => {
                let lifetime = match error {
                    DecodeError::Unavailable { .. } => UNAVAILABLE_FOR,
                    DecodeError::UnknownSchema { since, .. } if now.duration_since(*since) < REGISTRY_LAG => {
                        UNKNOWN_YET_FOR
                    }
                    DecodeError::UnknownSchema { .. } => UNKNOWN_FOR,
                    DecodeError::WrongShape { .. } | DecodeError::NotFramed(_) | DecodeError::Corrupt { .. } => {
                        UNREADABLE_FOR
                    }
                };
                Entry::Failed {
                    error: error.clone(),
                    until: now + lifetime,
                }
            }
        };
        let room = known.len() < FAILURES;
        known.retain(|_, entry| entry.holds(now) || (room && entry.unknown_since().is_some()));
        known.insert(id, entry);
        answer
    }

    fn remembered(&self, id: u32) -> Option<Result<Arc<Codec>, DecodeError>> {
        match self.known.read().unwrap_or_else(PoisonError::into_inner).get(&id)? {
            Entry::Readable(codec) => Some(Ok(codec.clone())),
            entry @ Entry::Failed { error, .. } => entry.holds(Instant::now()).then(|| Err(error.clone())),
        }
    }

    async fn look_up(&self, id: u32) -> Result<Arc<Codec>, DecodeError> {
        let wrong = |misfit| DecodeError::WrongShape {
            id,
            source: Arc::new(misfit),
        };
        let parsed = self.registry.schema(id).await.map_err(|error| match error {
            RegistryError::UnknownId { id } => DecodeError::UnknownSchema {
                id,
                since: Instant::now(),
            },
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

impl Entry {
    fn unknown_since(&self) -> Option<Instant> {
        match self {
            Self::Failed {
                error: DecodeError::UnknownSchema { since, .. },
                ..
            } => Some(*since),
            Self::Readable(_) | Self::Failed { .. } => None,
        }
    }

    fn holds(&self, now: Instant) -> bool {
        match self {
            Self::Readable(_) => true,
            Self::Failed { until, .. } => now < *until,
        }
    }
}

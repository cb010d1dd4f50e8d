//! What an error of the converter means.

use std::{error::Error, fmt};

use schema_registry_converter::{error::SRCError, schema_registry_common::RawError};

/// What the registry itself said, as opposed to something in front of it.
pub(super) fn refusal(error: &SRCError) -> Option<&RawError> {
    error.source()?.downcast_ref()
}

/// Subject (40401), version (40402) or schema (40403) not found.
pub(super) fn is_not_found(error: &SRCError) -> bool {
    refusal(error).is_some_and(|refusal| matches!(refusal.error_code, 404 | 40401..=40403))
}

/// The converter's own display repeats its cause.
#[derive(Debug)]
pub(super) struct LookupError(pub SRCError);

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.error)
    }
}

impl Error for LookupError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

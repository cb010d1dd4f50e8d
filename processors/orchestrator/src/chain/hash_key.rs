use std::fmt;

use hmac::{Hmac, Mac};
use serde::Deserialize;
use sha2::Sha256;

/// In characters: 128 bits in hex.
const SHORTEST: usize = 32;
/// Hex digits of a hash that are shown: enough to tell millions of values apart.
const DIGITS: usize = 16;

/// What `strategy: hash` of a redaction hashes with. A secret: phone numbers and addresses are so few that without one
/// anybody could try them all.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct HashKey(Hmac<Sha256>);

#[derive(Debug, thiserror::Error)]
#[error("must have at least {SHORTEST} characters: `openssl rand -hex 32` makes one")]
pub struct ShortHashKey;

impl HashKey {
    /// # Errors
    /// It is too short to be a secret.
    pub fn new(key: &str) -> Result<Self, ShortHashKey> {
        if key.chars().count() < SHORTEST {
            return Err(ShortHashKey);
        }
        Hmac::new_from_slice(key.as_bytes()).map(Self).map_err(|_| ShortHashKey)
    }

    /// The same for the same text of the same kind. Lower-case hex.
    pub(crate) fn hash(&self, kind: &str, text: &str) -> String {
        let hash = self.0.clone().chain_update(kind).chain_update([0]).chain_update(text);
        let mut digits = format!("{:x}", hash.finalize().into_bytes());
        digits.truncate(DIGITS);
        digits
    }
}

impl TryFrom<String> for HashKey {
    type Error = ShortHashKey;

    fn try_from(key: String) -> Result<Self, ShortHashKey> {
        Self::new(&key)
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_depends_on_the_key_the_kind_and_the_text() {
        let key = |letter: &str| HashKey::new(&letter.repeat(32)).unwrap();
        let hash = key("k").hash("email", "ada@example.com");

        assert_eq!(hash, key("k").hash("email", "ada@example.com"));
        assert_eq!(hash.len(), 16);
        for other in [
            key("l").hash("email", "ada@example.com"),
            key("k").hash("url", "ada@example.com"),
            key("k").hash("email", "eve@example.com"),
        ] {
            assert_ne!(hash, other);
        }
    }

    #[test]
    fn a_key_that_can_be_guessed_is_none() {
        assert!(HashKey::new("secret").is_err());
        assert_eq!(format!("{:?}", HashKey::new(&"k".repeat(32)).unwrap()), "HashKey(…)");
    }
}

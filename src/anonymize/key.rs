//! Derives the keys of each use from one master key, so that no two uses share a key.
//!
//! HKDF-SHA-256 (RFC 5869), without salt, with an *info* that names the use and the scope:
//!
//! ```text
//! "flask-rampart anonymize v1" || 0x00 || use || 0x00 || scope
//! ```
//!
//! A use is one of our words and holds no NUL, so the parts cannot be cut otherwise. Two scopes have keys that are independent of each other:
//! what is pseudonymised under one cannot be joined with what is pseudonymised under another by whoever lacks the key.
//!
//! # What can break it
//! A master key that is guessed: 32 random bytes are asked for, a password is none. The length alone can be checked.

use ring::hkdf;

use super::value::Refused;
use crate::error::ConfigError;
use crate::secret::Secret;

/// Fewest bytes of a master key.
pub const MIN_KEY: usize = 32;
/// Most bytes of a master key.
pub const MAX_KEY: usize = 1024;
/// Longest name of a scope, in bytes.
pub const MAX_SCOPE: usize = 256;

/// The key from which all others are derived.
pub struct MasterKey(Secret);

/// What a derived key is for.
#[derive(Clone, Copy)]
pub(super) enum Use {
    Ff1,
    Pseudonym,
    Token,
}

impl MasterKey {
    /// Takes over these bytes.
    ///
    /// # Errors
    /// If they are fewer than 32, more than 1024, or all the same.
    pub fn new(bytes: Vec<u8>) -> Result<Self, ConfigError> {
        let bytes = Secret::new(bytes);
        let length = bytes.expose().len();
        if !(MIN_KEY..=MAX_KEY).contains(&length) {
            return Err(ConfigError::new(format!(
                "a key has {MIN_KEY} to {MAX_KEY} random bytes; this one has {length}"
            )));
        }
        let first = bytes.expose().first().copied();
        if bytes.expose().iter().all(|byte| Some(*byte) == first) {
            return Err(ConfigError::new("a key has random bytes; those of this one are all the same"));
        }
        Ok(Self(bytes))
    }

    /// A key of `N` bytes for this use and scope.
    pub(super) fn derive<const N: usize>(&self, usage: Use, scope: &str) -> Result<Secret, ConfigError> {
        let usage: &[u8] = match usage {
            Use::Ff1 => b"ff1",
            Use::Pseudonym => b"pseudonym",
            Use::Token => b"token",
        };
        let parts: [&[u8]; 5] = [b"flask-rampart anonymize v1", b"\0", usage, b"\0", scope.as_bytes()];
        let mut out = vec![0; N];
        // It fails for keys of more than 8160 bytes alone.
        hkdf::Salt::new(hkdf::HKDF_SHA256, &[])
            .extract(self.0.expose())
            .expand(&parts, Length(N))
            .and_then(|okm| okm.fill(&mut out))
            .map_err(|_| ConfigError::new("no key could be derived"))?;
        Ok(Secret::new(out))
    }
}

/// A scope that can be one: named, and short.
pub(super) fn check_scope(scope: &str) -> Result<(), ConfigError> {
    if scope.is_empty() || scope.len() > MAX_SCOPE {
        return Err(ConfigError::new(format!(
            "a scope is a name of 1 to {MAX_SCOPE} bytes, such as \"mail\" or \"tenant-7/mail\""
        )));
    }
    Ok(())
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl From<crate::crypto::Failed> for Refused {
    fn from(_: crate::crypto::Failed) -> Self {
        Self::Token
    }
}

//! Decides which key of a keyset seals a stream, and which opens one.
//!
//! 1. The primary key seals.
//! 2. A stream says nothing of its key: every enabled key is tried on its first segment, the primary first, and the one that
//!    opens it opens the rest.
//!
//! A keyset with an enabled key of another kind, or one that cannot be used, is refused as a whole.
//!
//! Source: Tink's wrapper of streaming AEAD, which tries in the same way.

use super::{Opener, Sealer, StreamKey, message};
use crate::crypto::Failed;
use crate::error::ConfigError;
use crate::vault::keyset::Keyset;

/// The keys of a keyset for streams.
pub struct StreamKeys {
    /// The primary key first.
    keys: Vec<StreamKey>,
    primary: u32,
}

impl StreamKeys {
    /// Those of all enabled keys.
    ///
    /// # Errors
    /// If one of them is of a type that is not for this, or cannot be used.
    pub fn new(keyset: &Keyset) -> Result<Self, ConfigError> {
        let mut keys = Vec::new();
        for (key, material) in keyset.enabled() {
            let read = message::read(material).map_err(|error| {
                ConfigError::new(format!("key {} ({}): {error}", key.id(), key.type_name()))
            })?;
            let at = if key.id() == keyset.primary() { 0 } else { keys.len() };
            keys.insert(at, read);
        }
        Ok(Self { keys, primary: keyset.primary() })
    }

    /// These keys, the first of which is primary.
    #[cfg(test)]
    pub(super) fn of_keys(keys: Vec<StreamKey>) -> Self {
        Self { keys, primary: 0 }
    }

    /// The id of the key that seals.
    pub fn primary(&self) -> u32 {
        self.primary
    }

    /// Begins a stream by the primary key.
    ///
    /// # Errors
    /// If the system's generator gives nothing.
    pub fn sealer(&self, associated_data: &[u8]) -> Result<Sealer, Failed> {
        self.keys.first().ok_or(Failed)?.sealer(associated_data)
    }

    /// How much of a stream has to be seen to know its key: its first segment, whatever key it is of.
    pub fn head(&self) -> usize {
        self.keys.iter().map(|key| key.format().segment()).max().unwrap_or(0)
    }

    /// What opens the stream of *length* bytes that begins with *head*: [`StreamKeys::head`] bytes, or all that there are.
    ///
    /// # Errors
    /// If no key opens its first segment for these associated data.
    pub fn opener(&self, associated_data: &[u8], head: &[u8], length: u64) -> Result<Opener, Failed> {
        self.tried(|key| key.opener(associated_data, head, length))
    }

    /// What opens the stream that begins with *head*, [`StreamKeys::head`] bytes, and goes on.
    ///
    /// # Errors
    /// As [`StreamKeys::opener`].
    pub(super) fn endless(&self, associated_data: &[u8], head: &[u8]) -> Result<Opener, Failed> {
        self.tried(|key| Opener::endless(key, associated_data, head))
    }

    fn tried(&self, open: impl Fn(&StreamKey) -> Result<Opener, Failed>) -> Result<Opener, Failed> {
        let mut keys = self.keys.iter().enumerate();
        keys.find_map(|(at, key)| open(key).ok().map(|opener| opener.by_primary(at == 0))).ok_or(Failed)
    }
}

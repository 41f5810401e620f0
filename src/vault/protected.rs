//! Keysets that are sealed as a whole: by a KMS, or under a passphrase.
//!
//! Tink's `EncryptedKeyset` is the binary keyset, sealed by some AEAD with some associated data, and beside it, in clear,
//! which keys are in it. Here the AEAD is two functions, so it is whatever the caller has: a KMS' client, or AES-256-GCM.
//!
//! Opening, in order:
//! 1. the function opens the sealed part, or fails;
//! 2. what it gave is a sound keyset (`keyset.rs`);
//! 3. if there is something beside it in clear, it says what the keyset says. Tink does not look at it; whoever changed
//!    it wanted somebody to believe it.
//!
//! Sealing opens what it has sealed and compares, as Tink does: a KMS that takes keys and does not give them back is noticed
//! while they are still there.
//!
//! # What it does not do
//! It does not stop a replay: an older file of the same keyset opens as it did.
//!
//! # What can break it in deployment
//! The associated data must be the same for ever: a changed path or name, if that is what it is, and nothing opens.
//!
//! Source: Tink's `tink.proto`, `KeysetHandle` and `JsonKeysetReader`.

use std::fmt;

use super::json;
use super::keyset::Keyset;
use super::wire::{self, EncryptedKeyset};
use crate::crypto::{same, sha256};
use crate::error::ConfigError;
use crate::secret::Secret;

/// A keyset that was sealed.
pub struct Protected(EncryptedKeyset);

/// Why a sealed keyset was not opened, or a keyset not sealed.
#[derive(Debug)]
pub enum Unprotected<E> {
    /// What was sealed was changed, or what stands beside it says something else.
    Altered,
    /// What was sealed is no keyset that can be used.
    Config(ConfigError),
    /// The function that seals or opens failed by itself.
    Wrapping(E),
}

impl<E> From<ConfigError> for Unprotected<E> {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl Protected {
    /// Reads Tink's binary form.
    ///
    /// # Errors
    /// If it is none, or nothing in it is sealed.
    pub fn from_binary(bytes: &[u8]) -> Result<Self, ConfigError> {
        Self::from_wire(wire::decode(bytes, "an encrypted keyset")?)
    }

    /// Reads Tink's JSON form.
    ///
    /// # Errors
    /// As [`Protected::from_binary`].
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        Self::from_wire(json::read_encrypted(text)?)
    }

    pub(super) fn from_wire(message: EncryptedKeyset) -> Result<Self, ConfigError> {
        if message.encrypted_keyset.is_empty() {
            return Err(ConfigError::new("this encrypted keyset is empty"));
        }
        Ok(Self(message))
    }

    pub(super) fn as_wire(&self) -> &EncryptedKeyset {
        &self.0
    }

    /// Tink's binary form.
    pub fn to_binary(&self) -> Vec<u8> {
        wire::encode(&self.0).expose().to_vec()
    }

    /// Tink's JSON form.
    pub fn to_json(&self) -> String {
        json::write_encrypted(&self.0)
    }

    /// Seals *keyset* by *seal*, and opens it again by *open*.
    ///
    /// # Errors
    /// What the functions say; [`Unprotected::Altered`] if another keyset came back.
    pub fn seal<E>(
        keyset: &Keyset,
        seal: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>,
        open: impl FnOnce(&[u8]) -> Result<Secret, E>,
    ) -> Result<Self, Unprotected<E>> {
        let clear = keyset.to_binary();
        let sealed = seal(clear.expose()).map_err(Unprotected::Wrapping)?;
        let back = open(&sealed).map_err(Unprotected::Wrapping)?;
        if sealed.is_empty() || !same(&sha256(back.expose()), &sha256(clear.expose())) {
            return Err(Unprotected::Altered);
        }
        Ok(Self(EncryptedKeyset { encrypted_keyset: sealed, keyset_info: Some(keyset.info()) }))
    }

    /// The keyset, opened by *open*.
    ///
    /// # Errors
    /// What the function says; [`Unprotected::Config`] if what it opened is no sound keyset;
    /// [`Unprotected::Altered`] if what stands in clear is not what was sealed.
    pub fn open<E>(&self, open: impl FnOnce(&[u8]) -> Result<Secret, E>) -> Result<Keyset, Unprotected<E>> {
        let clear = open(&self.0.encrypted_keyset).map_err(Unprotected::Wrapping)?;
        let keyset = Keyset::from_binary(clear.expose())?;
        match &self.0.keyset_info {
            Some(told) if !tells(told, &keyset) => Err(Unprotected::Altered),
            _ => Ok(keyset),
        }
    }
}

impl fmt::Debug for Protected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Protected").field("info", &self.0.keyset_info).finish_non_exhaustive()
    }
}

/// Whether *told* is of *keyset*. Of a destroyed key some of Tink's languages still tell the type.
fn tells(told: &wire::KeysetInfo, keyset: &Keyset) -> bool {
    let info = keyset.info();
    told.primary_key_id == info.primary_key_id
        && told.key_info.len() == info.key_info.len()
        && told.key_info.iter().zip(&info.key_info).all(|(told, key)| {
            let destroyed = key.type_url.is_empty();
            (destroyed || told.type_url == key.type_url)
                && (told.status, told.key_id, told.output_prefix_type)
                    == (key.status, key.key_id, key.output_prefix_type)
        })
}

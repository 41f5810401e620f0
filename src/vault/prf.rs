//! Computes blind indexes: what a value is looked up by, without being there.
//!
//! `index = HMAC-SHA-256(HKDF(key, "blind-index:" + purpose), value)`, cut to [`INDEX`] bytes. The key is one of
//! Tink's `HkdfPrfKey`s, of a keyset of its own: nothing is ever sealed by it. The purpose keeps columns apart: the same
//! value has another index in each.
//!
//! A key is usable when its version is 0, its hash is SHA-256 or SHA-512, it has at least 32 bytes, and no prefix.
//!
//! # What it does not do
//! It does not hide that two rows have the same value, nor how often a value occurs. It stops whoever has the table
//! and not the key from trying values out; whoever has the key, or may ask the app, can.
//!
//! # What can break it in deployment
//! A new primary key gives new indexes: rows that were written before are found by the index of the old key, until they are
//! written anew. [`Prf::indexes`] gives all of them.
//!
//! Sources: RFC 5869 (HKDF), RFC 2104 (HMAC), Tink's `hkdf_prf.proto`.

use std::fmt;

use ring::{hkdf, hmac};
use zeroize::Zeroizing;

use super::aead::version_zero;
use super::expanded::spilling;
use super::keyset::{Keyset, Material, OutputPrefix};
use super::templates::HKDF_PRF;
use super::wire::{self, HkdfPrfKey};
use crate::crypto::Failed;
use crate::error::ConfigError;

/// Bytes of a blind index: two values of 2^32 share one with a chance of 2^-65.
pub const INDEX: usize = 16;

/// The pseudo-random functions of a keyset.
pub struct Prf {
    /// The primary's first, then the others in the keyset's order.
    keys: Vec<hkdf::Prk>,
}

impl Prf {
    /// Those of all enabled keys.
    ///
    /// # Errors
    /// If one of them is of a type that is not for this, or cannot be used.
    pub fn new(keyset: &Keyset) -> Result<Self, ConfigError> {
        let mut keys = Vec::new();
        for (key, material) in keyset.enabled() {
            let read = read(material).and_then(|prk| match key.prefix() {
                OutputPrefix::Raw => Ok(prk),
                _ => Err(ConfigError::new("a key of a PRF has the output prefix RAW")),
            });
            let prk = read.map_err(|error| {
                ConfigError::new(format!("key {} ({}): {error}", key.id(), key.type_name()))
            })?;
            if key.id() == keyset.primary() { keys.insert(0, prk) } else { keys.push(prk) }
        }
        Ok(Self { keys })
    }

    /// The index of *value* for *purpose*, by the primary key.
    ///
    /// # Errors
    /// Never for a keyset's keys; HKDF of one block does not fail.
    pub fn index(&self, purpose: &str, value: &[u8]) -> Result<[u8; INDEX], Failed> {
        blind(self.keys.first().ok_or(Failed)?, purpose, value)
    }

    /// Its indexes by all enabled keys, the primary's first.
    ///
    /// # Errors
    /// As [`Prf::index`].
    pub fn indexes(&self, purpose: &str, value: &[u8]) -> Result<Vec<[u8; INDEX]>, Failed> {
        self.keys.iter().map(|key| blind(key, purpose, value)).collect()
    }
}

impl fmt::Debug for Prf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prf").field("keys", &self.keys.len()).finish()
    }
}

fn read(material: &Material) -> Result<hkdf::Prk, ConfigError> {
    if material.type_url != HKDF_PRF {
        return Err(ConfigError::new("keys of this type are not for a PRF"));
    }
    let key: HkdfPrfKey = wire::decode(material.value.expose(), "an HKDF key")?;
    version_zero(key.version)?;
    let params = key.params.as_ref();
    let hash = match params.map(|params| params.hash) {
        Some(wire::SHA256) => hkdf::HKDF_SHA256,
        Some(SHA512) => hkdf::HKDF_SHA512,
        _ => return Err(ConfigError::new("the hash of an HKDF key is SHA256 or SHA512")),
    };
    if key.key_value.len() < 32 {
        return Err(ConfigError::new("an HKDF key has at least 32 bytes"));
    }
    let salt = params.map_or(&[][..], |params| &params.salt);
    Ok(spilling(|| hkdf::Salt::new(hash, salt).extract(&key.key_value)))
}

fn blind(key: &hkdf::Prk, purpose: &str, value: &[u8]) -> Result<[u8; INDEX], Failed> {
    let info = [LABEL, purpose.as_bytes()];
    let mut derived = Zeroizing::new([0; 32]);
    key.expand(&info, hkdf::HKDF_SHA256).and_then(|okm| okm.fill(&mut *derived)).map_err(|_| Failed)?;
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &*derived), value);
    tag.as_ref().first_chunk().copied().ok_or(Failed)
}

/// What this is for, in front of the purpose: another use of the same key has another label.
const LABEL: &[u8] = b"blind-index:";
/// `SHA512` in Tink's `HashType`.
const SHA512: i32 = 4;

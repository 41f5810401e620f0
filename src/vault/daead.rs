//! Seals so that the same is sealed to the same: AES-SIV (RFC 5297), for values that are searched for.
//!
//! What a key makes is `synthetic IV || ciphertext`: no nonce. The IV is computed from the associated data, as the one
//! component before the text, and the text itself; it is also the tag.
//!
//! A key is usable when its version is 0 and it has 64 bytes, as in Tink: half for AES-256-CMAC, half for AES-256-CTR.
//!
//! # What it does not do
//! It does not hide that two values are the same: who sees a column sees which rows agree, and how often each value
//! occurs. With few possible values that is as good as seeing them. Where only looking up is needed, `prf.rs` has blind
//! indexes, which cannot be opened.

use aes_siv::siv::Aes256Siv;
use aes_siv::{KeyInit, Tag};

use super::aead::version_zero;
use super::expanded::spilling;
use super::keyset::{Material, Random};
use super::sealer::{Cipher, Sealer};
use super::templates::{self, Primitive};
use super::wire::{self, AesSivKey};
use crate::crypto::Failed;
use crate::error::ConfigError;
use crate::secret::Secret;

/// The deterministic AEADs of a keyset.
pub type DeterministicAead = Sealer<SivCipher>;

/// AES-SIV with its key.
// The crate's type takes itself mutably, for its running MAC; a new one for each call keeps threads apart. It is wiped, and
// what it was moved from is overwritten.
pub struct SivCipher(Secret);

impl Cipher for SivCipher {
    const PRIMITIVE: Primitive = Primitive::DeterministicAead;

    fn read(material: &Material) -> Result<Self, ConfigError> {
        if material.type_url != templates::AES_SIV {
            return Err(ConfigError::new("keys of this type are not for a deterministic AEAD"));
        }
        let key: AesSivKey = wire::decode(material.value.expose(), "an AES-SIV key")?;
        version_zero(key.version)?;
        if key.key_value.len() != KEY {
            return Err(ConfigError::new("an AES-SIV key has 64 bytes"));
        }
        Ok(Self(Secret::new(key.key_value.to_vec())))
    }

    fn overhead(&self) -> usize {
        IV
    }

    fn seal_into(
        &self,
        plaintext: &[u8],
        associated_data: &[u8],
        _random: Random<'_>,
        out: &mut [u8],
    ) -> Result<(), Failed> {
        let (iv, body) = out.split_at_mut_checked(IV).ok_or(Failed)?;
        if body.len() != plaintext.len() {
            return Err(Failed);
        }
        body.copy_from_slice(plaintext);
        let made = spilling(|| {
            self.cipher()?.encrypt_inout_detached([associated_data], body.into()).map_err(|_| Failed)
        });
        iv.copy_from_slice(&made?);
        Ok(())
    }

    fn open_into(&self, sealed: &[u8], associated_data: &[u8], out: &mut [u8]) -> Result<(), Failed> {
        let (iv, body) = sealed.split_at_checked(IV).ok_or(Failed)?;
        if body.len() != out.len() {
            return Err(Failed);
        }
        out.copy_from_slice(body);
        let iv = Tag::try_from(iv).map_err(|_| Failed)?;
        spilling(|| {
            self.cipher()?.decrypt_inout_detached([associated_data], out.into(), &iv).map_err(|_| Failed)
        })
    }
}

impl SivCipher {
    fn cipher(&self) -> Result<Aes256Siv, Failed> {
        Aes256Siv::new_from_slice(self.0.expose()).map_err(|_| Failed)
    }
}

/// Bytes of a key.
const KEY: usize = 64;
/// Bytes of the synthetic IV.
const IV: usize = 16;

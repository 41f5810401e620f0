//! Seals with associated data: AES-GCM, AES-GCM-SIV, ChaCha20-Poly1305 and XChaCha20-Poly1305.
//!
//! What a key makes is `nonce || ciphertext || tag`. The nonce is random, of 12 bytes (24 for XChaCha20-Poly1305); the tag has
//! 16. *ring* does AES-GCM and ChaCha20-Poly1305, RustCrypto what ring lacks.
//!
//! A key is usable when its version is 0 and it has 16 or 32 bytes for AES, 32 for ChaCha20. AES-192 is refused, as Tink does.
//!
//! # What can break it in deployment
//! Random nonces of 12 bytes may repeat: seal at most 2^32 times with one key of AES-GCM or ChaCha20-Poly1305 (NIST SP
//! 800-38D section 8.3), then rotate. A repeated nonce breaks these two altogether; AES-GCM-SIV then tells only that two
//! texts were the same, and XChaCha20-Poly1305 has nonces that do not repeat.
//!
//! Sources: NIST SP 800-38D; RFC 8439; RFC 8452; draft-irtf-cfrg-xchacha; Tink's wire format.

use aes_gcm_siv::aead::{AeadInOut, KeyInit};
use aes_gcm_siv::{Aes128GcmSiv, Aes256GcmSiv};
use chacha20poly1305::XChaCha20Poly1305;
use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, Nonce};

use super::expanded::{RingKey, boxed, spilling};
use super::keyset::{Material, Random};
use super::sealer::{Cipher, Sealer};
use super::templates::{self, Primitive};
use super::wire::{self, AesGcmKey, AesGcmSivKey, ChaCha20Poly1305Key, XChaCha20Poly1305Key};
use crate::crypto::Failed;
use crate::error::ConfigError;

/// The AEADs of a keyset.
pub type Aead = Sealer<AeadCipher>;

/// One AEAD with its key.
pub struct AeadCipher(Kind);

enum Kind {
    // Boxed: key schedules are large, a keyset has some, and where one is moved to, it leaves itself behind.
    Ring(RingKey),
    Siv128(Box<Aes128GcmSiv>),
    Siv256(Box<Aes256GcmSiv>),
    XChaCha(Box<XChaCha20Poly1305>),
}

impl Cipher for AeadCipher {
    const PRIMITIVE: Primitive = Primitive::Aead;

    fn read(material: &Material) -> Result<Self, ConfigError> {
        let value = material.value.expose();
        let wrong = || ConfigError::new("this key has the wrong size");
        let kind = match material.type_url.as_str() {
            templates::AES_GCM => {
                let key: AesGcmKey = wire::decode(value, "an AES-GCM key")?;
                version_zero(key.version)?;
                match key.key_value.len() {
                    16 => ring(&AES_128_GCM, &key.key_value)?,
                    32 => ring(&AES_256_GCM, &key.key_value)?,
                    _ => return Err(wrong()),
                }
            }
            templates::AES_GCM_SIV => {
                let key: AesGcmSivKey = wire::decode(value, "an AES-GCM-SIV key")?;
                version_zero(key.version)?;
                match key.key_value.len() {
                    16 => Kind::Siv128(rust_crypto(&key.key_value)?),
                    32 => Kind::Siv256(rust_crypto(&key.key_value)?),
                    _ => return Err(wrong()),
                }
            }
            templates::CHACHA20_POLY1305 => {
                let key: ChaCha20Poly1305Key = wire::decode(value, "a ChaCha20-Poly1305 key")?;
                version_zero(key.version)?;
                ring(&CHACHA20_POLY1305, &key.key_value)?
            }
            templates::XCHACHA20_POLY1305 => {
                let key: XChaCha20Poly1305Key = wire::decode(value, "an XChaCha20-Poly1305 key")?;
                version_zero(key.version)?;
                Kind::XChaCha(rust_crypto(&key.key_value)?)
            }
            _ => return Err(ConfigError::new("keys of this type are not for an AEAD")),
        };
        Ok(Self(kind))
    }

    fn overhead(&self) -> usize {
        self.nonce_len() + TAG
    }

    fn seal_into(
        &self,
        plaintext: &[u8],
        associated_data: &[u8],
        random: Random<'_>,
        out: &mut [u8],
    ) -> Result<(), Failed> {
        let (nonce, rest) = out.split_at_mut_checked(self.nonce_len()).ok_or(Failed)?;
        let (body, tag) = rest.split_at_mut_checked(plaintext.len()).ok_or(Failed)?;
        random(nonce)?;
        body.copy_from_slice(plaintext);
        match &self.0 {
            Kind::Ring(key) => {
                let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Failed)?;
                let made = key.used(|key| {
                    key.seal_in_place_separate_tag(nonce, Aad::from(associated_data), body)
                        .map_err(|_| Failed)
                })?;
                copy(made.as_ref(), tag)
            }
            Kind::Siv128(cipher) => seal(&**cipher, nonce, associated_data, body, tag),
            Kind::Siv256(cipher) => seal(&**cipher, nonce, associated_data, body, tag),
            Kind::XChaCha(cipher) => seal(&**cipher, nonce, associated_data, body, tag),
        }
    }

    fn open_into(&self, sealed: &[u8], associated_data: &[u8], out: &mut [u8]) -> Result<(), Failed> {
        let (nonce, rest) = sealed.split_at_checked(self.nonce_len()).ok_or(Failed)?;
        let (body, tag) = rest.split_at_checked(out.len()).ok_or(Failed)?;
        copy(body, out)?;
        match &self.0 {
            Kind::Ring(key) => {
                let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Failed)?;
                let tag = tag.try_into().map_err(|_| Failed)?;
                key.used(|key| {
                    key.open_in_place_separate_tag(nonce, Aad::from(associated_data), tag, out, 0..)
                        .map(|_| ())
                        .map_err(|_| Failed)
                })
            }
            Kind::Siv128(cipher) => open(&**cipher, nonce, associated_data, out, tag),
            Kind::Siv256(cipher) => open(&**cipher, nonce, associated_data, out, tag),
            Kind::XChaCha(cipher) => open(&**cipher, nonce, associated_data, out, tag),
        }
    }
}

impl AeadCipher {
    fn nonce_len(&self) -> usize {
        if matches!(self.0, Kind::XChaCha(_)) { 24 } else { 12 }
    }
}

/// AES-256-GCM with bytes that are no keyset's: what a keyset is sealed by under a passphrase.
///
/// # Errors
/// Unless there are 32 bytes.
pub(super) fn aes_256_gcm(key: &[u8]) -> Result<AeadCipher, ConfigError> {
    Ok(AeadCipher(ring(&AES_256_GCM, key)?))
}

fn ring(algorithm: &'static Algorithm, key: &[u8]) -> Result<Kind, ConfigError> {
    RingKey::new(algorithm, key).map(Kind::Ring).map_err(|_| ConfigError::new("this key has the wrong size"))
}

fn rust_crypto<C: KeyInit>(key: &[u8]) -> Result<Box<C>, ConfigError> {
    boxed(|| C::new_from_slice(key).ok()).ok_or_else(|| ConfigError::new("this key has the wrong size"))
}

/// Tink knows no other version of any key yet; a later one may mean something else.
pub(super) fn version_zero(version: u32) -> Result<(), ConfigError> {
    if version == 0 { Ok(()) } else { Err(ConfigError::new("this key is of a version that is not known")) }
}

fn seal<A: AeadInOut>(
    cipher: &A,
    nonce: &[u8],
    associated_data: &[u8],
    body: &mut [u8],
    tag: &mut [u8],
) -> Result<(), Failed> {
    let nonce = nonce.try_into().map_err(|_| Failed)?;
    let made = spilling(|| cipher.encrypt_inout_detached(nonce, associated_data, body.into()));
    copy(&made.map_err(|_| Failed)?, tag)
}

fn open<A: AeadInOut>(
    cipher: &A,
    nonce: &[u8],
    associated_data: &[u8],
    out: &mut [u8],
    tag: &[u8],
) -> Result<(), Failed> {
    let nonce = nonce.try_into().map_err(|_| Failed)?;
    let tag = tag.try_into().map_err(|_| Failed)?;
    spilling(|| cipher.decrypt_inout_detached(nonce, associated_data, out.into(), tag)).map_err(|_| Failed)
}

fn copy(from: &[u8], to: &mut [u8]) -> Result<(), Failed> {
    if from.len() != to.len() {
        return Err(Failed);
    }
    to.copy_from_slice(from);
    Ok(())
}

/// Bytes of the tag, for all of them.
const TAG: usize = 16;

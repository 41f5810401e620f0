//! Which kinds of keys can be made, and what each kind is for.
//!
//! A [`Template`] is a name of Tink's, the bytes that a key of it needs, and how these are written. A primitive that
//! is added is a row here and a file of its own; `keyset.rs` need not know it.
//!
//! AES-192 is not here, nor is any other parameter that Tink refuses. What Tink has and this has not (AES-EAX, AES-CTR-HMAC,
//! X-AES-GCM, the KMS types) can stand in a keyset that is read, and is refused where it would be used.

use super::keyset::OutputPrefix;
use super::streaming::{ctr_hmac, gcm_hkdf};
use super::wire::{
    AesGcmKey, AesGcmSivKey, AesSivKey, ChaCha20Poly1305Key, HkdfPrfKey, HkdfPrfParams, SHA256,
    XChaCha20Poly1305Key, encode, shared,
};
use crate::error::ConfigError;
use crate::secret::Secret;

/// What keys of a type do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Primitive {
    /// Seals with associated data.
    Aead,
    /// Seals so that the same is sealed to the same.
    DeterministicAead,
    /// Computes what nobody else can: for indexes, not for secrets.
    Prf,
    /// Seals what is too long for memory, by the segment.
    StreamingAead,
}

impl Primitive {
    /// What is done by keys of this type; `None` for a type that is not known here.
    ///
    /// `type_url` is with or without what stands before the name.
    pub fn of(type_url: &str) -> Option<Self> {
        TEMPLATES.iter().find(|template| template.type_url == type_url).map(|found| found.primitive)
    }

    /// As it is called in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aead => "AEAD",
            Self::DeterministicAead => "deterministic AEAD",
            Self::Prf => "PRF",
            Self::StreamingAead => "streaming AEAD",
        }
    }
}

/// A kind of key that can be made.
#[derive(Debug)]
pub struct Template {
    /// Tink's name of it, such as `AES256_GCM`.
    pub name: &'static str,
    /// Of the keys that it makes.
    pub type_url: &'static str,
    /// What they are for.
    pub primitive: Primitive,
    /// Random bytes that a key takes.
    pub key_len: usize,
    /// Prefixes that its keys can have; the first unless another is asked for.
    pub prefixes: &'static [OutputPrefix],
    /// Writes the key type's message from these bytes.
    pub encode: fn(&[u8]) -> Secret,
}

impl Template {
    /// The template of this name.
    ///
    /// # Errors
    /// If there is none: the error lists those that there are.
    pub fn named(name: &str) -> Result<&'static Self, ConfigError> {
        TEMPLATES.iter().find(|template| template.name == name).ok_or_else(|| {
            let names: Vec<_> = TEMPLATES.iter().map(|template| template.name).collect();
            ConfigError::new(format!("there is no template of this name; there are {}", names.join(", ")))
        })
    }

    /// The template that a key was made by, or might have been; `None` if there is none that makes such keys.
    pub fn of(type_url: &str, value: &[u8]) -> Option<&'static Self> {
        TEMPLATES.iter().find(|template| template.type_url == type_url && template.made(value))
    }

    /// Whether a key's message is one of this template's: whatever is not its random bytes is the same.
    fn made(&self, value: &[u8]) -> bool {
        let written = |filling| (self.encode)(&vec![filling; self.key_len]);
        let (zeros, ones) = (written(0), written(0xff));
        let bytes = zeros.expose().iter().zip(ones.expose()).zip(value);
        value.len() == zeros.expose().len()
            && bytes.fold(true, |same, ((zero, one), byte)| same & (zero != one || zero == byte))
    }
}

/// With the key's id in front of what it seals, or without.
pub(super) const ANY_PREFIX: &[OutputPrefix] =
    &[OutputPrefix::Tink, OutputPrefix::Crunchy, OutputPrefix::Raw];
/// For what has no place for a prefix.
pub(super) const RAW_ONLY: &[OutputPrefix] = &[OutputPrefix::Raw];

/// A type URL of Tink's.
macro_rules! tink {
    ($name:literal) => {
        concat!("type.googleapis.com/google.crypto.tink.", $name)
    };
}

pub(super) const AES_CTR_HMAC_STREAMING: &str = tink!("AesCtrHmacStreamingKey");
pub(super) const AES_GCM: &str = tink!("AesGcmKey");
pub(super) const AES_GCM_HKDF_STREAMING: &str = tink!("AesGcmHkdfStreamingKey");
pub(super) const AES_GCM_SIV: &str = tink!("AesGcmSivKey");
pub(super) const AES_SIV: &str = tink!("AesSivKey");
pub(super) const CHACHA20_POLY1305: &str = tink!("ChaCha20Poly1305Key");
pub(super) const HKDF_PRF: &str = tink!("HkdfPrfKey");
pub(super) const XCHACHA20_POLY1305: &str = tink!("XChaCha20Poly1305Key");

/// All of them, in alphabetical order.
pub static TEMPLATES: &[Template] = &[
    stream("AES128_CTR_HMAC_SHA256_1MB", AES_CTR_HMAC_STREAMING, 16, |key| ctr_hmac(key, MEBIBYTE)),
    stream("AES128_CTR_HMAC_SHA256_4KB", AES_CTR_HMAC_STREAMING, 16, |key| ctr_hmac(key, FOUR_KIB)),
    aead("AES128_GCM", AES_GCM, 16, AesGcmKey::of),
    stream("AES128_GCM_HKDF_1MB", AES_GCM_HKDF_STREAMING, 16, |key| gcm_hkdf(key, MEBIBYTE)),
    stream("AES128_GCM_HKDF_4KB", AES_GCM_HKDF_STREAMING, 16, |key| gcm_hkdf(key, FOUR_KIB)),
    aead("AES128_GCM_SIV", AES_GCM_SIV, 16, AesGcmSivKey::of),
    stream("AES256_CTR_HMAC_SHA256_1MB", AES_CTR_HMAC_STREAMING, 32, |key| ctr_hmac(key, MEBIBYTE)),
    stream("AES256_CTR_HMAC_SHA256_4KB", AES_CTR_HMAC_STREAMING, 32, |key| ctr_hmac(key, FOUR_KIB)),
    aead("AES256_GCM", AES_GCM, 32, AesGcmKey::of),
    stream("AES256_GCM_HKDF_1MB", AES_GCM_HKDF_STREAMING, 32, |key| gcm_hkdf(key, MEBIBYTE)),
    stream("AES256_GCM_HKDF_4KB", AES_GCM_HKDF_STREAMING, 32, |key| gcm_hkdf(key, FOUR_KIB)),
    aead("AES256_GCM_SIV", AES_GCM_SIV, 32, AesGcmSivKey::of),
    Template {
        name: "AES256_SIV",
        type_url: AES_SIV,
        primitive: Primitive::DeterministicAead,
        key_len: 64,
        prefixes: ANY_PREFIX,
        encode: AesSivKey::of,
    },
    aead("CHACHA20_POLY1305", CHACHA20_POLY1305, 32, ChaCha20Poly1305Key::of),
    Template {
        name: "HKDF_SHA256",
        type_url: HKDF_PRF,
        primitive: Primitive::Prf,
        key_len: 32,
        prefixes: RAW_ONLY,
        encode: |key| {
            let params = Some(HkdfPrfParams { hash: SHA256, salt: Vec::new() });
            encode(&HkdfPrfKey { version: 0, params, key_value: shared(key.to_vec()) })
        },
    },
    aead("XCHACHA20_POLY1305", XCHACHA20_POLY1305, 32, XChaCha20Poly1305Key::of),
];

const fn aead(
    name: &'static str,
    type_url: &'static str,
    key_len: usize,
    encode: fn(&[u8]) -> Secret,
) -> Template {
    Template { name, type_url, primitive: Primitive::Aead, key_len, prefixes: ANY_PREFIX, encode }
}

// A stream has no place for a prefix: its header is found by trying.
const fn stream(
    name: &'static str,
    type_url: &'static str,
    key_len: usize,
    encode: fn(&[u8]) -> Secret,
) -> Template {
    Template { name, type_url, primitive: Primitive::StreamingAead, key_len, prefixes: RAW_ONLY, encode }
}

const FOUR_KIB: u32 = 4 * 1024;
const MEBIBYTE: u32 = 1024 * 1024;

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]
    use super::*;

    #[test]
    fn templates_are_found_by_name_and_listed_in_order() {
        assert!(TEMPLATES.windows(2).all(|pair| pair[0].name < pair[1].name));
        assert_eq!(Template::named("AES256_GCM").expect("a template").key_len, 32);
        let error = Template::named("AES192_GCM").expect_err("Tink has no AES-192").to_string();
        assert!(error.contains("AES256_GCM"), "{error}");
    }

    #[test]
    fn a_keys_template_is_found_by_what_is_not_random_in_it() {
        for template in TEMPLATES {
            let key: Vec<u8> = (0..template.key_len).map(|at| (at * 7 % 251) as u8).collect();
            let value = (template.encode)(&key);
            let found = Template::of(template.type_url, value.expose());
            assert_eq!(found.map(|found| found.name), Some(template.name));
            let cut = value.expose().get(1..).unwrap_or_default();
            assert!(Template::of(template.type_url, cut).is_none());
        }
        assert!(Template::of(AES_SIV, &[]).is_none());
    }
}

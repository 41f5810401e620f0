//! Tink's messages for the keys of streams, and what of them can be used.
//!
//! A key is read when its version is 0, its hashes are known, and its sizes are those of a [`Format`].
//!
//! Sources: `aes_gcm_hkdf_streaming.proto`, `aes_ctr_hmac_streaming.proto`, `hmac.proto` and `common.proto` of
//! `google.crypto.tink`.

use std::fmt;

use prost::Message;
use prost::bytes::Bytes;

use super::StreamKey;
use super::format::{Cipher, Format, Hash};
use crate::error::ConfigError;
use crate::secret::Secret;
use crate::vault::keyset::Material;
use crate::vault::{templates, wire};

/// `AesGcmHkdfStreamingKey`.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct GcmHkdfKey {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(message, optional, tag = "2")]
    params: Option<GcmHkdfParams>,
    #[prost(bytes = "bytes", tag = "3")]
    key_value: Bytes,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct GcmHkdfParams {
    #[prost(uint32, tag = "1")]
    ciphertext_segment_size: u32,
    #[prost(uint32, tag = "2")]
    derived_key_size: u32,
    #[prost(int32, tag = "3")]
    hkdf_hash_type: i32,
}

/// `AesCtrHmacStreamingKey`.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct CtrHmacKey {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(message, optional, tag = "2")]
    params: Option<CtrHmacParams>,
    #[prost(bytes = "bytes", tag = "3")]
    key_value: Bytes,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct CtrHmacParams {
    #[prost(uint32, tag = "1")]
    ciphertext_segment_size: u32,
    #[prost(uint32, tag = "2")]
    derived_key_size: u32,
    #[prost(int32, tag = "3")]
    hkdf_hash_type: i32,
    #[prost(message, optional, tag = "4")]
    hmac_params: Option<HmacParams>,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct HmacParams {
    #[prost(int32, tag = "1")]
    hash: i32,
    #[prost(uint32, tag = "2")]
    tag_size: u32,
}

macro_rules! secret {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).field("params", &self.params).finish_non_exhaustive()
            }
        }
    };
}

secret!(GcmHkdfKey);
secret!(CtrHmacKey);

/// A serialized key for AES-GCM-HKDF in segments of this size, as Tink's templates have it: over SHA-256.
pub fn gcm_hkdf(key: &[u8], segment: u32) -> Secret {
    let params = GcmHkdfParams {
        ciphertext_segment_size: segment,
        derived_key_size: short(key.len()),
        hkdf_hash_type: wire::SHA256,
    };
    wire::encode(&GcmHkdfKey { version: 0, params: Some(params), key_value: wire::shared(key.to_vec()) })
}

/// The same for AES-CTR-HMAC, whose tags have 32 bytes.
pub fn ctr_hmac(key: &[u8], segment: u32) -> Secret {
    let params = CtrHmacParams {
        ciphertext_segment_size: segment,
        derived_key_size: short(key.len()),
        hkdf_hash_type: wire::SHA256,
        hmac_params: Some(HmacParams { hash: wire::SHA256, tag_size: 32 }),
    };
    wire::encode(&CtrHmacKey { version: 0, params: Some(params), key_value: wire::shared(key.to_vec()) })
}

/// Reads a key.
///
/// # Errors
/// If it is for no stream, or cannot be used. The error says nothing of the key's bytes.
pub(super) fn read(material: &Material) -> Result<StreamKey, ConfigError> {
    let value = material.value.expose();
    match material.type_url.as_str() {
        templates::AES_GCM_HKDF_STREAMING => {
            let key: GcmHkdfKey = wire::decode(value, "an AES-GCM-HKDF streaming key")?;
            version_zero(key.version)?;
            let params = key.params.as_ref().ok_or_else(no_parameters)?;
            let format = Format::new(
                Cipher::Gcm,
                hash(params.hkdf_hash_type)?,
                size(params.derived_key_size),
                size(params.ciphertext_segment_size),
            )?;
            StreamKey::new(format, Secret::new(key.key_value.to_vec()))
        }
        templates::AES_CTR_HMAC_STREAMING => {
            let key: CtrHmacKey = wire::decode(value, "an AES-CTR-HMAC streaming key")?;
            version_zero(key.version)?;
            let params = key.params.as_ref().ok_or_else(no_parameters)?;
            let mac = params.hmac_params.as_ref().ok_or_else(no_parameters)?;
            let format = Format::new(
                Cipher::CtrHmac { hash: hash(mac.hash)?, tag: size(mac.tag_size) },
                hash(params.hkdf_hash_type)?,
                size(params.derived_key_size),
                size(params.ciphertext_segment_size),
            )?;
            StreamKey::new(format, Secret::new(key.key_value.to_vec()))
        }
        _ => Err(ConfigError::new("keys of this type are not for streams")),
    }
}

/// By its number in Tink's `HashType`.
fn hash(number: i32) -> Result<Hash, ConfigError> {
    match number {
        1 => Ok(Hash::Sha1),
        3 => Ok(Hash::Sha256),
        4 => Ok(Hash::Sha512),
        _ => Err(ConfigError::new("a stream's hash is SHA1, SHA256 or SHA512")),
    }
}

fn version_zero(version: u32) -> Result<(), ConfigError> {
    if version == 0 { Ok(()) } else { Err(ConfigError::new("this key is of a version that is not known")) }
}

fn no_parameters() -> ConfigError {
    ConfigError::new("this key has no parameters")
}

// What does not fit is too large for a format, and is refused as such.
fn size(size: u32) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

fn short(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(0)
}

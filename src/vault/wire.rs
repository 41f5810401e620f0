//! Tink's messages, as they stand in its `.proto` files: what a keyset and a key look like in bytes.
//!
//! 1. A message is at most [`MOST_BYTES`] long; a longer one is refused unread.
//! 2. Fields that are not known here are skipped, as protobuf readers do, and are not written again.
//! 3. What is secret is wiped when the last message that has it is dropped, and is not in its `Debug`. The decoder makes no
//!    copy of it: secret fields are parts of one buffer ([`shared`]). Into a vector, it would come by another one on the
//!    heap, which nobody wipes.
//!
//! # What it does not do
//! It does not judge: a key of two bytes, an unknown status or two keys of one id are read as they are.
//! `keyset.rs` and the primitives say what of it can be used.
//!
//! Sources: `tink.proto` and the key types of `google.crypto.tink`; the Protocol Buffers encoding.

use std::fmt;

use prost::Message;
use prost::bytes::Bytes;
use zeroize::Zeroizing;

use crate::error::ConfigError;
use crate::secret::Secret;

/// The longest keyset that is read, as text or in bytes: some hundred keys.
pub const MOST_BYTES: usize = 256 * 1024;

/// What stands before a key type's name in a type URL.
pub const TYPE_PREFIX: &str = "type.googleapis.com/google.crypto.tink.";

/// A keyset, with key material in clear.
#[derive(Clone, PartialEq, Message)]
pub struct Keyset {
    /// Which key seals.
    #[prost(uint32, tag = "1")]
    pub primary_key_id: u32,
    /// In the order in which they were added.
    #[prost(message, repeated, tag = "2")]
    pub key: Vec<Key>,
}

/// One key of a keyset.
#[derive(Clone, PartialEq, Message)]
pub struct Key {
    /// Missing where the key was destroyed.
    #[prost(message, optional, tag = "1")]
    pub key_data: Option<KeyData>,
    /// `UNKNOWN_STATUS`, `ENABLED`, `DISABLED`, `DESTROYED`.
    #[prost(int32, tag = "2")]
    pub status: i32,
    /// Unique in the keyset.
    #[prost(uint32, tag = "3")]
    pub key_id: u32,
    /// `UNKNOWN_PREFIX`, `TINK`, `LEGACY`, `RAW`, `CRUNCHY`.
    #[prost(int32, tag = "4")]
    pub output_prefix_type: i32,
}

/// The key itself: which type it is of, and that type's own message.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct KeyData {
    /// Such as `type.googleapis.com/google.crypto.tink.AesGcmKey`.
    #[prost(string, tag = "1")]
    pub type_url: String,
    /// A serialized message of that type. Secret: of [`shared`].
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
    /// `UNKNOWN_KEYMATERIAL`, `SYMMETRIC`, `ASYMMETRIC_PRIVATE`, `ASYMMETRIC_PUBLIC`, `REMOTE`.
    #[prost(int32, tag = "3")]
    pub key_material_type: i32,
}

impl fmt::Debug for KeyData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyData").field("type_url", &self.type_url).finish_non_exhaustive()
    }
}

/// What may be told of a keyset.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct KeysetInfo {
    /// Which key seals.
    #[prost(uint32, tag = "1")]
    pub primary_key_id: u32,
    /// One for each key, in their order.
    #[prost(message, repeated, tag = "2")]
    pub key_info: Vec<KeyInfo>,
}

/// What may be told of a key.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct KeyInfo {
    /// Empty where the key was destroyed.
    #[prost(string, tag = "1")]
    pub type_url: String,
    /// As in [`Key`].
    #[prost(int32, tag = "2")]
    pub status: i32,
    /// As in [`Key`].
    #[prost(uint32, tag = "3")]
    pub key_id: u32,
    /// As in [`Key`].
    #[prost(int32, tag = "4")]
    pub output_prefix_type: i32,
}

/// A keyset that was sealed by an AEAD, with what may be told of it in clear beside it.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct EncryptedKeyset {
    /// A serialized [`Keyset`], sealed.
    #[prost(bytes = "vec", tag = "2")]
    pub encrypted_keyset: Vec<u8>,
    /// Not authenticated: whoever can write the file can write this.
    #[prost(message, optional, tag = "3")]
    pub keyset_info: Option<KeysetInfo>,
}

/// Declares key types that are a version and bytes: most of Tink's symmetric ones, on fields of varying numbers.
macro_rules! plain_key {
    ($(#[doc = $doc:literal] $name:ident, value = $value:literal;)*) => {$(
        #[doc = $doc]
        #[derive(Clone, PartialEq, Message)]
        #[prost(skip_debug)]
        pub struct $name {
            /// Zero, the only version there is.
            #[prost(uint32, tag = "1")]
            pub version: u32,
            /// The key's bytes. Secret: of [`shared`].
            #[prost(bytes = "bytes", tag = $value)]
            pub key_value: Bytes,
        }

        secret_key!($name);

        impl $name {
            /// A serialized key of these bytes.
            pub fn of(key: &[u8]) -> Secret {
                encode(&Self { version: 0, key_value: shared(key.to_vec()) })
            }
        }
    )*};
}

/// Leaves `key_value` out of `Debug`.
macro_rules! secret_key {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    };
}

plain_key! {
    #[doc = "AES-GCM of 16 or 32 bytes; nonce of 12 bytes, tag of 16 (NIST SP 800-38D)."]
    AesGcmKey, value = "3";
    #[doc = "AES-GCM-SIV of 16 or 32 bytes (RFC 8452)."]
    AesGcmSivKey, value = "3";
    #[doc = "AES-SIV of 64 bytes: AES-256-CMAC and AES-256-CTR (RFC 5297)."]
    AesSivKey, value = "2";
    #[doc = "ChaCha20-Poly1305 (RFC 8439)."]
    ChaCha20Poly1305Key, value = "2";
    #[doc = "XChaCha20-Poly1305, with a nonce of 24 bytes (draft-irtf-cfrg-xchacha)."]
    XChaCha20Poly1305Key, value = "3";
}

/// A pseudo-random function by HKDF (RFC 5869): what is asked is its `info`.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct HkdfPrfKey {
    /// Zero, the only version there is.
    #[prost(uint32, tag = "1")]
    pub version: u32,
    /// Hash and salt.
    #[prost(message, optional, tag = "2")]
    pub params: Option<HkdfPrfParams>,
    /// The key's bytes, at least 32. Secret: of [`shared`].
    #[prost(bytes = "bytes", tag = "3")]
    pub key_value: Bytes,
}

secret_key!(HkdfPrfKey);

/// Of an [`HkdfPrfKey`].
#[derive(Clone, PartialEq, Eq, Message)]
pub struct HkdfPrfParams {
    /// `UNKNOWN_HASH`, `SHA1`, `SHA384`, `SHA256` (3), `SHA512` (4), `SHA224`.
    #[prost(int32, tag = "1")]
    pub hash: i32,
    /// Not secret; mostly empty.
    #[prost(bytes = "vec", tag = "2")]
    pub salt: Vec<u8>,
}

/// `SHA256` in Tink's `HashType`.
pub const SHA256: i32 = 3;

/// A message in bytes. The buffer has the right size from the start: growing it would leave copies behind.
pub fn encode(message: &impl Message) -> Secret {
    let mut bytes = Zeroizing::new(Vec::with_capacity(message.encoded_len()));
    // Fails only where the buffer cannot grow; a vector can.
    let _ = message.encode(&mut *bytes);
    Secret::new(std::mem::take(&mut *bytes))
}

/// Bytes of a secret field: whoever has a part of them has no copy, and they are wiped with the last.
pub fn shared(bytes: Vec<u8>) -> Bytes {
    Bytes::from_owner(Zeroizing::new(bytes))
}

/// Reads a message; *what* it is goes into the error, its content does not.
///
/// # Errors
/// If it is longer than [`MOST_BYTES`], or not such a message.
pub fn decode<M: Message + Default>(bytes: &[u8], what: &str) -> Result<M, ConfigError> {
    if bytes.len() > MOST_BYTES {
        return Err(ConfigError::new(format!("{what} is at most {MOST_BYTES} bytes long")));
    }
    // The decoder's own message names fields and wire types of what may be a key.
    M::decode(shared(bytes.to_vec()))
        .map_err(|_| ConfigError::new(format!("this is not {what} in Tink's binary form")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]
    use super::*;

    #[test]
    fn a_key_is_written_as_tink_writes_it() {
        // version is zero and so left out; field 3, length-delimited.
        assert_eq!(AesGcmKey::of(&[7; 16]).expose(), [&[0x1a, 16][..], &[7; 16]].concat());
        assert_eq!(AesSivKey::of(&[7; 64]).expose(), [&[0x12, 64][..], &[7; 64]].concat());
    }

    #[test]
    fn unknown_fields_are_skipped() {
        let mut bytes = AesGcmKey::of(&[7; 16]).expose().to_vec();
        bytes.extend_from_slice(&[0xfa, 0x01, 2, 9, 9]);
        let key: AesGcmKey = decode(&bytes, "a key").expect("a key with more");
        assert_eq!(key.key_value, [7; 16][..]);
    }

    #[test]
    fn what_is_secret_is_not_printed() {
        let key = KeyData { type_url: "t".into(), value: shared(b"hunter2".to_vec()), key_material_type: 1 };
        let shown = format!("{:?}", Key { key_data: Some(key), status: 1, key_id: 3, output_prefix_type: 1 });
        assert!(shown.contains('3') && !shown.contains("104") && !shown.contains("hunter"), "{shown}");
        let shown = format!("{:?}", AesGcmKey { version: 0, key_value: shared(vec![104; 16]) });
        assert!(!shown.contains("104"), "{shown}");
    }

    #[test]
    fn a_secret_field_is_a_part_of_the_one_copy_of_its_message() {
        let first = AesGcmKey::of(&[7; 16]);
        // A field that comes twice: the later counts.
        let bytes = shared([first.expose(), AesGcmKey::of(&[8; 32]).expose()].concat());
        let key = AesGcmKey::decode(bytes.clone()).expect("a key");
        assert_eq!(key.key_value, [8; 32][..]);
        assert!(bytes.as_ptr_range().contains(&key.key_value.as_ptr()));
    }

    #[test]
    fn damage_is_told_without_the_content() {
        for bytes in [&[0x1a, 200][..], &[0xff; 11], &[0x18, 0x80]] {
            let error = decode::<AesGcmKey>(bytes, "a key").expect_err("damaged");
            assert_eq!(error.to_string(), "this is not a key in Tink's binary form");
        }
        let long = vec![0; MOST_BYTES + 1];
        assert!(decode::<Keyset>(&long, "a keyset").expect_err("long").to_string().contains("262144"));
    }
}

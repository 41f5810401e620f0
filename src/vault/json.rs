//! Tink's JSON keysets: the same messages as in `wire.rs`, in the JSON of Protocol Buffers.
//!
//! 1. A text is at most [`wire::MOST_BYTES`] long, and is UTF-8.
//! 2. Members are named `primaryKeyId` or `primary_key_id`; a member twice is refused, an unknown one skipped.
//! 3. Bytes are base64, in either alphabet, with padding or without; enumerations are names or numbers; ids numbers,
//!    or numbers in quotes. It is what the JSON mapping asks of a reader, and what Tink's languages write.
//!
//! What is written is as Tink writes it: `camelCase`, padded standard base64, names, one member to a line.
//!
//! # What it does not do
//! It does not judge what it has read; `keyset.rs` does. Errors tell a line and column, and nothing of the text.
//!
//! # What can break it
//! A base64 text with JSON escapes in it (Java's Tink writes `\u003d`) passes through the parser's own buffer, which is not
//! wiped. Nor is the text itself, which is the caller's.
//!
//! Source: the JSON mapping of Protocol Buffers 3; Tink's `JsonKeysetReader` and `JsonKeysetWriter`.

use std::fmt;

use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::general_purpose::{self, GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose::STANDARD as PADDED};
use base64::{Engine, decoded_len_estimate};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};
use zeroize::{Zeroize, Zeroizing};

use super::keyset::{OutputPrefix, Status};
use super::wire::{self, MOST_BYTES};
use crate::error::ConfigError;
use crate::secret::Secret;

/// Reads a keyset in clear.
///
/// # Errors
/// If the text is none.
pub fn read_keyset(text: &str) -> Result<wire::Keyset, ConfigError> {
    let read: KeysetText = parse(text, "a keyset")?;
    Ok(wire::Keyset {
        primary_key_id: read.primary.0,
        key: read.key.into_iter().map(KeyText::message).collect(),
    })
}

/// Writes a keyset in clear.
pub fn write_keyset(keyset: &wire::Keyset) -> Secret {
    let values = keyset.key.iter().filter_map(|key| key.key_data.as_ref()).map(|data| data.value.len() * 2);
    let size: usize = values.sum::<usize>() + 512 * (keyset.key.len() + 1);
    render(&KeysetOut(keyset), size)
}

/// Reads a keyset that was sealed.
///
/// # Errors
/// If the text is none.
pub fn read_encrypted(text: &str) -> Result<wire::EncryptedKeyset, ConfigError> {
    Ok(parse::<EncryptedText>(text, "an encrypted keyset")?.message())
}

/// Writes a keyset that was sealed.
pub fn write_encrypted(sealed: &wire::EncryptedKeyset) -> String {
    text_of(&render(&EncryptedOut(sealed), sealed.encrypted_keyset.len() * 2 + 4096))
}

/// Reads any of our JSON texts; *what* it is goes into the error.
pub(super) fn parse<'t, T: Deserialize<'t>>(text: &'t str, what: &str) -> Result<T, ConfigError> {
    if text.len() > MOST_BYTES {
        return Err(ConfigError::new(format!("{what} is at most {MOST_BYTES} bytes long")));
    }
    // The parser's own message quotes what it has found.
    serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        ConfigError::new(format!("this is not {what} in JSON: line {line}, column {column}"))
    })
}

/// JSON with one member to a line. *size* is a guess; what grows beyond it is copied, and the copy not wiped.
pub(super) fn render(value: &impl Serialize, size: usize) -> Secret {
    let mut bytes = Zeroizing::new(Vec::with_capacity(size));
    // Writing to a vector does not fail, and our own types have no errors.
    let _ = serde_json::to_writer_pretty(&mut *bytes, value);
    Secret::new(std::mem::take(&mut *bytes))
}

/// The text of what [`render`] made, where it is not secret.
pub(super) fn text_of(json: &Secret) -> String {
    String::from_utf8_lossy(json.expose()).into_owned()
}

/// A number of 32 bits, or the same in quotes.
#[derive(Clone, Copy, Default)]
struct Number(u32);

/// Bytes as base64; wiped.
struct Bytes(Zeroizing<Vec<u8>>);

/// An enumeration's number, or its name.
#[derive(Clone, Copy, Default)]
struct Named<K>(i32, std::marker::PhantomData<K>);

/// Which enumeration a [`Named`] is of.
trait Names {
    fn number(name: &str) -> Option<i32>;
}

#[derive(Clone, Copy, Default)]
struct Statuses;
#[derive(Clone, Copy, Default)]
struct Prefixes;
#[derive(Clone, Copy, Default)]
struct Materials;

impl Names for Statuses {
    fn number(name: &str) -> Option<i32> {
        (0..4).find(|at| status_name(*at) == name)
    }
}

impl Names for Prefixes {
    fn number(name: &str) -> Option<i32> {
        (0..5).find(|at| prefix_name(*at) == name)
    }
}

impl Names for Materials {
    fn number(name: &str) -> Option<i32> {
        (0..5).find(|at| material_name(*at) == name)
    }
}

fn status_name(number: i32) -> &'static str {
    Status::numbered(number).map_or("UNKNOWN_STATUS", Status::name)
}

fn prefix_name(number: i32) -> &'static str {
    OutputPrefix::numbered(number).map_or("UNKNOWN_PREFIX", OutputPrefix::name)
}

fn material_name(number: i32) -> &'static str {
    match number {
        1 => "SYMMETRIC",
        2 => "ASYMMETRIC_PRIVATE",
        3 => "ASYMMETRIC_PUBLIC",
        4 => "REMOTE",
        _ => "UNKNOWN_KEYMATERIAL",
    }
}

#[derive(serde::Deserialize)]
struct KeysetText {
    #[serde(rename = "primaryKeyId", alias = "primary_key_id", default)]
    primary: Number,
    #[serde(default)]
    key: Vec<KeyText>,
}

#[derive(serde::Deserialize)]
struct KeyText {
    #[serde(rename = "keyData", alias = "key_data", default)]
    data: Option<DataText>,
    #[serde(default)]
    status: Named<Statuses>,
    #[serde(rename = "keyId", alias = "key_id", default)]
    id: Number,
    #[serde(rename = "outputPrefixType", alias = "output_prefix_type", default)]
    prefix: Named<Prefixes>,
}

#[derive(serde::Deserialize)]
struct DataText {
    #[serde(rename = "typeUrl", alias = "type_url", default)]
    type_url: String,
    #[serde(default)]
    value: Option<Bytes>,
    #[serde(rename = "keyMaterialType", alias = "key_material_type", default)]
    material: Named<Materials>,
}

/// As `KeysetText`, without what is secret.
#[derive(serde::Deserialize)]
struct InfoText {
    #[serde(rename = "primaryKeyId", alias = "primary_key_id", default)]
    primary: Number,
    #[serde(rename = "keyInfo", alias = "key_info", default)]
    keys: Vec<KeyInfoText>,
}

#[derive(serde::Deserialize)]
struct KeyInfoText {
    #[serde(rename = "typeUrl", alias = "type_url", default)]
    type_url: String,
    #[serde(default)]
    status: Named<Statuses>,
    #[serde(rename = "keyId", alias = "key_id", default)]
    id: Number,
    #[serde(rename = "outputPrefixType", alias = "output_prefix_type", default)]
    prefix: Named<Prefixes>,
}

/// A keyset that was sealed, as JSON.
#[derive(serde::Deserialize)]
pub(super) struct EncryptedText {
    // Without it, the text is something else, a keyset in clear perhaps.
    #[serde(rename = "encryptedKeyset", alias = "encrypted_keyset")]
    sealed: Bytes,
    #[serde(rename = "keysetInfo", alias = "keyset_info", default)]
    info: Option<InfoText>,
}

impl KeyText {
    fn message(self) -> wire::Key {
        let key_data = self.data.map(|data| wire::KeyData {
            type_url: data.type_url,
            value: wire::shared(data.value.map_or_else(Vec::new, |mut bytes| std::mem::take(&mut *bytes.0))),
            key_material_type: data.material.0,
        });
        let (status, key_id) = (self.status.0, self.id.0);
        wire::Key { key_data, status, key_id, output_prefix_type: self.prefix.0 }
    }
}

impl EncryptedText {
    pub(super) fn message(self) -> wire::EncryptedKeyset {
        let mut sealed = self.sealed;
        wire::EncryptedKeyset {
            encrypted_keyset: std::mem::take(&mut *sealed.0),
            keyset_info: self.info.map(|info| wire::KeysetInfo {
                primary_key_id: info.primary.0,
                key_info: info
                    .keys
                    .into_iter()
                    .map(|key| wire::KeyInfo {
                        type_url: key.type_url,
                        status: key.status.0,
                        key_id: key.id.0,
                        output_prefix_type: key.prefix.0,
                    })
                    .collect(),
            }),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reads;
        impl Visitor<'_> for Reads {
            type Value = Number;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of 32 bits")
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Number, E> {
                u32::try_from(number).map(Number).map_err(|_| E::custom("too large"))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
                text.parse().map(Number).map_err(|_| E::custom("no number"))
            }
        }
        deserializer.deserialize_any(Reads)
    }
}

impl<'de, K: Names> Deserialize<'de> for Named<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reads<K>(std::marker::PhantomData<K>);
        impl<K: Names> Visitor<'_> for Reads<K> {
            type Value = Named<K>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name of Tink's, or its number")
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Named<K>, E> {
                i32::try_from(number).map(|at| Named(at, self.0)).map_err(|_| E::custom("too large"))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Named<K>, E> {
                i32::try_from(number).map(|at| Named(at, self.0)).map_err(|_| E::custom("too small"))
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<Named<K>, E> {
                K::number(name).map(|at| Named(at, self.0)).ok_or_else(|| E::custom("unknown"))
            }
        }
        deserializer.deserialize_any(Reads(std::marker::PhantomData))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reads;
        impl Visitor<'_> for Reads {
            type Value = Bytes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes in base64")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes, E> {
                let url_safe = text.bytes().any(|byte| matches!(byte, b'-' | b'_'));
                let engine = if url_safe { &LAX_URL_SAFE } else { &LAX };
                // Of its full size from the start, and wiped also where the text turns out to be none.
                let mut bytes = Zeroizing::new(Vec::with_capacity(decoded_len_estimate(text.len())));
                engine.decode_vec(text, &mut bytes).map_err(|_| E::custom("no base64"))?;
                Ok(Bytes(bytes))
            }
        }
        deserializer.deserialize_str(Reads)
    }
}

const LAX: GeneralPurpose = GeneralPurpose::new(&STANDARD, ANY_PADDING);
const LAX_URL_SAFE: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, ANY_PADDING);
const ANY_PADDING: GeneralPurposeConfig =
    general_purpose::PAD.with_decode_padding_mode(DecodePaddingMode::Indifferent);

struct KeysetOut<'a>(&'a wire::Keyset);
struct KeyOut<'a>(&'a wire::Key);
struct DataOut<'a>(&'a wire::KeyData);
struct InfoOut<'a>(&'a wire::KeysetInfo);
struct KeyInfoOut<'a>(&'a wire::KeyInfo);
/// A keyset that was sealed, on its way out.
pub(super) struct EncryptedOut<'a>(pub(super) &'a wire::EncryptedKeyset);

impl Serialize for KeysetOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let keys: Vec<_> = self.0.key.iter().map(KeyOut).collect();
        let mut out = Members::of(serializer, 2)?;
        out.member("primaryKeyId", &self.0.primary_key_id)?;
        out.member("key", &keys)?;
        out.end()
    }
}

impl Serialize for KeyOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = Members::of(serializer, 4)?;
        if let Some(data) = &self.0.key_data {
            out.member("keyData", &DataOut(data))?;
        }
        out.key(self.0.status, self.0.key_id, self.0.output_prefix_type)
    }
}

impl Serialize for DataOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut value = PADDED.encode(&self.0.value);
        let mut out = Members::of(serializer, 3)?;
        out.member("typeUrl", &self.0.type_url)?;
        out.member("value", &value)?;
        value.zeroize();
        // One that has no name stays a number, as in protobuf's JSON: the name of another would change the key.
        match self.0.key_material_type {
            kind @ 0..5 => out.member("keyMaterialType", material_name(kind))?,
            kind => out.member("keyMaterialType", &kind)?,
        }
        out.end()
    }
}

impl Serialize for InfoOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let keys: Vec<_> = self.0.key_info.iter().map(KeyInfoOut).collect();
        let mut out = Members::of(serializer, 2)?;
        out.member("primaryKeyId", &self.0.primary_key_id)?;
        out.member("keyInfo", &keys)?;
        out.end()
    }
}

impl Serialize for KeyInfoOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = Members::of(serializer, 4)?;
        if !self.0.type_url.is_empty() {
            out.member("typeUrl", &self.0.type_url)?;
        }
        out.key(self.0.status, self.0.key_id, self.0.output_prefix_type)
    }
}

impl Serialize for EncryptedOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = Members::of(serializer, 2)?;
        out.member("encryptedKeyset", &PADDED.encode(&self.0.encrypted_keyset))?;
        if let Some(info) = &self.0.keyset_info {
            out.member("keysetInfo", &InfoOut(info))?;
        }
        out.end()
    }
}

/// A JSON object, member by member.
struct Members<M>(M);

impl<M: serde::ser::SerializeMap> Members<M> {
    fn of<S: Serializer<SerializeMap = M, Ok = M::Ok, Error = M::Error>>(
        serializer: S,
        most: usize,
    ) -> Result<Self, S::Error> {
        serializer.serialize_map(Some(most)).map(Self)
    }

    fn member<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), M::Error> {
        self.0.serialize_entry(name, value)
    }

    /// The members that a key and what is told of one end in.
    fn key(mut self, status: i32, id: u32, prefix: i32) -> Result<M::Ok, M::Error> {
        self.member("status", status_name(status))?;
        self.member("keyId", &id)?;
        self.member("outputPrefixType", prefix_name(prefix))?;
        self.end()
    }

    fn end(self) -> Result<M::Ok, M::Error> {
        self.0.end()
    }
}

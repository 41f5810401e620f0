//! What a token is bound to: its claim `cnf` (RFC 7800).
//!
//! Rules: `cnf` is an object of one member or both of `jkt` (RFC 9449 §6.1) and `x5t#S256` (RFC 8705 §3.1), each the
//! strict base64url of 32 bytes, none twice. Anything else refuses the token: another method beside these is one more that
//! was to be shown, and an empty `cnf` binds to what nobody knows.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

use super::json::{Members, Text};
use super::seen::Digest;

/// What whoever presents a token must show. At least one of the two; if both, both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirmation {
    /// `x5t#S256`: SHA-256 of the certificate, in DER, that the client uses for TLS.
    pub certificate: Option<Digest>,
    /// `jkt`: SHA-256 thumbprint (RFC 7638) of the key that signs the client's DPoP proofs.
    pub key: Option<Digest>,
}

/// The 32 bytes of a digest as base64url writes them, in one way only.
pub(super) fn digest(text: &str) -> Option<Digest> {
    if text.len() != 43 {
        return None;
    }
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// Reads the value of `cnf`.
pub(super) struct Seed;

impl<'de> DeserializeSeed<'de> for Seed {
    type Value = Confirmation;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Confirmation, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Seed {
    type Value = Confirmation;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a confirmation that is understood")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Confirmation, A::Error> {
        let (mut certificate, mut key) = (None, None);
        let mut members = Members::new();
        while let Some(name) = object.next_key_seed(Text)? {
            let place = match &*name {
                "jkt" => &mut key,
                "x5t#S256" => &mut certificate,
                _ => return Err(A::Error::custom("a confirmation method that is not understood")),
            };
            *place = Some(
                digest(&object.next_value_seed(Text)?).ok_or_else(|| A::Error::custom("not a SHA-256"))?,
            );
            members.insert(name)?;
        }
        if certificate.is_none() && key.is_none() {
            return Err(A::Error::custom("a confirmation of nothing"));
        }
        Ok(Confirmation { certificate, key })
    }
}

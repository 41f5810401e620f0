//! Reads the header of a token, which no one has signed for yet.
//!
//! Rules, in order: at most [`MAX_HEADER`] characters before decoding; one strict JSON object
//! ([`super::json`]); no `crit` and no `b64`, whatever their value, since we implement no extension
//! (RFC 7515 §4.1.11); no `zip` and no `enc`, which belong to encrypted tokens; `alg` a string; `kid` a string
//! of at most 128 bytes; `typ` a string.
//!
//! `jwk`, `jku`, `x5u` and `x5c` are read past: a key that a token brings along proves nothing
//! (CVE-2018-0114), and an address in it is never called (CVE-2024-21643).

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

use super::error::Reason;
use super::json::{Members, Skip, Text};

/// Longest header, in characters of base64url. A chain of certificates in `x5c` fits.
pub(super) const MAX_HEADER: usize = 8192;

/// Longest `kid`, in bytes. It is only ever compared with the names of keys that we hold.
pub(super) const MAX_KID: usize = 128;

/// What a header says. None of it is to be believed before the signature held.
pub(super) struct Header<'a> {
    pub(super) alg: Cow<'a, str>,
    pub(super) kid: Option<Cow<'a, str>>,
    pub(super) typ: Option<Cow<'a, str>>,
}

/// Reads a decoded header.
pub(super) fn parse(json: &[u8]) -> Result<Header<'_>, Reason> {
    let fault = Cell::new(Reason::Header);
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let header = Reader { fault: &fault }.deserialize(&mut deserializer).map_err(|_| fault.get())?;
    deserializer.end().map_err(|_| Reason::Header)?;
    Ok(header)
}

struct Reader<'a> {
    fault: &'a Cell<Reason>,
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Header<'de>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Header<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let (mut alg, mut kid, mut typ) = (None, None, None);
        let mut members = Members::new();
        while let Some(name) = object.next_key_seed(Text)? {
            match &*name {
                "alg" => alg = Some(object.next_value_seed(Text)?),
                "kid" => kid = Some(object.next_value_seed(Text)?),
                "typ" => typ = Some(object.next_value_seed(Text)?),
                "b64" | "crit" => {
                    self.fault.set(Reason::Critical);
                    return Err(A::Error::custom("an extension that is not understood"));
                }
                "enc" | "zip" => return Err(A::Error::custom("a header of an encrypted token")),
                _ => object.next_value_seed(Skip { depth: 2 })?,
            }
            members.insert(name)?;
        }
        if kid.as_ref().is_some_and(|kid| kid.len() > MAX_KID) {
            return Err(A::Error::custom("kid is too long"));
        }
        Ok(Header { alg: alg.ok_or_else(|| A::Error::missing_field("alg"))?, kid, typ })
    }
}

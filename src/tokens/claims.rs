//! Reads the claims of a token in one strict pass. Called only after the signature held.
//!
//! Rules: one strict JSON object ([`super::json`]); `iss`, `sub`, `jti` and `sid` are strings, or `sub` a whole number
//! where [`super::Rules`] say so, which counts as its digits; `aud` is a string or an array
//! of strings; `exp`, `nbf`, `iat` and `auth_time` are numbers from 0 to 2^53, not strings, booleans or null
//! (RFC 7519 §4.1, OpenID Connect Core §2); `cnf` is an object that [`super::confirmation`] understands. Scopes are a string of words between spaces (RFC 8693 §4.2) or an array of
//! strings; roles are an array of strings or one string. What has the wrong type refuses the token: to count it as
//! absent would turn the check of it off (CVE-2026-25537, CVE-2026-75509).
//!
//! It compares nothing: what the claims must say is decided in [`super::verify`].

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::confirmation::{Confirmation, Seed};
use super::error::Reason;
use super::json::{Members, Skip, Text};
use super::paths::{ClaimPath, Step};

/// The claims of a token, read once.
#[derive(Debug, Default)]
pub struct Claims {
    /// `aud`. `None` if absent; an empty array is present and names no one.
    pub audience: Option<Vec<Box<str>>>,
    /// `auth_time`, in seconds since 1970.
    pub authenticated_at: Option<f64>,
    /// `cnf`: what whoever presents the token must show.
    pub confirmation: Option<Box<Confirmation>>,
    /// `exp`, in seconds since 1970.
    pub expires_at: Option<f64>,
    /// `gen`, of tokens of our own: how often all of the subject's had been revoked when this one was begun. Not a
    /// registered claim, so another type in another's token is no fault, and counts as absent.
    pub generation: Option<u64>,
    /// `iat`, in seconds since 1970.
    pub issued_at: Option<f64>,
    /// `iss`.
    pub issuer: Option<Box<str>>,
    /// `nbf`, in seconds since 1970.
    pub not_before: Option<f64>,
    /// From the configured claims, in order of appearance; may repeat.
    pub roles: Vec<Box<str>>,
    /// From the configured claims, in order of appearance; may repeat.
    pub scopes: Vec<Box<str>>,
    /// `sid`: what all tokens of one login share.
    pub session: Option<Box<str>>,
    /// `sub`.
    pub subject: Option<Box<str>>,
    /// `jti`.
    pub token_id: Option<Box<str>>,
}

/// Where scopes and roles are found, and what a subject may be.
pub(super) struct Places {
    pub(super) numeric_subject: bool,
    pub(super) scopes: Vec<ClaimPath>,
    pub(super) roles: Vec<ClaimPath>,
}

impl Claims {
    /// Reads decoded claims.
    pub(super) fn parse(json: &[u8], places: &Places) -> Result<Self, Reason> {
        // Once for all of it, instead of once for each string.
        let json = std::str::from_utf8(json).map_err(|_| Reason::Claims)?;
        let mut claims = Self::default();
        let mut deserializer = serde_json::Deserializer::from_str(json);
        let walk = Walk { claims: &mut claims, places, level: 0, on: u32::MAX, skip: Skip { depth: 1 } };
        walk.deserialize(&mut deserializer).map_err(|_| Reason::Claims)?;
        deserializer.end().map_err(|_| Reason::Claims)?;
        Ok(claims)
    }
}

/// Reads one object on the way to scopes or roles, the claims themselves first.
struct Walk<'a> {
    claims: &'a mut Claims,
    places: &'a Places,
    level: usize,
    /// One bit for each place that leads here: scopes from bit 0, roles from bit 16.
    on: u32,
    skip: Skip,
}

impl Walk<'_> {
    /// Which places end at, and which lead through, the member *name*.
    fn step(&self, name: &str) -> (u32, u32) {
        let (mut here, mut below) = (0, 0);
        let scopes = self.places.scopes.iter().enumerate().map(|(n, path)| (1u32 << n, path));
        let roles = self.places.roles.iter().enumerate().map(|(n, path)| (ROLES << n, path));
        for (bit, path) in scopes.chain(roles) {
            if self.on & bit != 0 {
                match path.step(self.level, name) {
                    Step::Here => here |= bit,
                    Step::Below => below |= bit,
                    Step::Elsewhere => {}
                }
            }
        }
        (here, below)
    }

    fn read_registered<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        object: &mut A,
    ) -> Result<bool, A::Error> {
        let claims = &mut *self.claims;
        match name {
            "aud" => claims.audience = Some(object.next_value_seed(Names)?.into_list()),
            "auth_time" => claims.authenticated_at = Some(object.next_value_seed(NumericDate)?),
            "cnf" => claims.confirmation = Some(Box::new(object.next_value_seed(Seed)?)),
            "exp" => claims.expires_at = Some(object.next_value_seed(NumericDate)?),
            "gen" => claims.generation = object.next_value_seed(Generation(self.skip.deeper()?))?,
            "iat" => claims.issued_at = Some(object.next_value_seed(NumericDate)?),
            "iss" => claims.issuer = Some(object.next_value_seed(Text)?.into()),
            "jti" => claims.token_id = Some(object.next_value_seed(Text)?.into()),
            "nbf" => claims.not_before = Some(object.next_value_seed(NumericDate)?),
            "sid" => claims.session = Some(object.next_value_seed(Text)?.into()),
            "sub" if self.places.numeric_subject => {
                claims.subject = Some(object.next_value_seed(TextOrNumber)?.into());
            }
            "sub" => claims.subject = Some(object.next_value_seed(Text)?.into()),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

const ROLES: u32 = 1 << 16;

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut object: A) -> Result<(), A::Error> {
        let inner = self.skip.deeper()?;
        let mut members = Members::new();
        while let Some(name) = object.next_key_seed(Text)? {
            let (here, below) = self.step(&name);
            if self.level == 0 && self.read_registered(&name, &mut object)? {
                // A registered claim is never a list of scopes or roles: `Rules` refuses such a place.
            } else if here != 0 {
                let names = object.next_value_seed(Names)?;
                if here >= ROLES {
                    names.add_roles(&mut self.claims.roles);
                }
                if here % ROLES != 0 {
                    names.add_scopes(&mut self.claims.scopes);
                }
            } else if below != 0 {
                let (claims, places) = (&mut *self.claims, self.places);
                object.next_value_seed(Walk {
                    claims,
                    places,
                    level: self.level + 1,
                    on: below,
                    skip: inner,
                })?;
            } else {
                object.next_value_seed(inner)?;
            }
            members.insert(name)?;
        }
        Ok(())
    }
}

/// A string, or an array of strings.
enum NameList<'de> {
    One(Cow<'de, str>),
    Some(Vec<Box<str>>),
}

impl NameList<'_> {
    fn into_list(self) -> Vec<Box<str>> {
        match self {
            Self::One(name) => vec![name.into()],
            Self::Some(list) => list,
        }
    }

    /// A string is one role, spaces and all: "Global Administrator" is a role.
    fn add_roles(&self, roles: &mut Vec<Box<str>>) {
        match self {
            Self::One(name) => add(roles, std::iter::once(&**name)),
            Self::Some(list) => add(roles, list.iter().map(|name| &**name)),
        }
    }

    /// A string is a list of words; an element of an array is one scope as it stands.
    fn add_scopes(&self, scopes: &mut Vec<Box<str>>) {
        match self {
            Self::One(words) => add(scopes, words.split(' ')),
            Self::Some(list) => add(scopes, list.iter().map(|name| &**name)),
        }
    }
}

/// An empty name says nothing, and must not satisfy a requirement that came out empty.
fn add<'a>(list: &mut Vec<Box<str>>, names: impl Iterator<Item = &'a str>) {
    list.extend(names.filter(|name| !name.is_empty()).map(Into::into));
}

struct Names;

impl<'de> DeserializeSeed<'de> for Names {
    type Value = NameList<'de>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Names {
    type Value = NameList<'de>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an array of strings")
    }
    fn visit_borrowed_str<E: de::Error>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(NameList::One(Cow::Borrowed(name)))
    }
    fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(NameList::One(Cow::Owned(name.to_owned())))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(name) = items.next_element_seed(Text)? {
            list.push(name.into());
        }
        Ok(NameList::Some(list))
    }
}

/// A string, or the digits of a whole number.
struct TextOrNumber;

impl<'de> DeserializeSeed<'de> for TextOrNumber {
    type Value = Cow<'de, str>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TextOrNumber {
    type Value = Cow<'de, str>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a whole number")
    }
    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Cow::Owned(number.to_string()))
    }
    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Cow::Owned(number.to_string()))
    }
}

/// A whole number, or anything else read past.
struct Generation(Skip);

impl<'de> DeserializeSeed<'de> for Generation {
    type Value = Option<u64>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Generation {
    type Value = Option<u64>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(number))
    }
    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_str<E: de::Error>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
        self.0.visit_seq(items).map(|()| None)
    }
    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
        self.0.visit_map(object).map(|()| None)
    }
}

/// Seconds since 1970 as a JSON number from 0 to 2^53, beyond which a double skips seconds.
struct NumericDate;

const LAST_SECOND: f64 = 9_007_199_254_740_992.0;

impl<'de> DeserializeSeed<'de> for NumericDate {
    type Value = f64;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<f64, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for NumericDate {
    type Value = f64;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("seconds since 1970")
    }
    fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<f64, E> {
        if seconds <= LAST_SECOND as u64 { Ok(seconds as f64) } else { Err(E::custom("out of range")) }
    }
    fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<f64, E> {
        // Strictly below: 2^53 + 1 written with a point rounds down to 2^53.
        if (0.0..LAST_SECOND).contains(&seconds) { Ok(seconds) } else { Err(E::custom("out of range")) }
    }
}

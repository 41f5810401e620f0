//! DPoP proofs: whether the sender of a request holds the key that its token is bound to (RFC 9449 §4.3).
//!
//! A proof is accepted when all of these hold:
//! 1. there is one field with one proof, at most [`LONGEST`] characters, of three parts of strict base64url;
//! 2. header and claims are strict JSON objects; `jti` (1 to 256 bytes), `htm`, `htu`, `iat` and `ath` are there, with their types;
//! 3. `typ` is `dpop+jwt`; `alg` is asymmetric and one of ours; no `crit`, `b64`, `zip` or `enc`;
//! 4. `jwk` is a public key: any member of a private or secret one refuses (CVE-2026-54431), and so does a `use`, `key_ops` or
//!    `alg` that is not for this. It is the only key in a header that is looked at anywhere in this crate, and
//! 5. its thumbprint (RFC 7638) is the `jkt` of the access token, whose signature has held;
//! 6. `ath` is the SHA-256 of that token, `htm` the method of the request, `htu` its [`target`](super::target);
//! 7. `iat` is within `max_age` of now, either way; `exp` and `nbf`, which a proof need not have, do not contradict;
//! 8. the signature is the key's. It comes last, since it is the dearest: a sender without a good token costs none.
//!
//! Then there is a [`Proven`], which nothing else can make. That it is new (`jti`), and that its `nonce` is ours, is for the
//! caller to find out, in that order: last of all, so that nobody can use up a `jti` without a good proof.
//!
//! # What can break it in deployment
//! - A client whose clock is off by more than `max_age` is refused.
//! - A signature can be made into another valid one (ECDSA), so a proof is known by [`Proven::id`], never by its bytes.

use std::str::FromStr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use super::confirmation::digest;
use super::key::Key;
use super::seen::{Digest, Seen};
use super::target::Target;
use super::{json, thumbprint};
use crate::crypto::{same, sha256};
use crate::time::UnixTime;

/// Longest proof, in characters. One with an RSA key of 8192 bits has about 4000.
pub const LONGEST: usize = 8192;

/// Longest `jti`, and longest `nonce`, in bytes.
const LONGEST_WORD: usize = 256;

/// Algorithms that a proof may be signed with, those first that a client should choose.
pub const ALGORITHMS: [&str; 9] =
    ["ES256", "EdDSA", "ES384", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"];

/// Why a proof is refused. For the log: the peer is told `proof.invalid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// `iat` is too old or too far ahead, or `exp` or `nbf` contradicts.
    Age,
    /// `alg` is not one of ours.
    Algorithm,
    /// A claim is missing or has the wrong type.
    Claims,
    /// Our own clock cannot be right.
    Clock,
    /// A part is not strict base64url.
    Encoding,
    /// The header is not one strict object, or has a member that is not for us.
    Header,
    /// `jwk` is no public key that can be used.
    Key,
    /// It is too long.
    Length,
    /// `htm` is another method.
    Method,
    /// There is no proof.
    Missing,
    /// There are not exactly three parts.
    Parts,
    /// `jwk` holds something secret.
    Secret,
    /// There is more than one field.
    Several,
    /// The signature is not the key's.
    Signature,
    /// `htu` is another target, or ours cannot be known.
    Target,
    /// The key is not the one that the token is bound to.
    Thumbprint,
    /// `ath` is of another token.
    Token,
    /// `typ` is not `dpop+jwt`.
    Type,
}

impl Fault {
    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Age => "proof age",
            Self::Algorithm => "proof algorithm",
            Self::Claims => "proof claims",
            Self::Clock => "clock",
            Self::Encoding => "proof encoding",
            Self::Header => "proof header",
            Self::Key => "proof key",
            Self::Length => "proof length",
            Self::Method => "proof method",
            Self::Missing => "no proof",
            Self::Parts => "proof parts",
            Self::Secret => "proof with a secret key",
            Self::Several => "several proofs",
            Self::Signature => "proof signature",
            Self::Target => "proof target",
            Self::Thumbprint => "proof of another key",
            Self::Token => "proof for another token",
            Self::Type => "proof type",
        }
    }
}

/// What a proof must be for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// `jkt` of the token.
    pub key: &'a Digest,
    /// The method of the request, as it was sent.
    pub method: &'a str,
    /// Where the request came. `None`, where it cannot be known, refuses.
    pub target: Option<&'a Target>,
    /// The token.
    pub token: &'a [u8],
}

/// A proof that holds, but for its `jti` and `nonce`. Only [`Proofs::check`] makes one.
#[derive(Debug)]
pub struct Proven {
    id: Digest,
    key: Digest,
    nonce: Option<String>,
}

impl Proven {
    /// SHA-256 of the key's thumbprint and `jti`: names this proof, whatever another key's are called.
    pub fn id(&self) -> &Digest {
        &self.id
    }

    /// The key's thumbprint.
    pub fn key(&self) -> &Digest {
        &self.key
    }

    /// `nonce`.
    pub fn nonce(&self) -> Option<&str> {
        self.nonce.as_deref()
    }
}

/// A proof that was read. Nothing of it is to be believed.
pub struct Proof<'a> {
    signed: &'a [u8],
    signature: Vec<u8>,
    alg: Algorithm,
    /// The JWK without what does not make the key.
    jwk: String,
    thumbprint: Digest,
    claims: Claims,
}

struct Claims {
    ath: Digest,
    exp: Option<f64>,
    htm: String,
    htu: String,
    iat: f64,
    jti: String,
    nbf: Option<f64>,
    nonce: Option<String>,
}

impl<'a> Proof<'a> {
    /// Reads the value of the field `DPoP`: rules 1 to 4.
    pub fn read(field: &'a str) -> Result<Self, Fault> {
        let field = field.trim_matches([' ', '\t']);
        if field.is_empty() {
            return Err(Fault::Missing);
        }
        if field.len() > LONGEST {
            return Err(Fault::Length);
        }
        // Servers join repeated fields by a comma, which is no character of a proof.
        if field.contains(',') {
            return Err(Fault::Several);
        }
        let mut parts = field.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Fault::Parts);
        };
        let signed = &field.as_bytes()[..header.len() + 1 + claims.len()];
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| Fault::Encoding);
        let (header, claims, signature) = (decode(header)?, decode(claims)?, decode(signature)?);
        let mut header = object(&header).ok_or(Fault::Header)?;
        let claims = Claims::read(&object(&claims).ok_or(Fault::Claims)?).ok_or(Fault::Claims)?;
        if header.get("typ").and_then(Value::as_str) != Some("dpop+jwt") {
            return Err(Fault::Type);
        }
        if ["b64", "crit", "enc", "zip"].iter().any(|name| header.contains_key(*name)) {
            return Err(Fault::Header);
        }
        let alg = header.get("alg").and_then(Value::as_str).filter(|alg| ALGORITHMS.contains(alg));
        let alg = alg.and_then(|alg| Algorithm::from_str(alg).ok()).ok_or(Fault::Algorithm)?;
        let Some(Value::Object(jwk)) = header.remove("jwk") else { return Err(Fault::Key) };
        if thumbprint::is_secret(&jwk) {
            return Err(Fault::Secret);
        }
        if !is_for(&jwk, crate::crypto::algorithm_name(alg)) {
            return Err(Fault::Key);
        }
        let jwk = thumbprint::canonical(&jwk).ok_or(Fault::Key)?;
        let thumbprint = sha256(jwk.as_bytes());
        Ok(Self { signed, signature, alg, jwk, thumbprint, claims })
    }

    /// Whether checking it takes more than half a millisecond.
    pub fn is_slow(&self) -> bool {
        self.alg == Algorithm::ES384
    }
}

/// Whether a JWK that says what it is for, is for verifying with *alg* (RFC 7517 §4.2 to §4.4).
fn is_for(jwk: &Map<String, Value>, alg: &str) -> bool {
    let says = |name: &str, wanted: &str| jwk.get(name).is_none_or(|value| value.as_str() == Some(wanted));
    let verifies =
        |value: &Value| value.as_array().is_some_and(|list| list.iter().any(|item| item == "verify"));
    says("use", "sig") && says("alg", alg) && jwk.get("key_ops").is_none_or(verifies)
}

/// One strict JSON object.
fn object(text: &[u8]) -> Option<Map<String, Value>> {
    if json::is_strict_object(text) { serde_json::from_slice(text).ok() } else { None }
}

impl Claims {
    fn read(claims: &Map<String, Value>) -> Option<Self> {
        // What is there has its type; what has another type never counts as absent (CVE-2026-25537).
        let text = |name: &str| claims.get(name).map(|value| value.as_str().ok_or(())).transpose();
        let date = |name: &str| claims.get(name).map(|value| instant(value).ok_or(())).transpose();
        let word = |text: &&str| (1..=LONGEST_WORD).contains(&text.len());
        let nonce = text("nonce").ok()?;
        if nonce.is_some_and(|nonce| !word(&nonce)) {
            return None;
        }
        Some(Self {
            ath: digest(text("ath").ok()??)?,
            exp: date("exp").ok()?,
            htm: text("htm").ok()??.to_owned(),
            htu: text("htu").ok()??.to_owned(),
            iat: date("iat").ok()??,
            jti: text("jti").ok()?.filter(word)?.to_owned(),
            nbf: date("nbf").ok()?,
            nonce: nonce.map(str::to_owned),
        })
    }
}

/// Seconds since 1970 as a JSON number from 0 to 2^53.
fn instant(value: &Value) -> Option<f64> {
    value.as_f64().filter(|seconds| (0.0..9_007_199_254_740_992.0).contains(seconds))
}

/// Checks proofs, and remembers their keys.
pub struct Proofs {
    max_age: f64,
    // Building a key is dearer than verifying with it. Only keys that some good token is bound to are in here.
    keys: Option<Seen<Key>>,
}

/// Keys remembered.
const KEYS: usize = 1024;

/// About what a key takes.
const KEY_BYTES: usize = 1024;

impl Proofs {
    /// Takes proofs whose `iat` is within *max_age* seconds of now.
    pub fn new(max_age: u32) -> Self {
        Self { max_age: f64::from(max_age), keys: Seen::new(KEYS) }
    }

    /// Whether a proof is for this request, now: rules 5 to 8.
    pub fn check(&self, proof: &Proof<'_>, wanted: &Wanted<'_>, now: UnixTime) -> Result<Proven, Fault> {
        let claims = &proof.claims;
        if !same(&proof.thumbprint, wanted.key) {
            return Err(Fault::Thumbprint);
        }
        if !same(&claims.ath, &sha256(wanted.token)) {
            return Err(Fault::Token);
        }
        if claims.htm != wanted.method {
            return Err(Fault::Method);
        }
        if wanted.target.is_none_or(|target| Target::of(&claims.htu).as_ref() != Some(target)) {
            return Err(Fault::Target);
        }
        self.admit_times(claims, now)?;
        self.verify(proof)?;
        let id = sha256(&[&proof.thumbprint[..], claims.jti.as_bytes()].concat());
        Ok(Proven { id, key: proof.thumbprint, nonce: claims.nonce.clone() })
    }

    /// Each comparison is written so that a NaN refuses.
    fn admit_times(&self, claims: &Claims, UnixTime(now): UnixTime) -> Result<(), Fault> {
        if !(now.is_finite() && now >= 1.0) {
            return Err(Fault::Clock);
        }
        let within = (now - claims.iat).abs() <= self.max_age;
        let ended = claims.exp.is_some_and(|exp| now >= exp + self.max_age);
        let begun = claims.nbf.is_none_or(|nbf| nbf - self.max_age <= now);
        if within && !ended && begun { Ok(()) } else { Err(Fault::Age) }
    }

    fn verify(&self, proof: &Proof<'_>) -> Result<(), Fault> {
        let name = crate::crypto::algorithm_name(proof.alg);
        let place = sha256(&[&proof.thumbprint[..], name.as_bytes()].concat());
        let known = self.keys.as_ref().and_then(|keys| keys.get(&place));
        let key = match known {
            Some(key) => key,
            None => {
                let key = Key::from_jwk(proof.jwk.as_bytes(), Some(name), None, true);
                let key = Arc::new(key.map_err(|_| Fault::Key)?);
                // Before its signature is looked at: whoever has stolen a token shall not make us build it each time.
                if let Some(keys) = &self.keys {
                    keys.insert(place, Arc::clone(&key), KEY_BYTES);
                }
                key
            }
        };
        key.verifying().verify(proof.signed, &proof.signature).map_err(|_| Fault::Signature)
    }
}

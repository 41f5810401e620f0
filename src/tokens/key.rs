//! A key that signs or verifies tokens, and knows its one algorithm (RFC 8725 §3.1).
//!
//! A key is made at start-up from a shared secret, a PEM or a JWK, and is refused there when it cannot be
//! used as it is said to be: an algorithm of another family or curve, a secret that is short or that is in
//! truth a public key ([`disguise`]), an RSA key below 2048 bits, a JWK whose `use`, `key_ops`, `alg` or `crv` says
//! otherwise. A private key signs and verifies a word before it is accepted.
//!
//! Material is never printed: `Debug` shows `kid` and `alg`.
//!
//! # What it does not do
//! It does not guess the algorithm of a secret or of an RSA key, read encrypted PEM or certificates, or follow the
//! addresses in a JWK.

pub(super) mod disguise;
mod jwk;
mod pem;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, AlgorithmFamily};

use super::header::MAX_KID;
use crate::crypto::{self, PublicParts, SigningKey, VerifyingKey};
use crate::error::ConfigError;

/// One key with one algorithm: for verifying, and for signing unless it is public or `verify_only`.
pub struct Key {
    kid: Option<Arc<str>>,
    alg: Algorithm,
    verifying: VerifyingKey,
    signing: Option<SigningKey>,
}

impl Key {
    /// A shared secret for HS256, HS384 or HS512: random bytes, at least 32, 48 or 64 of them (RFC 7518 §3.2).
    pub fn from_secret(
        secret: &[u8],
        alg: &str,
        kid: Option<&str>,
        verify_only: bool,
    ) -> Result<Self, ConfigError> {
        let alg = parse_algorithm(alg)?;
        let least = match alg {
            Algorithm::HS256 => 32,
            Algorithm::HS384 => 48,
            Algorithm::HS512 => 64,
            _ => {
                return Err(ConfigError::new(format!(
                    "{} takes no shared secret",
                    crypto::algorithm_name(alg)
                )));
            }
        };
        if secret.len() > MAX_SECRET {
            return Err(ConfigError::new(format!("a secret has at most {MAX_SECRET} bytes")));
        }
        disguise::refuse_public_key(secret)?;
        if secret.len() < least {
            // Sources: RFC 7518 §3.2; CVE-2026-45363, CVE-2026-44351 (an empty secret verifies).
            return Err(ConfigError::new(format!(
                "a secret for {} has at least {least} random bytes; this one has {}. \
                 Make one with: python -c 'import secrets; print(secrets.token_urlsafe({least}))'",
                crypto::algorithm_name(alg),
                secret.len()
            )));
        }
        let signing = if verify_only { None } else { Some(SigningKey::from_secret(alg, secret)?) };
        Self::assemble(kid, VerifyingKey::from_secret(alg, secret)?, signing)
    }

    /// A PEM: PKCS#8 or PKCS#1 private, SPKI or PKCS#1 public. A private one verifies, too.
    pub fn from_pem(
        text: &[u8],
        alg: &str,
        kid: Option<&str>,
        verify_only: bool,
    ) -> Result<Self, ConfigError> {
        let (verifying, signing) = pem::read(text, parse_algorithm(alg)?)?;
        Self::assemble(kid, verifying, signing.filter(|_| !verify_only))
    }

    /// A JWK (RFC 7517) as JSON text. `alg` may be left out where the JWK or its curve says it; `kid` overrides nothing.
    pub fn from_jwk(
        text: &[u8],
        alg: Option<&str>,
        kid: Option<&str>,
        verify_only: bool,
    ) -> Result<Self, ConfigError> {
        let alg = alg.map(parse_algorithm).transpose()?;
        let read = jwk::read(text, alg, kid)?;
        Self::assemble(read.kid.as_deref(), read.verifying, read.signing.filter(|_| !verify_only))
    }

    fn assemble(
        kid: Option<&str>,
        verifying: VerifyingKey,
        signing: Option<SigningKey>,
    ) -> Result<Self, ConfigError> {
        crypto::provider::install();
        if let Some(kid) = kid
            && (kid.is_empty() || kid.len() > MAX_KID || kid.chars().any(char::is_control))
        {
            return Err(ConfigError::new(format!(
                "a kid has 1 to {MAX_KID} bytes and no control characters"
            )));
        }
        let alg = verifying.algorithm();
        if let Some(signing) = &signing {
            let word = b"flask-rampart self-test";
            let held = signing.sign(word).and_then(|signature| verifying.verify(word, &signature));
            if held.is_err() || signing.algorithm() != alg {
                return Err(ConfigError::new("the two halves of this key do not belong together"));
            }
        }
        Ok(Self { kid: kid.map(Into::into), alg, verifying, signing })
    }

    /// The name of this key, if it has one.
    pub fn kid(&self) -> Option<&Arc<str>> {
        self.kid.as_ref()
    }

    /// The name of its algorithm, as in a header.
    pub fn alg(&self) -> &'static str {
        crypto::algorithm_name(self.alg)
    }

    /// Whether it can sign.
    pub fn can_sign(&self) -> bool {
        self.signing.is_some()
    }

    /// Whether it is a shared secret.
    pub fn is_symmetric(&self) -> bool {
        self.alg.family() == AlgorithmFamily::Hmac
    }

    /// Whether signing with it takes more than half a millisecond.
    pub fn signs_slowly(&self) -> bool {
        self.alg.family() == AlgorithmFamily::Rsa || self.alg == Algorithm::ES384
    }

    /// Whether verifying with it takes more than half a millisecond.
    pub fn verifies_slowly(&self) -> bool {
        self.alg == Algorithm::ES384
    }

    /// The public half as a JWK (RFC 7517), or `None` for a shared secret.
    pub fn public_jwk(&self) -> Option<String> {
        let encode = |bytes: &[u8]| serde_json::Value::from(URL_SAFE_NO_PAD.encode(bytes));
        let mut jwk = serde_json::Map::new();
        match self.verifying.public()? {
            PublicParts::Ec { curve, x, y } => {
                jwk.insert("kty".into(), "EC".into());
                jwk.insert("crv".into(), curve.into());
                jwk.insert("x".into(), encode(x));
                jwk.insert("y".into(), encode(y));
            }
            PublicParts::Ed { x } => {
                jwk.insert("kty".into(), "OKP".into());
                jwk.insert("crv".into(), "Ed25519".into());
                jwk.insert("x".into(), encode(x));
            }
            PublicParts::Rsa { n, e } => {
                jwk.insert("kty".into(), "RSA".into());
                jwk.insert("n".into(), encode(n));
                jwk.insert("e".into(), encode(e));
            }
        }
        jwk.insert("alg".into(), self.alg().into());
        jwk.insert("use".into(), "sig".into());
        if let Some(kid) = &self.kid {
            jwk.insert("kid".into(), (**kid).into());
        }
        Some(serde_json::Value::Object(jwk).to_string())
    }

    pub(super) fn verifying(&self) -> &VerifyingKey {
        &self.verifying
    }

    pub(super) fn signing(&self) -> Option<&SigningKey> {
        self.signing.as_ref()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("kid", &self.kid).field("alg", &self.alg()).finish_non_exhaustive()
    }
}

/// Longest secret. Beyond 128 bytes, more of them add nothing (RFC 2104 §3).
const MAX_SECRET: usize = 16_384;

fn parse_algorithm(name: &str) -> Result<Algorithm, ConfigError> {
    Algorithm::from_str(name).map_err(|_| {
        let cure = match name.to_ascii_lowercase().as_str() {
            "none" => "an unsigned token proves nothing",
            "es512" | "es256k" => "use ES256 or ES384",
            "ed25519" | "eddsa" => "it is written EdDSA",
            "ed448" => "use Ed25519 keys, with EdDSA",
            _ => "use one of HS256/384/512, RS256/384/512, PS256/384/512, ES256, ES384, EdDSA",
        };
        ConfigError::new(format!("{name:?} is not an algorithm that is supported: {cure}"))
    })
}

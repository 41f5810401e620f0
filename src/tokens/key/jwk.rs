//! Reads a key from a JWK (RFC 7517), and honours everything that it says about itself.
//!
//! Rules: one strict JSON object; `kty` and `crv` fit the algorithm; `alg`, if present, *is* the algorithm; `use`, if
//! present, is `sig`; `key_ops`, if present, contains `verify`, or `sign` with a private half, and only `sign` lets it sign; a
//! `kid` that is also given beside the JWK is the same. Numbers are strict base64url, coordinates of full length
//! (RFC 7518 §6.2.1.2). `x5u` and `x5c` are not looked at.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, AlgorithmFamily};
use ring::rsa;
use serde_json::{Map, Value};
use zeroize::Zeroize;

use super::super::json;
use super::{Key, parse_algorithm};
use crate::crypto::{SigningKey, VerifyingKey, algorithm_name};
use crate::error::ConfigError;
use crate::secret::Secret;

/// What a JWK holds.
pub(super) struct Read {
    pub(super) kid: Option<String>,
    pub(super) verifying: VerifyingKey,
    pub(super) signing: Option<SigningKey>,
}

/// Reads *text*; *alg* and *kid* are what was configured beside it.
pub(super) fn read(text: &[u8], alg: Option<Algorithm>, kid: Option<&str>) -> Result<Read, ConfigError> {
    if !json::is_strict_object(text) {
        return Err(ConfigError::new("a JWK is one JSON object without duplicate members"));
    }
    let members = serde_json::from_slice(text).map_err(|_| ConfigError::new("a JWK is one JSON object"))?;
    let jwk = Jwk(members);
    if jwk.0.contains_key("keys") {
        return Err(ConfigError::new("this is a set of keys (JWKS); give one key of it at a time"));
    }
    let alg = jwk.algorithm(alg)?;
    let may_sign = jwk.permits(alg)?;
    let kid = jwk.kid(kid)?;
    let (verifying, signing) = jwk.halves(alg)?;
    if signing.is_none() && !jwk.lists("verify")? {
        return Err(ConfigError::new("key_ops of this JWK does not permit \"verify\""));
    }
    Ok(Read { kid, verifying, signing: signing.filter(|_| may_sign) })
}

/// The members of a JWK; its strings, some of them secret, are wiped on drop.
struct Jwk(Map<String, Value>);

impl Drop for Jwk {
    fn drop(&mut self) {
        for (_, value) in &mut self.0 {
            if let Value::String(text) = value {
                text.zeroize();
            }
        }
    }
}

impl Jwk {
    /// The string member *name*; absent is `None`, any other type is refused.
    fn text(&self, name: &str) -> Result<Option<&str>, ConfigError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(ConfigError::new(format!("{name:?} of a JWK is a string"))),
        }
    }

    /// The bytes of the member *name*.
    fn bytes(&self, name: &str) -> Result<Secret, ConfigError> {
        let text = self.text(name)?.ok_or_else(|| ConfigError::new(format!("this JWK has no {name:?}")))?;
        let bytes = URL_SAFE_NO_PAD.decode(text);
        bytes
            .map(Secret::new)
            .map_err(|_| ConfigError::new(format!("{name:?} of a JWK is base64url, unpadded")))
    }

    fn is_private(&self) -> bool {
        self.0.contains_key("d")
    }

    /// The one algorithm: what was configured, what the JWK says, or what its curve implies; they must agree.
    fn algorithm(&self, configured: Option<Algorithm>) -> Result<Algorithm, ConfigError> {
        let stated = self.text("alg")?.map(parse_algorithm).transpose()?;
        let kind = (self.text("kty")?.unwrap_or_default(), self.text("crv")?);
        let implied = match kind {
            ("EC", Some("P-256")) => Some(Algorithm::ES256),
            ("EC", Some("P-384")) => Some(Algorithm::ES384),
            ("OKP", Some("Ed25519")) => Some(Algorithm::EdDSA),
            ("RSA" | "oct", None) => None,
            ("EC" | "OKP", _) => {
                return Err(ConfigError::new("the curves that are supported are P-256, P-384 and Ed25519"));
            }
            ("RSA" | "oct", Some(_)) => return Err(ConfigError::new("\"crv\" does not belong in this JWK")),
            _ => return Err(ConfigError::new("\"kty\" of a JWK is \"RSA\", \"EC\", \"OKP\" or \"oct\"")),
        };
        let Some(alg) = configured.or(stated).or(implied) else {
            return Err(ConfigError::new("this JWK has no \"alg\": say which algorithm it is for"));
        };
        let family = match kind.0 {
            "RSA" => AlgorithmFamily::Rsa,
            "oct" => AlgorithmFamily::Hmac,
            "EC" => AlgorithmFamily::Ec,
            _ => AlgorithmFamily::Ed,
        };
        // CVE-2026-22817, CVE-2022-23541: an algorithm that the key was not made for.
        if alg.family() != family || [stated, implied].into_iter().flatten().any(|other| other != alg) {
            return Err(ConfigError::new(format!("this JWK is not a key for {}", algorithm_name(alg))));
        }
        Ok(alg)
    }

    /// Whether `use` and `key_ops` permit signing; refuses a key that is for something else.
    fn permits(&self, alg: Algorithm) -> Result<bool, ConfigError> {
        if self.text("use")?.is_some_and(|purpose| purpose != "sig") {
            return Err(ConfigError::new("this JWK is not for signatures: its \"use\" is not \"sig\""));
        }
        let may_sign = self.lists("sign")?;
        let private = self.is_private() || alg.family() == AlgorithmFamily::Hmac;
        if !(self.lists("verify")? || (private && may_sign)) {
            return Err(ConfigError::new("this JWK is not for signatures: see its \"key_ops\""));
        }
        Ok(may_sign)
    }

    /// Whether `key_ops` is absent or contains *operation*.
    fn lists(&self, operation: &str) -> Result<bool, ConfigError> {
        let Some(value) = self.0.get("key_ops") else { return Ok(true) };
        let wrong =
            || ConfigError::new("\"key_ops\" of a JWK is an array of different strings (RFC 7517 §4.3)");
        let list: Vec<&str> = value.as_array().ok_or_else(wrong)?.iter().filter_map(Value::as_str).collect();
        let repeated = list.iter().enumerate().any(|(n, item)| list[..n].contains(item));
        if repeated || value.as_array().map(Vec::len) != Some(list.len()) {
            return Err(wrong());
        }
        Ok(list.contains(&operation))
    }

    fn kid(&self, configured: Option<&str>) -> Result<Option<String>, ConfigError> {
        match (self.text("kid")?, configured) {
            (Some(own), Some(given)) if own != given => Err(ConfigError::new(format!(
                "this JWK has the kid {own:?}, but {given:?} was given beside it"
            ))),
            (own, given) => Ok(given.or(own).map(str::to_owned)),
        }
    }

    fn halves(&self, alg: Algorithm) -> Result<(VerifyingKey, Option<SigningKey>), ConfigError> {
        match alg.family() {
            AlgorithmFamily::Hmac => {
                let secret = self.bytes("k")?;
                let key = Key::from_secret(secret.expose(), algorithm_name(alg), None, false)?;
                Ok((key.verifying, key.signing))
            }
            AlgorithmFamily::Rsa => self.rsa_halves(alg),
            AlgorithmFamily::Ec => {
                let (x, y) = (self.bytes("x")?, self.bytes("y")?);
                let length = if alg == Algorithm::ES384 { 48 } else { 32 };
                if x.expose().len() != length || y.expose().len() != length {
                    return Err(ConfigError::new(format!(
                        "\"x\" and \"y\" of this JWK have {length} bytes each"
                    )));
                }
                let point = [&[4], x.expose(), y.expose()].concat();
                let verifying = VerifyingKey::from_point(alg, &point)?;
                let signing = self
                    .is_private()
                    .then(|| SigningKey::from_ec_parts(alg, self.bytes("d")?.expose(), &point));
                Ok((verifying, signing.transpose()?))
            }
            AlgorithmFamily::Ed => {
                let x = self.bytes("x")?;
                let verifying = VerifyingKey::from_ed25519(alg, x.expose())?;
                let signing = self
                    .is_private()
                    .then(|| SigningKey::from_ed_parts(alg, self.bytes("d")?.expose(), x.expose()));
                Ok((verifying, signing.transpose()?))
            }
        }
    }

    fn rsa_halves(&self, alg: Algorithm) -> Result<(VerifyingKey, Option<SigningKey>), ConfigError> {
        let (n, e) = (self.bytes("n")?, self.bytes("e")?);
        let verifying = VerifyingKey::from_rsa(alg, n.expose(), e.expose())?;
        if !self.is_private() {
            return Ok((verifying, None));
        }
        if self.0.contains_key("oth") || !self.0.contains_key("p") {
            return Err(ConfigError::new("an RSA private JWK has p, q, dp, dq and qi, and no third prime"));
        }
        let [d, p, q, dp, dq, qi] = ["d", "p", "q", "dp", "dq", "qi"].map(|name| self.bytes(name));
        let (d, p, q, dp, dq, qi) = (d?, p?, q?, dp?, dq?, qi?);
        let parts = rsa::KeyPairComponents {
            public_key: rsa::PublicKeyComponents { n: n.expose(), e: e.expose() },
            d: d.expose(),
            p: p.expose(),
            q: q.expose(),
            dP: dp.expose(),
            dQ: dq.expose(),
            qInv: qi.expose(),
        };
        let signing = SigningKey::from_rsa_parts(alg, &parts)?;
        Ok((verifying, Some(signing)))
    }
}

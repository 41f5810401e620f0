//! Signs claims. What it signs, a [`super::Verifier`] can read.
//!
//! The claims are the caller's, who sets `iss`, `sub`, `aud`, `jti`, `iat` and `exp`; they are signed as given, byte for byte,
//! after the same strict reading that they will meet when they come back. The header has `alg`, `typ`, and the key's `kid`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::claims::{Claims, Places};
use super::header::MAX_HEADER;
use super::key::Key;
use crate::error::ConfigError;

impl Key {
    /// A compact JWS over *claims*, a JSON object as text, with this `typ` in its header (`JWT`, `at+jwt`).
    pub fn sign(&self, claims: &str, typ: &str) -> Result<String, ConfigError> {
        self.sign_for(claims, typ, false)
    }

    /// The same for verifiers that take a whole number as `sub`, if *numeric_subject* ([`super::Rules`]).
    pub fn sign_for(&self, claims: &str, typ: &str, numeric_subject: bool) -> Result<String, ConfigError> {
        let Some(signing) = self.signing() else {
            return Err(ConfigError::new("this key only verifies: it cannot sign"));
        };
        if typ.is_empty() || typ.len() > 64 || !typ.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ConfigError::new("typ is a media type such as \"JWT\" or \"at+jwt\""));
        }
        let nowhere = Places { numeric_subject, scopes: Vec::new(), roles: Vec::new() };
        Claims::parse(claims.as_bytes(), &nowhere).map_err(|_| {
            ConfigError::new(
                "claims are one JSON object, without duplicates, at most 32 deep, whose iss, sub and jti are strings, \
                 aud strings, and exp, nbf, iat and auth_time seconds since 1970",
            )
        })?;
        let mut header = serde_json::Map::new();
        header.insert("alg".into(), self.alg().into());
        header.insert("typ".into(), typ.into());
        if let Some(kid) = self.kid() {
            header.insert("kid".into(), (**kid).into());
        }
        let mut token = String::with_capacity(64 + claims.len() * 4 / 3 + MAX_HEADER / 8);
        URL_SAFE_NO_PAD.encode_string(serde_json::Value::Object(header).to_string(), &mut token);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = signing.sign(token.as_bytes());
        let signature =
            signature.map_err(|_| ConfigError::new("signing failed: no randomness, or a damaged key"))?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }
}

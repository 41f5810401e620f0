//! The keys that an issuer publishes: a JWK set (RFC 7517 §5), read with an allow-list of algorithms.
//!
//! Rules, in order: the set is one strict JSON object whose `keys` are at most [`MAX_KEYS`] objects; each key is public
//! and for signatures; an algorithm that it states is on the list; one that states none becomes a key for each algorithm
//! on the list that fits its `kty` and `crv`, so that every [`Key`] still has one algorithm, and a token still finds its key
//! by `kid` *and* `alg` (RFC 8725 §3.1, CVE-2026-22817). What cannot be used is skipped, with the reason: RFC 7517 §5
//! says so, and one strange key must not take the others with it. A set of which nothing can be used is refused.
//!
//! A shared secret in a published set is no secret, and a private key in it is anybody's: both are skipped, so no
//! algorithm with a shared secret is ever valid here (CVE-2017-11424).
//!
//! It fetches nothing.

use std::str::FromStr;
use std::sync::Arc;

use jsonwebtoken::{Algorithm, AlgorithmFamily};
use serde_json::{Map, Value};

use super::json;
use super::key::Key;
use super::keyring::Keyring;
use super::thumbprint;
use crate::crypto::algorithm_name;
use crate::error::ConfigError;

/// Most keys in a set.
pub const MAX_KEYS: usize = 64;

/// Keys that an issuer publishes.
pub struct KeySet {
    keys: Keyring,
    skipped: Vec<String>,
}

impl KeySet {
    /// Reads a set; *algorithms* are those that its keys may be for, all asymmetric.
    pub fn read(text: &[u8], algorithms: &[String]) -> Result<Self, ConfigError> {
        let algorithms = algorithms.iter().map(|name| allowed(name)).collect::<Result<Vec<_>, _>>()?;
        if !json::is_strict_object(text) {
            return Err(ConfigError::new("a JWK set is one JSON object without duplicate members"));
        }
        let set: Map<String, Value> =
            serde_json::from_slice(text).map_err(|_| ConfigError::new("a JWK set is one JSON object"))?;
        let Some(Value::Array(entries)) = set.get("keys") else {
            return Err(ConfigError::new("a JWK set has a member \"keys\", an array (RFC 7517 §5)"));
        };
        if entries.len() > MAX_KEYS {
            return Err(ConfigError::new(format!("a JWK set has at most {MAX_KEYS} keys")));
        }
        let (mut keys, mut skipped) = (Vec::<Arc<Key>>::new(), Vec::new());
        for (place, entry) in entries.iter().enumerate() {
            match expand(entry, &algorithms) {
                Ok(made) => {
                    for key in made {
                        if keys.iter().any(|other| other.kid() == key.kid() && other.alg() == key.alg()) {
                            skipped
                                .push(format!("key {place}: another key for {} has the same kid", key.alg()));
                        } else {
                            keys.push(Arc::new(key));
                        }
                    }
                }
                Err(error) => skipped
                    .push(format!("key {place}: {error}").chars().take(LONGEST_REASON).collect::<String>()),
            }
        }
        if keys.is_empty() {
            let why = skipped.first().map_or("it is empty", String::as_str);
            return Err(ConfigError::new(format!("no key of this JWK set can be used ({why})")));
        }
        Ok(Self { keys: Keyring::of_set(keys), skipped })
    }

    /// The keys, for a verifier.
    pub fn keys(&self) -> &Keyring {
        &self.keys
    }

    /// What was skipped, each with the reason.
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }
}

/// Longest reason, in characters: a reason may quote the set.
const LONGEST_REASON: usize = 160;

fn allowed(name: &str) -> Result<Algorithm, ConfigError> {
    Algorithm::from_str(name)
        .ok()
        .filter(|alg| alg.family() != AlgorithmFamily::Hmac)
        .ok_or_else(|| ConfigError::new(format!("{name:?} is not an algorithm for published keys")))
}

/// One key for each algorithm that *entry* may be for.
fn expand(entry: &Value, algorithms: &[Algorithm]) -> Result<Vec<Key>, ConfigError> {
    let Value::Object(jwk) = entry else { return Err(ConfigError::new("it is no object")) };
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    if thumbprint::is_secret(jwk) {
        return Err(ConfigError::new("it holds secret material, so anybody could sign with it"));
    }
    let fitting: Vec<Algorithm> = match (text("kty"), text("crv")) {
        (Some("RSA"), _) => of_family(algorithms, AlgorithmFamily::Rsa),
        (Some("EC"), Some("P-256")) => only(algorithms, Algorithm::ES256),
        (Some("EC"), Some("P-384")) => only(algorithms, Algorithm::ES384),
        (Some("OKP"), Some("Ed25519")) => only(algorithms, Algorithm::EdDSA),
        _ => return Err(ConfigError::new("its kind or curve is not supported")),
    };
    let fitting: Vec<Algorithm> = match jwk.get("alg") {
        None => fitting,
        Some(stated) => {
            fitting.into_iter().filter(|alg| stated.as_str() == Some(algorithm_name(*alg))).collect()
        }
    };
    if fitting.is_empty() {
        return Err(ConfigError::new("its algorithm is not one of those that this issuer may use"));
    }
    let json = entry.to_string();
    fitting
        .into_iter()
        .map(|alg| Key::from_jwk(json.as_bytes(), Some(algorithm_name(alg)), None, true))
        .collect()
}

fn of_family(algorithms: &[Algorithm], family: AlgorithmFamily) -> Vec<Algorithm> {
    algorithms.iter().copied().filter(|alg| alg.family() == family).collect()
}

fn only(algorithms: &[Algorithm], wanted: Algorithm) -> Vec<Algorithm> {
    algorithms.iter().copied().filter(|alg| *alg == wanted).collect()
}

//! What the room promises, attacked. Shared material; each file below asks one kind of question.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod attacks;
mod bound;
mod claims;
mod keys;
mod remembered;
mod rules;
mod sets;
mod vectors;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Key, Keyring, Reason, Rules, TokenError, Verified, Verifier};
use crate::time::UnixTime;

/// The instant of every test that does not say otherwise.
const NOW: UnixTime = UnixTime(1_800_000_000.0);

const SECRET: &[u8] = b"\x01\x9a\x7e!x\xd3~\x88\xf0\x11\xe5\xab\x1d\x02\x94\xc7\xbd\x5fQ\x86\xa8\xee\x30\x62\x0c\xd9\x75\x1f\x83\xb4\x2ek\
    Xw\x81q\xfe\x07\x93\xa2\xcd\x14\x6b\xd0\x3a\x99\xe1\x58\x2c\xb7\x70\x45\xaa\x9c\x1e\xf3\x66\x0b\xd8\x37\x4d\x90\x22\xe8\x5a";

macro_rules! vector {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/tokens/", $name))
    };
}
use vector;

const RSA: &[u8] = vector!("rsa2048.pkcs8.pem");
const P256: &[u8] = vector!("p256.pkcs8.pem");
const P384: &[u8] = vector!("p384.pkcs8.pem");
const ED25519: &[u8] = vector!("ed25519.pkcs8.pem");

/// Every algorithm, with a key that signs.
fn all_keys() -> Vec<Key> {
    let mut keys = vec![];
    for alg in ["HS256", "HS384", "HS512"] {
        keys.push(Key::from_secret(SECRET, alg, None, false).unwrap());
    }
    for alg in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] {
        keys.push(Key::from_pem(RSA, alg, None, false).unwrap());
    }
    keys.push(Key::from_pem(P256, "ES256", None, false).unwrap());
    keys.push(Key::from_pem(P384, "ES384", None, false).unwrap());
    keys.push(Key::from_pem(ED25519, "EdDSA", None, false).unwrap());
    keys
}

fn hs256() -> Arc<Key> {
    Arc::new(Key::from_secret(SECRET, "HS256", None, false).unwrap())
}

fn verifier(key: &Arc<Key>, rules: Rules) -> Verifier {
    Verifier::new(Keyring::new(vec![Arc::clone(key)]).unwrap(), rules).unwrap()
}

/// A token with this header and these claims, word for word, truly signed with *key*.
fn signed(key: &Key, header: &str, claims: &str) -> String {
    signed_parts(key, &b64(header), &b64(claims))
}

fn signed_parts(key: &Key, header: &str, claims: &str) -> String {
    let message = format!("{header}.{claims}");
    let signature = key.signing().unwrap().sign(message.as_bytes()).unwrap();
    format!("{message}.{}", b64(signature))
}

fn b64(data: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(data)
}

/// The claims of a token that is accepted, and no more.
const GOOD: &str = r#"{"sub":"ada","exp":1800000060}"#;

/// What a verifier with one HS256 key and no other rule says to these claims.
fn judge(claims: &str) -> Result<Verified, TokenError> {
    judge_with(Rules::default(), claims)
}

fn judge_with(rules: Rules, claims: &str) -> Result<Verified, TokenError> {
    let key = hs256();
    let token = signed(&key, r#"{"alg":"HS256"}"#, claims);
    verifier(&key, rules).verify(token.as_bytes(), NOW)
}

/// What it says to a token with this header.
fn judge_header(header: &str) -> Result<Verified, TokenError> {
    let key = hs256();
    verifier(&key, Rules::default()).verify(signed(&key, header, GOOD).as_bytes(), NOW)
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[track_caller]
fn refused(verdict: Result<Verified, TokenError>, reason: Reason) {
    match verdict {
        Ok(_) => panic!("accepted; expected {reason:?}"),
        Err(error) => assert_eq!(error, TokenError::Invalid(reason)),
    }
}

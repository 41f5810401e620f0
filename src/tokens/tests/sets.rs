//! Sets of published keys: what is used, what is skipped, and which key a token finds.

use serde_json::{Value, json};

use super::*;
use crate::tokens::KeySet;

fn all() -> Vec<String> {
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
        .iter()
        .map(|name| (*name).to_owned())
        .collect()
}

/// The public half, without `alg`, `use` and `kid`.
fn public(key: &Key) -> Value {
    let mut jwk: Value = serde_json::from_str(&key.public_jwk().unwrap()).unwrap();
    for name in ["alg", "use", "kid"] {
        jwk.as_object_mut().unwrap().remove(name);
    }
    jwk
}

fn with(mut jwk: Value, name: &str, value: Value) -> Value {
    jwk[name] = value;
    jwk
}

fn set(keys: &[Value], algorithms: &[String]) -> Result<KeySet, crate::error::ConfigError> {
    KeySet::read(json!({ "keys": keys }).to_string().as_bytes(), algorithms)
}

fn judge(set: &KeySet, token: &str) -> Result<(), TokenError> {
    let verifier = Verifier::new(set.keys().clone(), Rules::default()).unwrap();
    verifier.verify(token.as_bytes(), NOW).map(|_| ())
}

const CLAIMS: &str = r#"{"sub":"ada","exp":1800000060}"#;

fn rsa(alg: &str, kid: Option<&str>) -> Key {
    Key::from_pem(RSA, alg, kid, false).unwrap()
}

#[test]
fn a_key_without_alg_serves_each_allowed_algorithm_of_its_kind() {
    let jwk = with(public(&rsa("RS256", None)), "kid", json!("a"));
    let found = set(std::slice::from_ref(&jwk), &all()).unwrap();
    assert_eq!(found.keys().len(), 6);
    for alg in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] {
        assert_eq!(judge(&found, &rsa(alg, Some("a")).sign(CLAIMS, "JWT").unwrap()), Ok(()), "{alg}");
    }
    // The allow-list decides, not the header: CVE-2026-48523.
    let found = set(&[jwk], &["RS256".to_owned()]).unwrap();
    let token = rsa("PS256", Some("a")).sign(CLAIMS, "JWT").unwrap();
    assert_eq!(judge(&found, &token), Err(TokenError::Invalid(Reason::Algorithm)));
}

#[test]
fn a_key_with_alg_serves_that_one_alone() {
    // CVE-2026-22817
    let jwk = with(with(public(&rsa("RS256", None)), "kid", json!("a")), "alg", json!("RS256"));
    let found = set(&[jwk], &all()).unwrap();
    assert_eq!(judge(&found, &rsa("RS256", Some("a")).sign(CLAIMS, "JWT").unwrap()), Ok(()));
    let token = rsa("PS256", Some("a")).sign(CLAIMS, "JWT").unwrap();
    assert_eq!(judge(&found, &token), Err(TokenError::Invalid(Reason::Algorithm)));
}

#[test]
fn a_public_key_is_never_a_shared_secret() {
    // CVE-2017-11424, CVE-2022-29217: HS256 keyed with the text of the public key.
    let jwk = with(public(&rsa("RS256", None)), "kid", json!("a"));
    let found = set(std::slice::from_ref(&jwk), &all()).unwrap();
    let forged = hs256().sign(CLAIMS, "JWT").unwrap();
    assert_eq!(judge(&found, &forged), Err(TokenError::Invalid(Reason::Algorithm)));
    assert!(set(&[jwk], &["HS256".to_owned()]).is_err());
    let secret = json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode(SECRET), "alg": "HS256"});
    assert!(set(&[secret], &all()).is_err());
}

#[test]
fn what_cannot_be_used_is_skipped_and_does_not_take_the_others_with_it() {
    let good = with(public(&Key::from_pem(P256, "ES256", None, false).unwrap()), "kid", json!("good"));
    let weak = json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode([0xC5; 128]), "e": "AQAB"});
    let strange = [
        json!({"kty": "EC", "crv": "P-521", "x": "AA", "y": "AA"}),
        json!({"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"}),
        json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"}),
        json!({"kty": "oct", "k": "AAAA"}),
        json!("key"),
        json!({}),
        weak,
        with(good.clone(), "use", json!("enc")),
        with(good.clone(), "alg", json!("ES384")),
        with(good.clone(), "alg", json!(7)),
        with(good.clone(), "d", json!("AA")),
        with(good.clone(), "kid", json!(7)),
        with(good.clone(), "kid", json!("k".repeat(129))),
        with(good.clone(), "x", json!("AAAA")),
        with(public(&rsa("RS256", None)), "alg", json!("RS1")),
    ];
    for jwk in &strange {
        let found = set(&[jwk.clone(), good.clone()], &all()).unwrap();
        assert_eq!((found.keys().len(), found.skipped().len()), (1, 1), "{jwk}");
        assert!(found.skipped()[0].len() <= 200);
        assert!(set(std::slice::from_ref(jwk), &all()).is_err(), "{jwk}");
    }
    // The same name and algorithm once more.
    assert_eq!(set(&[good.clone(), good], &all()).unwrap().skipped().len(), 1);
}

#[test]
fn a_set_is_bounded_and_strict() {
    let good = public(&Key::from_pem(P256, "ES256", None, false).unwrap());
    let many = |count: usize| -> Vec<Value> {
        (0..count).map(|n| with(good.clone(), "kid", json!(n.to_string()))).collect()
    };
    assert_eq!(set(&many(64), &all()).unwrap().keys().len(), 64);
    assert!(set(&many(65), &all()).is_err());
    for text in
        ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[]}"#, r#"{"keys":[],"keys":[]}"#, "{", "\u{feff}{}"]
    {
        assert!(KeySet::read(text.as_bytes(), &all()).is_err(), "{text}");
    }
}

#[test]
fn two_nameless_keys_of_two_kinds_are_told_apart_by_alg() {
    let found = set(
        &[public(&rsa("RS256", None)), public(&Key::from_pem(ED25519, "EdDSA", None, false).unwrap())],
        &all(),
    )
    .unwrap();
    let token = Key::from_pem(ED25519, "EdDSA", Some("new"), false).unwrap().sign(CLAIMS, "JWT").unwrap();
    assert_eq!(judge(&found, &token), Ok(()));
    let token = Key::from_pem(P256, "ES256", Some("new"), false).unwrap().sign(CLAIMS, "JWT").unwrap();
    assert_eq!(judge(&found, &token), Err(TokenError::Invalid(Reason::Key)));
}

#[test]
fn a_key_with_any_private_member_is_not_used() {
    // `dp`, `dq`, `qi` and `oth` give an RSA key away as `d` does (RFC 7518 §6.3.2).
    let (rsa, ec) =
        (public(&rsa("RS256", None)), public(&Key::from_pem(P256, "ES256", None, false).unwrap()));
    assert!(set(std::slice::from_ref(&rsa), &all()).is_ok());
    for name in ["d", "dp", "dq", "k", "oth", "p", "q", "qi"] {
        for value in [json!("AQAB"), json!(null), json!([])] {
            let found = set(&[with(rsa.clone(), name, value), ec.clone()], &all()).unwrap();
            assert_eq!((found.keys().len(), found.skipped().len()), (1, 1), "{name}");
            assert!(found.skipped()[0].contains("secret material"), "{name}");
        }
    }
}

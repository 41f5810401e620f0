//! The thumbprint of a public key: RFC 7638, with SHA-256.
//!
//! It is taken of the members that make the key, in their order and with nothing between them. They are strict base64url, so
//! that a key has one thumbprint, and none of them can contain a quote that would make it another's.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::seen::Digest;
use crate::crypto::sha256;

/// Members that only a secret or private key has (RFC 7518 §6.2.2, §6.3.2, §6.4.1; RFC 8037 §2).
const SECRET: [&str; 8] = ["d", "dp", "dq", "k", "oth", "p", "q", "qi"];

/// Whether a JWK holds anything secret, whatever its type and whatever the member's value.
pub fn is_secret(jwk: &Map<String, Value>) -> bool {
    SECRET.iter().any(|name| jwk.contains_key(*name))
}

/// The thumbprint of a public RSA, EC or OKP key; `None` for anything else, and for members that are not strict base64url.
pub fn of(jwk: &Map<String, Value>) -> Option<Digest> {
    canonical(jwk).map(|text| sha256(text.as_bytes()))
}

/// What the thumbprint is taken of: a JWK of the members that make the key, and no other.
pub(super) fn canonical(jwk: &Map<String, Value>) -> Option<String> {
    let text = |name: &str| jwk.get(name)?.as_str();
    let number =
        |name: &str| text(name).filter(|text| !text.is_empty() && URL_SAFE_NO_PAD.decode(text).is_ok());
    Some(match (text("kty")?, text("crv")) {
        ("RSA", _) => format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, number("e")?, number("n")?),
        ("EC", Some(curve @ ("P-256" | "P-384"))) => {
            format!(r#"{{"crv":"{curve}","kty":"EC","x":"{}","y":"{}"}}"#, number("x")?, number("y")?)
        }
        ("OKP", Some(curve @ "Ed25519")) => {
            format!(r#"{{"crv":"{curve}","kty":"OKP","x":"{}"}}"#, number("x")?)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Map, Value, json};

    use super::{SECRET, is_secret, of};

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn text(value: Value) -> Option<String> {
        of(&map(value)).map(|digest| URL_SAFE_NO_PAD.encode(digest))
    }

    const N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

    #[test]
    fn the_examples_of_the_standards_have_their_thumbprints() {
        // RFC 7638 §3.1; `kid` and `alg` are no part of it.
        let rsa = json!({"kty": "RSA", "n": N, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"});
        assert_eq!(text(rsa).as_deref(), Some("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"));
        // RFC 9449 §6.1
        let ec = json!({"kty": "EC", "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
            "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA", "crv": "P-256"});
        assert_eq!(text(ec).as_deref(), Some("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"));
        // RFC 8037 A.3
        let ed = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
        assert_eq!(text(ed).as_deref(), Some("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"));
    }

    #[test]
    fn what_could_be_written_in_two_ways_or_is_no_public_key_has_none() {
        for jwk in [
            json!({}),
            json!({"kty": "oct", "k": "AAAA"}),
            json!({"kty": "EC", "crv": "P-521", "x": "AAAA", "y": "AAAA"}),
            json!({"kty": "EC", "crv": "P-256", "x": "AAAA"}),
            json!({"kty": "EC", "crv": "P-256", "x": "AA==", "y": "AAAA"}),
            json!({"kty": "EC", "crv": "P-256", "x": "AB", "y": "AAAA"}),
            json!({"kty": "EC", "crv": "P-256", "x": "A\",\"y\":\"A", "y": "AAAA"}),
            json!({"kty": "EC", "crv": "P-256", "x": 1, "y": "AAAA"}),
            json!({"kty": ["EC"], "crv": "P-256", "x": "AAAA", "y": "AAAA"}),
            json!({"kty": "OKP", "crv": "X25519", "x": "AAAA"}),
            json!({"kty": "RSA", "n": "", "e": "AQAB"}),
        ] {
            assert_eq!(text(jwk.clone()), None, "{jwk}");
        }
    }

    #[test]
    fn any_secret_member_makes_a_key_secret_whatever_its_value() {
        // CVE-2026-54431
        for name in SECRET {
            assert!(is_secret(&map(json!({"kty": "EC", (name): null}))), "{name}");
        }
        assert!(!is_secret(&map(json!({"kty": "EC", "x": "AAAA", "y": "AAAA", "n": "AAAA", "e": "AQAB"}))));
    }
}

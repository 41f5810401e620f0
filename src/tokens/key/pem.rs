//! Reads a key from PEM (RFC 7468): exactly one block, of a kind that says which half it is.
//!
//! `PRIVATE KEY` (PKCS#8), `RSA PRIVATE KEY` and `RSA PUBLIC KEY` (PKCS#1), `EC PRIVATE KEY` (SEC 1, RFC 5915; openssl
//! writes `EC PARAMETERS` before it), `PUBLIC KEY` (SPKI). Everything else is refused with the command that converts it.
//! A certificate is refused because nobody here would check its dates, names or issuer.

use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, EncodingKey};
use zeroize::Zeroizing;

use crate::crypto::provider::rsa_public_numbers;
use crate::crypto::{SigningKey, VerifyingKey, algorithm_name};
use crate::error::ConfigError;

/// Both halves of what *text* holds, or the public one.
pub(super) fn read(text: &[u8], alg: Algorithm) -> Result<(VerifyingKey, Option<SigningKey>), ConfigError> {
    match label(text)? {
        "PRIVATE KEY" | "RSA PRIVATE KEY" => {
            let signing = read_private(text, alg)?;
            Ok((signing.verifying_key()?, Some(signing)))
        }
        "EC PRIVATE KEY" => {
            let signing = read_sec1(text, alg)?;
            Ok((signing.verifying_key()?, Some(signing)))
        }
        _ => Ok((read_public(text, alg)?, None)),
    }
}

/// The label of the one block in *text*.
fn label(text: &[u8]) -> Result<&str, ConfigError> {
    let text = std::str::from_utf8(text).map_err(|_| ConfigError::new("a PEM is text; is this DER?"))?;
    let mut blocks = text.split("-----BEGIN ").skip(1).peekable();
    if blocks.peek().is_some_and(|block| block.starts_with("EC PARAMETERS-----")) {
        blocks.next(); // the name of the curve, which the key says as well
    }
    let block =
        blocks.next().ok_or_else(|| ConfigError::new("this is not a PEM: it has no -----BEGIN line"))?;
    let label = block.split("-----").next().unwrap_or_default();
    let cure = match label {
        "CERTIFICATE" => {
            "nobody would check its dates; take its key: openssl x509 -pubkey -noout -in cert.pem"
        }
        "ENCRYPTED PRIVATE KEY" => "decrypt it with: openssl pkcs8 -in key.pem",
        "OPENSSH PRIVATE KEY" => "convert a copy with: ssh-keygen -p -m PKCS8 -f key",
        _ if block.contains("Proc-Type:") => "decrypt it with: openssl pkcs8 -topk8 -nocrypt -in key.pem",
        _ if blocks.next().is_some() => "it has several blocks; give one key at a time",
        "PRIVATE KEY" | "EC PRIVATE KEY" | "RSA PRIVATE KEY" | "PUBLIC KEY" | "RSA PUBLIC KEY" => {
            return Ok(label);
        }
        _ => "use PKCS#8 (PRIVATE KEY) or SPKI (PUBLIC KEY)",
    };
    Err(ConfigError::new(format!("this PEM cannot be used as a key: {cure}")))
}

fn read_private(text: &[u8], alg: Algorithm) -> Result<SigningKey, ConfigError> {
    match alg.family() {
        AlgorithmFamily::Hmac => Err(not_for(alg)),
        AlgorithmFamily::Rsa => {
            let key = EncodingKey::from_rsa_pem(text).map_err(|_| not_for(alg))?;
            SigningKey::from_rsa_der(alg, key.as_bytes())
        }
        AlgorithmFamily::Ec => {
            let key = EncodingKey::from_ec_pem(text).map_err(|_| not_for(alg))?;
            SigningKey::from_ec_pkcs8(alg, key.as_bytes())
        }
        AlgorithmFamily::Ed => {
            let key = EncodingKey::from_ed_pem(text).map_err(|_| not_for(alg))?;
            SigningKey::from_ed_pkcs8(alg, key.as_bytes())
        }
    }
}

fn read_sec1(text: &[u8], alg: Algorithm) -> Result<SigningKey, ConfigError> {
    if alg.family() != AlgorithmFamily::Ec {
        return Err(not_for(alg));
    }
    let blocks = pem::parse_many(text).map_err(|_| not_for(alg))?;
    let block =
        blocks.into_iter().find(|block| block.tag() == "EC PRIVATE KEY").ok_or_else(|| not_for(alg))?;
    SigningKey::from_ec_sec1(alg, &Zeroizing::new(block.into_contents()))
}

fn read_public(text: &[u8], alg: Algorithm) -> Result<VerifyingKey, ConfigError> {
    let key = match alg.family() {
        AlgorithmFamily::Hmac => return Err(not_for(alg)),
        AlgorithmFamily::Rsa => DecodingKey::from_rsa_pem(text),
        AlgorithmFamily::Ec => DecodingKey::from_ec_pem(text),
        AlgorithmFamily::Ed => DecodingKey::from_ed_pem(text),
    };
    let key = key.map_err(|_| not_for(alg))?;
    let content = key.try_get_as_bytes().map_err(|_| not_for(alg))?;
    match alg.family() {
        AlgorithmFamily::Rsa => {
            let (n, e) = rsa_public_numbers(content).ok_or_else(|| not_for(alg))?;
            VerifyingKey::from_rsa(alg, n, e)
        }
        AlgorithmFamily::Ec => VerifyingKey::from_point(alg, content),
        _ => VerifyingKey::from_ed25519(alg, content),
    }
}

fn not_for(alg: Algorithm) -> ConfigError {
    ConfigError::new(format!("this PEM does not hold a key for {}, or it is damaged", algorithm_name(alg)))
}

//! *ring* as jsonwebtoken's `CryptoProvider`, so that its key tools and `encode` work without a second back end.
//!
//! [`install`] sets it as the default of the process, once; if another is already set, that one
//! stays, which is why no verdict of ours goes through the default: the rooms use
//! [`VerifyingKey`] and [`SigningKey`] themselves.
//!
//! The only hand-made piece is [`rsa_public_numbers`], since ring does not take a public key apart.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind, Result, new_error};
use jsonwebtoken::jwk::{EllipticCurve, ThumbprintHash};
use jsonwebtoken::signature::{self, Signer, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::digest;

use super::{PublicParts, SigningKey, VerifyingKey};
use crate::error::ConfigError;

/// The provider itself.
pub static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |alg, key| Ok(Box::new(signing_key(*alg, key)?)),
    verifier_factory: |alg, key| Ok(Box::new(verifying_key(*alg, key)?)),
    key_utils: KeyUtils {
        rsa_pub_components_from_private_key: |der| {
            rsa_parts(
                &SigningKey::from_rsa_der(Algorithm::RS256, der)
                    .and_then(|k| k.verifying_key())
                    .map_err(refused)?,
            )
        },
        rsa_pub_components_from_public_key: |der| {
            let (n, e) = rsa_public_numbers(der).ok_or_else(|| new_error(ErrorKind::InvalidKeyFormat))?;
            rsa_parts(&VerifyingKey::from_rsa(Algorithm::RS256, n, e).map_err(refused)?)
        },
        ec_pub_components_from_private_key: |der, alg| {
            let key = SigningKey::from_ec_pkcs8(alg, der).and_then(|k| k.verifying_key()).map_err(refused)?;
            let curve = if alg == Algorithm::ES384 { EllipticCurve::P384 } else { EllipticCurve::P256 };
            match key.public() {
                Some(PublicParts::Ec { x, y, .. }) => Ok((curve, x.to_vec(), y.to_vec())),
                _ => Err(new_error(ErrorKind::InvalidEcdsaKey)),
            }
        },
        ed_pub_components_from_private_key: |der, curve| {
            if *curve != EllipticCurve::Ed25519 {
                return Err(new_error(ErrorKind::InvalidAlgorithm));
            }
            let key = SigningKey::from_ed_pkcs8(Algorithm::EdDSA, der)
                .and_then(|k| k.verifying_key())
                .map_err(refused)?;
            match key.public() {
                Some(PublicParts::Ed { x }) => Ok(x.to_vec()),
                _ => Err(new_error(ErrorKind::InvalidEddsaKey)),
            }
        },
        compute_digest: |data, hash| {
            let algorithm = match hash {
                ThumbprintHash::SHA256 => &digest::SHA256,
                ThumbprintHash::SHA384 => &digest::SHA384,
                ThumbprintHash::SHA512 => &digest::SHA512,
                _ => return Err(new_error(ErrorKind::UnsupportedAlgorithm)),
            };
            Ok(digest::digest(algorithm, data).as_ref().to_vec())
        },
    },
};

/// Makes [`PROVIDER`] the process's default, unless there is one.
pub fn install() {
    // Err: set before, by an earlier call or by another crate. Nothing of ours depends on it.
    let _ = PROVIDER.install_default();
}

/// Modulus and exponent of a PKCS#1 `RSAPublicKey` in DER (RFC 8017 §A.1.1).
pub fn rsa_public_numbers(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (sequence, rest) = der_element(0x30, der)?;
    let (n, after) = der_element(0x02, sequence)?;
    let (e, end) = der_element(0x02, after)?;
    (rest.is_empty() && end.is_empty()).then_some((n, e))
}

/// The content of the element that *input* begins with, if its tag is *tag*, and what follows it.
fn der_element(tag: u8, input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = input.split_first()?;
    let (&first, rest) = rest.split_first()?;
    if found != tag {
        return None;
    }
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
        0x82 => (usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?])), rest.get(2..)?),
        _ => return None,
    };
    (length <= rest.len()).then(|| rest.split_at(length))
}

fn signing_key(alg: Algorithm, key: &EncodingKey) -> Result<SigningKey> {
    if alg.family() != key.family() {
        return Err(new_error(ErrorKind::InvalidAlgorithm));
    }
    let content = key.as_bytes();
    match alg.family() {
        AlgorithmFamily::Hmac => SigningKey::from_secret(alg, content),
        AlgorithmFamily::Rsa => SigningKey::from_rsa_der(alg, content),
        AlgorithmFamily::Ec => SigningKey::from_ec_pkcs8(alg, content),
        AlgorithmFamily::Ed => SigningKey::from_ed_pkcs8(alg, content),
    }
    .map_err(refused)
}

fn verifying_key(alg: Algorithm, key: &DecodingKey) -> Result<VerifyingKey> {
    if alg.family() != key.family() {
        return Err(new_error(ErrorKind::InvalidAlgorithm));
    }
    match (alg.family(), key.kind()) {
        (AlgorithmFamily::Rsa, DecodingKeyKind::RsaModulusExponent { n, e }) => {
            VerifyingKey::from_rsa(alg, n, e)
        }
        (AlgorithmFamily::Rsa, DecodingKeyKind::SecretOrDer(der)) => {
            let (n, e) = rsa_public_numbers(der).ok_or_else(|| new_error(ErrorKind::InvalidKeyFormat))?;
            VerifyingKey::from_rsa(alg, n, e)
        }
        (AlgorithmFamily::Hmac, DecodingKeyKind::SecretOrDer(secret)) => {
            VerifyingKey::from_secret(alg, secret)
        }
        (AlgorithmFamily::Ec, DecodingKeyKind::SecretOrDer(point)) => VerifyingKey::from_point(alg, point),
        (AlgorithmFamily::Ed, DecodingKeyKind::SecretOrDer(public)) => {
            VerifyingKey::from_ed25519(alg, public)
        }
        _ => return Err(new_error(ErrorKind::InvalidKeyFormat)),
    }
    .map_err(refused)
}

fn rsa_parts(key: &VerifyingKey) -> Result<(Vec<u8>, Vec<u8>)> {
    match key.public() {
        Some(PublicParts::Rsa { n, e }) => Ok((n.to_vec(), e.to_vec())),
        _ => Err(new_error(ErrorKind::InvalidKeyFormat)),
    }
}

fn refused(error: ConfigError) -> Error {
    new_error(ErrorKind::Provider(error.to_string()))
}

impl Signer<Vec<u8>> for SigningKey {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, signature::Error> {
        self.sign(message).map_err(|_| signature::Error::new())
    }
}

impl JwtSigner for SigningKey {
    fn algorithm(&self) -> Algorithm {
        SigningKey::algorithm(self)
    }
}

impl Verifier<Vec<u8>> for VerifyingKey {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), signature::Error> {
        VerifyingKey::verify(self, message, signature).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for VerifyingKey {
    fn algorithm(&self) -> Algorithm {
        VerifyingKey::algorithm(self)
    }
}

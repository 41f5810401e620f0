//! Signatures, digests and random bytes: *ring*, behind types that know their one algorithm.
//!
//! A [`VerifyingKey`] or [`SigningKey`] is built once, at start-up, for one algorithm of RFC 7518
//! or RFC 8037. What can be checked of a key is checked then: RSA is 2048 to 8192 bits with an odd
//! exponent of at least 3, an EC point is on the curve of its algorithm, an Ed25519 key is not of
//! small order. So a P-384 key that is called ES256 stops the start-up, not the first request.
//!
//! [`provider`] gives the same keys to jsonwebtoken. Nothing here goes through its process-wide
//! default, which another crate might have set.
//!
//! # What it does not do
//! ES512, ES256K, Ed448 and encryption (JWE). No algorithm is implemented here: all of it is ring's.
//!
//! # What can break it in deployment
//! ring verifies ES384 about fifteen times slower than ES256 (0.7 ms): a flood of forged tokens is a
//! lever on the processor. Limit by address before verifying.

pub mod provider;

use jsonwebtoken::{Algorithm, AlgorithmFamily};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{self, KeyPair, RsaEncoding, RsaKeyPair, RsaParameters, UnparsedPublicKey};
use ring::{agreement, digest, hmac, rsa};
use zeroize::Zeroizing;

use crate::error::ConfigError;

/// A check failed: of a signature, or of the system's random source. It says no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed;

/// SHA-256 (FIPS 180-4).
pub fn sha256(data: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, data).as_ref());
    out
}

/// Whether two digests are the same, in time that does not depend on where they differ.
///
/// ring compares authentication codes in constant time; the codes of two digests under one key are the same when the
/// digests are.
pub fn same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, one);
    hmac::verify(&key, other, hmac::sign(&key, one).as_ref()).is_ok()
}

/// Fills *out* from the operating system's generator.
pub fn fill_random(out: &mut [u8]) -> Result<(), Failed> {
    SystemRandom::new().fill(out).map_err(|_| Failed)
}

/// The name of *alg* in a JWS header (RFC 7518 §3.1, RFC 8037 §3.1).
pub fn algorithm_name(alg: Algorithm) -> &'static str {
    match alg {
        Algorithm::HS256 => "HS256",
        Algorithm::HS384 => "HS384",
        Algorithm::HS512 => "HS512",
        Algorithm::ES256 => "ES256",
        Algorithm::ES384 => "ES384",
        Algorithm::RS256 => "RS256",
        Algorithm::RS384 => "RS384",
        Algorithm::RS512 => "RS512",
        Algorithm::PS256 => "PS256",
        Algorithm::PS384 => "PS384",
        Algorithm::PS512 => "PS512",
        Algorithm::EdDSA => "EdDSA",
        // The enum is open; `parse_algorithm` lets no other in.
        _ => "unsupported",
    }
}

/// The public numbers of a key, as a JWK spells them (RFC 7518 §6). Big-endian.
pub enum PublicParts<'a> {
    /// An EC point.
    Ec {
        /// `P-256` or `P-384`.
        curve: &'static str,
        /// First coordinate, of the curve's full length.
        x: &'a [u8],
        /// Second coordinate, of the curve's full length.
        y: &'a [u8],
    },
    /// An Ed25519 public key of 32 bytes.
    Ed {
        /// The encoded point.
        x: &'a [u8],
    },
    /// An RSA public key.
    Rsa {
        /// The modulus, without leading zeros.
        n: &'a [u8],
        /// The exponent, without leading zeros.
        e: &'a [u8],
    },
}

/// A key that verifies signatures of one algorithm.
pub struct VerifyingKey {
    alg: Algorithm,
    kind: Verifying,
}

enum Verifying {
    Mac(hmac::Key),
    Point(UnparsedPublicKey<Vec<u8>>),
    Rsa { parameters: &'static RsaParameters, parts: rsa::PublicKeyComponents<Vec<u8>> },
}

impl VerifyingKey {
    /// A shared secret for HS256, HS384 or HS512. Its quality is judged by the caller.
    pub fn from_secret(alg: Algorithm, secret: &[u8]) -> Result<Self, ConfigError> {
        let mac = mac_algorithm(alg).ok_or_else(|| wrong_kind(alg, "a shared secret"))?;
        Ok(Self { alg, kind: Verifying::Mac(hmac::Key::new(mac, secret)) })
    }

    /// An RSA key for RS… or PS…. Leading zero bytes are dropped.
    pub fn from_rsa(alg: Algorithm, n: &[u8], e: &[u8]) -> Result<Self, ConfigError> {
        let (parameters, _) = rsa_algorithms(alg).ok_or_else(|| wrong_kind(alg, "an RSA key"))?;
        let (n, e) = (strip_zeros(n), strip_zeros(e));
        let bits = n.len() * 8 - n.first().map_or(0, |top| top.leading_zeros() as usize);
        if !(2048..=8192).contains(&bits) {
            return Err(ConfigError::new(format!(
                "an RSA key has 2048 to 8192 bits (RFC 7518 §3.3); this one has {bits}"
            )));
        }
        let exponent =
            e.iter().try_fold(0u64, |sum, byte| sum.checked_mul(256).map(|s| s | u64::from(*byte)));
        if n.last().is_none_or(|low| low % 2 == 0)
            || !exponent.is_some_and(|e| e % 2 == 1 && (3..1 << 33).contains(&e))
        {
            return Err(ConfigError::new(
                "this RSA key is not sound: modulus and exponent are odd, 3 <= e < 2**33",
            ));
        }
        let parts = rsa::PublicKeyComponents { n: n.to_vec(), e: e.to_vec() };
        Ok(Self { alg, kind: Verifying::Rsa { parameters, parts } })
    }

    /// An uncompressed EC point (SEC 1 §2.3.3) for ES256 or ES384.
    pub fn from_point(alg: Algorithm, point: &[u8]) -> Result<Self, ConfigError> {
        let verification: &'static signature::EcdsaVerificationAlgorithm = match alg {
            Algorithm::ES256 => &signature::ECDSA_P256_SHA256_FIXED,
            Algorithm::ES384 => &signature::ECDSA_P384_SHA384_FIXED,
            _ => return Err(wrong_kind(alg, "an elliptic-curve key")),
        };
        if !is_on_curve(alg, point) {
            return Err(ConfigError::new(format!(
                "{} needs a point on {}; this key is on another curve or damaged",
                algorithm_name(alg),
                curve_name(alg)
            )));
        }
        Ok(Self { alg, kind: Verifying::Point(UnparsedPublicKey::new(verification, point.to_vec())) })
    }

    /// An Ed25519 public key of 32 bytes, for EdDSA (RFC 8037).
    pub fn from_ed25519(alg: Algorithm, public: &[u8]) -> Result<Self, ConfigError> {
        if alg != Algorithm::EdDSA {
            return Err(wrong_kind(alg, "an Ed25519 key"));
        }
        if public.len() != 32 {
            return Err(ConfigError::new("an Ed25519 public key has 32 bytes"));
        }
        let key = UnparsedPublicKey::new(&signature::ED25519, public.to_vec());
        if is_small_order(&key) {
            return Err(ConfigError::new("this Ed25519 key is of small order: anyone could sign for it"));
        }
        Ok(Self { alg, kind: Verifying::Point(key) })
    }

    /// The one algorithm of this key.
    pub fn algorithm(&self) -> Algorithm {
        self.alg
    }

    /// Whether *signature* is this key's over *message*. HMAC tags are compared in constant time.
    #[inline]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Failed> {
        let outcome = match &self.kind {
            Verifying::Mac(key) => hmac::verify(key, message, signature),
            Verifying::Point(key) => key.verify(message, signature),
            Verifying::Rsa { parameters, parts } => parts.verify(parameters, message, signature),
        };
        outcome.map_err(|_| Failed)
    }

    /// The public numbers, or `None` for a shared secret.
    pub fn public(&self) -> Option<PublicParts<'_>> {
        match &self.kind {
            Verifying::Mac(_) => None,
            Verifying::Rsa { parts, .. } => Some(PublicParts::Rsa { n: &parts.n, e: &parts.e }),
            Verifying::Point(key) if self.alg == Algorithm::EdDSA => {
                Some(PublicParts::Ed { x: key.as_ref() })
            }
            Verifying::Point(key) => {
                let coordinates = key.as_ref().get(1..)?;
                let (x, y) = coordinates.split_at(coordinates.len() / 2);
                Some(PublicParts::Ec { curve: curve_name(self.alg), x, y })
            }
        }
    }
}

/// A key that signs with one algorithm.
pub struct SigningKey {
    alg: Algorithm,
    kind: Signing,
}

enum Signing {
    Ec(signature::EcdsaKeyPair),
    Ed(signature::Ed25519KeyPair),
    Mac(hmac::Key),
    Rsa(Box<RsaKeyPair>, &'static dyn RsaEncoding),
}

impl SigningKey {
    /// A shared secret for HS256, HS384 or HS512.
    pub fn from_secret(alg: Algorithm, secret: &[u8]) -> Result<Self, ConfigError> {
        let mac = mac_algorithm(alg).ok_or_else(|| wrong_kind(alg, "a shared secret"))?;
        Ok(Self { alg, kind: Signing::Mac(hmac::Key::new(mac, secret)) })
    }

    /// An RSA private key in PKCS#1 DER (RFC 8017 §A.1.2).
    pub fn from_rsa_der(alg: Algorithm, der: &[u8]) -> Result<Self, ConfigError> {
        Self::from_rsa(alg, RsaKeyPair::from_der(der))
    }

    /// An RSA private key by its numbers (RFC 7518 §6.3).
    pub fn from_rsa_parts(
        alg: Algorithm,
        parts: &rsa::KeyPairComponents<&[u8]>,
    ) -> Result<Self, ConfigError> {
        Self::from_rsa(alg, RsaKeyPair::from_components(parts))
    }

    fn from_rsa(
        alg: Algorithm,
        pair: Result<RsaKeyPair, ring::error::KeyRejected>,
    ) -> Result<Self, ConfigError> {
        let (_, encoding) = rsa_algorithms(alg).ok_or_else(|| wrong_kind(alg, "an RSA key"))?;
        let pair = pair.map_err(|why| {
            ConfigError::new(format!(
                "an RSA private key has 2048 to 4096 bits and e >= 65537; refused: {why}"
            ))
        })?;
        Ok(Self { alg, kind: Signing::Rsa(Box::new(pair), encoding) })
    }

    /// An EC private key in PKCS#8 that contains its public half.
    pub fn from_ec_pkcs8(alg: Algorithm, der: &[u8]) -> Result<Self, ConfigError> {
        let signing = ec_signing(alg)?;
        let pair = signature::EcdsaKeyPair::from_pkcs8(signing, der, &SystemRandom::new());
        Self::from_ec(alg, pair)
    }

    /// An EC private key as SEC 1 writes it (RFC 5915), with its public half. A curve that it names is the algorithm's.
    pub fn from_ec_sec1(alg: Algorithm, der: &[u8]) -> Result<Self, ConfigError> {
        // PKCS#8 is the same behind the name of the curve (RFC 5958 §2), and it is that which ring reads.
        let curve = if alg == Algorithm::ES384 { P384 } else { P256 };
        let named = der_value(0x30, &[ID_EC_PUBLIC_KEY, curve].concat());
        let key = der_value(0x04, der);
        Self::from_ec_pkcs8(alg, &der_value(0x30, &[PKCS8_VERSION, &named, &key].concat()))
    }

    /// An EC private key by its scalar and its uncompressed public point (RFC 7518 §6.2).
    pub fn from_ec_parts(alg: Algorithm, d: &[u8], point: &[u8]) -> Result<Self, ConfigError> {
        let signing = ec_signing(alg)?;
        let rng = SystemRandom::new();
        Self::from_ec(alg, signature::EcdsaKeyPair::from_private_key_and_public_key(signing, d, point, &rng))
    }

    fn from_ec(
        alg: Algorithm,
        pair: Result<signature::EcdsaKeyPair, ring::error::KeyRejected>,
    ) -> Result<Self, ConfigError> {
        let pair = pair.map_err(|why| {
            ConfigError::new(format!(
                "{} needs a private key on {} that contains its public half; refused: {why}",
                algorithm_name(alg),
                curve_name(alg)
            ))
        })?;
        Ok(Self { alg, kind: Signing::Ec(pair) })
    }

    /// An Ed25519 private key in PKCS#8, with or without its public half (RFC 8410).
    pub fn from_ed_pkcs8(alg: Algorithm, der: &[u8]) -> Result<Self, ConfigError> {
        // "Maybe unchecked": openssl writes version 1, which has no public half to check against.
        Self::from_ed(alg, signature::Ed25519KeyPair::from_pkcs8_maybe_unchecked(der))
    }

    /// An Ed25519 private key by its seed and public key (RFC 8037 §2).
    pub fn from_ed_parts(alg: Algorithm, seed: &[u8], public: &[u8]) -> Result<Self, ConfigError> {
        Self::from_ed(alg, signature::Ed25519KeyPair::from_seed_and_public_key(seed, public))
    }

    fn from_ed(
        alg: Algorithm,
        pair: Result<signature::Ed25519KeyPair, ring::error::KeyRejected>,
    ) -> Result<Self, ConfigError> {
        if alg != Algorithm::EdDSA {
            return Err(wrong_kind(alg, "an Ed25519 key"));
        }
        let pair =
            pair.map_err(|why| ConfigError::new(format!("this Ed25519 private key is refused: {why}")))?;
        Ok(Self { alg, kind: Signing::Ed(pair) })
    }

    /// The one algorithm of this key.
    pub fn algorithm(&self) -> Algorithm {
        self.alg
    }

    /// The signature over *message*, in the form that JWS carries (RFC 7518 §3.4 for ECDSA).
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Failed> {
        match &self.kind {
            Signing::Mac(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
            Signing::Ed(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Signing::Ec(pair) => {
                pair.sign(&SystemRandom::new(), message).map(|s| s.as_ref().to_vec()).map_err(|_| Failed)
            }
            Signing::Rsa(pair, encoding) => {
                let mut out = vec![0; pair.public().modulus_len()];
                pair.sign(*encoding, &SystemRandom::new(), message, &mut out).map_err(|_| Failed)?;
                Ok(out)
            }
        }
    }

    /// The key that verifies what this one signs.
    pub fn verifying_key(&self) -> Result<VerifyingKey, ConfigError> {
        match &self.kind {
            Signing::Mac(key) => Ok(VerifyingKey { alg: self.alg, kind: Verifying::Mac(key.clone()) }),
            Signing::Ed(pair) => VerifyingKey::from_ed25519(self.alg, pair.public_key().as_ref()),
            Signing::Ec(pair) => VerifyingKey::from_point(self.alg, pair.public_key().as_ref()),
            Signing::Rsa(pair, _) => {
                let parts = rsa::PublicKeyComponents::<Vec<u8>>::from(pair.public());
                VerifyingKey::from_rsa(self.alg, &parts.n, &parts.e)
            }
        }
    }
}

/// Whether *point* is an uncompressed point on the curve of *alg* (ES256: P-256, ES384: P-384).
///
/// ring offers no such test by itself; a key agreement with a fresh key makes it.
pub fn is_on_curve(alg: Algorithm, point: &[u8]) -> bool {
    let (curve, length) = match alg {
        Algorithm::ES256 => (&agreement::ECDH_P256, 65),
        Algorithm::ES384 => (&agreement::ECDH_P384, 97),
        _ => return false,
    };
    if point.len() != length {
        return false;
    }
    let Ok(ours) = agreement::EphemeralPrivateKey::generate(curve, &SystemRandom::new()) else {
        return false;
    };
    agreement::agree_ephemeral(ours, &agreement::UnparsedPublicKey::new(curve, point), |_| ()).is_ok()
}

/// Whether *key* has an order of at most eight, found by what such a key is guilty of.
///
/// With the neutral element as `R` and zero as `S`, RFC 8032 §5.1.7 asks whether `[k]A` is neutral:
/// never for a sound key, and at least for one message in eight for one of small order.
fn is_small_order(key: &UnparsedPublicKey<Vec<u8>>) -> bool {
    let mut forged = [0; 64];
    forged[0] = 1;
    (0..128u8).any(|message| key.verify(&[message], &forged).is_ok())
}

fn mac_algorithm(alg: Algorithm) -> Option<hmac::Algorithm> {
    Some(match alg {
        Algorithm::HS256 => hmac::HMAC_SHA256,
        Algorithm::HS384 => hmac::HMAC_SHA384,
        Algorithm::HS512 => hmac::HMAC_SHA512,
        _ => return None,
    })
}

fn rsa_algorithms(alg: Algorithm) -> Option<(&'static RsaParameters, &'static dyn RsaEncoding)> {
    Some(match alg {
        Algorithm::RS256 => (&signature::RSA_PKCS1_2048_8192_SHA256, &signature::RSA_PKCS1_SHA256),
        Algorithm::RS384 => (&signature::RSA_PKCS1_2048_8192_SHA384, &signature::RSA_PKCS1_SHA384),
        Algorithm::RS512 => (&signature::RSA_PKCS1_2048_8192_SHA512, &signature::RSA_PKCS1_SHA512),
        Algorithm::PS256 => (&signature::RSA_PSS_2048_8192_SHA256, &signature::RSA_PSS_SHA256),
        Algorithm::PS384 => (&signature::RSA_PSS_2048_8192_SHA384, &signature::RSA_PSS_SHA384),
        Algorithm::PS512 => (&signature::RSA_PSS_2048_8192_SHA512, &signature::RSA_PSS_SHA512),
        _ => return None,
    })
}

fn ec_signing(alg: Algorithm) -> Result<&'static signature::EcdsaSigningAlgorithm, ConfigError> {
    match alg {
        Algorithm::ES256 => Ok(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
        Algorithm::ES384 => Ok(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
        _ => Err(wrong_kind(alg, "an elliptic-curve key")),
    }
}

/// A value in DER (X.690 §8.1), wiped after use: it may hold a private key.
fn der_value(tag: u8, content: &[u8]) -> Zeroizing<Vec<u8>> {
    let length = content.len().to_be_bytes();
    let length: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    let mut value = Zeroizing::new(Vec::with_capacity(2 + length.len() + content.len()));
    value.push(tag);
    if content.len() >= 0x80 {
        value.push(0x80 | length.len() as u8);
    }
    value.extend(if content.is_empty() { vec![0] } else { length });
    value.extend_from_slice(content);
    value
}

const PKCS8_VERSION: &[u8] = &[0x02, 0x01, 0x00];
const ID_EC_PUBLIC_KEY: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];

fn curve_name(alg: Algorithm) -> &'static str {
    if alg == Algorithm::ES384 { "P-384" } else { "P-256" }
}

fn strip_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

fn wrong_kind(alg: Algorithm, given: &str) -> ConfigError {
    let needed = match alg.family() {
        AlgorithmFamily::Hmac => "a shared secret",
        AlgorithmFamily::Rsa => "an RSA key",
        AlgorithmFamily::Ec => "an elliptic-curve key",
        AlgorithmFamily::Ed => "an Ed25519 key",
    };
    ConfigError::new(format!("{} needs {needed}, not {given}", algorithm_name(alg)))
}

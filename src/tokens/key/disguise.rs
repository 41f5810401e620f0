//! Finds a public key (or a certificate, or a private key) that is about to be used as a shared secret.
//!
//! A public key is known to everyone: used as an HMAC secret, it lets anyone sign. That mistake has come back in
//! library after library, each time in another encoding: CVE-2017-11424 and CVE-2022-29217 (PyJWT: PEM, OpenSSH),
//! CVE-2024-33663 (python-jose: other OpenSSH keys, DER), CVE-2024-37568 (Authlib), CVE-2023-48223 and
//! CVE-2026-34950 (fast-jwt: leading whitespace), CVE-2026-114615 (Authlib: a prefix before the key).
//!
//! So the secret is not compared with a prefix, but searched: as it is, without the zero bytes of UTF-16, and decoded
//! from base64 or hexadecimal, three layers deep. Random bytes do not contain these marks by chance: the shortest
//! is five bytes.
//!
//! # What it cannot find
//! A bare Ed25519 public key is 32 bytes like any other.

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use jsonwebtoken::Algorithm;

use crate::crypto::is_on_curve;
use crate::error::ConfigError;

/// Refuses what looks like a key that others may know.
pub(in crate::tokens) fn refuse_public_key(secret: &[u8]) -> Result<(), ConfigError> {
    if looks_like_a_key(secret, 0) {
        return Err(ConfigError::new(
            "this secret looks like a public key, private key or certificate, which others may know (RFC 8725 §2.1); \
             give it as a PEM or JWK with its own algorithm, or use random bytes",
        ));
    }
    Ok(())
}

/// Marks in text, in lower case.
const TEXT_MARKS: [&[u8]; 20] = [
    b"-----begin",
    b"---- begin",
    b"begin public key",
    b"begin rsa public key",
    b"begin certificate",
    b"begin pgp",
    b"ssh-rsa",
    b"ssh-dss",
    b"ssh-ed25519",
    b"ssh-ed448",
    b"ecdsa-sha2-",
    b"sk-ssh-",
    b"sk-ecdsa-",
    b"\"kty\"",
    b"'kty'",
    b"\\\"kty\\\"",
    b"\"x5c\"",
    b"<rsakeyvalue",
    b"<ds:rsakeyvalue",
    b"putty-user-key-file",
];

/// Marks in DER: the object identifiers of key types, and the start of a PKCS#1 key.
const DER_MARKS: [&[u8]; 6] = [
    &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01], // PKCS#1: rsaEncryption, RSASSA-PSS, signatures
    &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01],       // id-ecPublicKey
    &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07], // P-256
    &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00],                         // secp curves
    &[0x30, 0x05, 0x06, 0x03, 0x2b, 0x65],                         // X25519 to Ed448
    &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x01],       // id-dsa
];

fn looks_like_a_key(bytes: &[u8], layer: u8) -> bool {
    let lower: Vec<u8> = bytes.iter().filter(|byte| **byte != 0).map(u8::to_ascii_lowercase).collect();
    let contains = |haystack: &[u8], mark: &[u8]| haystack.windows(mark.len()).any(|window| window == mark);
    if TEXT_MARKS.iter().any(|mark| contains(&lower, mark))
        || DER_MARKS.iter().any(|mark| contains(bytes, mark))
        || contains_pkcs1(bytes)
        || is_bare_point(bytes)
    {
        return true;
    }
    layer < 3 && layers(bytes).iter().any(|inner| looks_like_a_key(inner, layer + 1))
}

/// A PKCS#1 public or private key: a sequence of a long integer, or of version 0 and a long integer.
fn contains_pkcs1(bytes: &[u8]) -> bool {
    const USUAL_EXPONENT: &[u8] = &[0x02, 0x03, 0x01, 0x00, 0x01];
    let usual = bytes.windows(USUAL_EXPONENT.len()).any(|window| window == USUAL_EXPONENT);
    (0..bytes.len()).any(|start| {
        let body = match &bytes[start..] {
            [0x30, 0x82, _, _, body @ ..] | [0x30, 0x81, _, body @ ..] => body,
            _ => return false,
        };
        let modulus = match body {
            [0x02, 0x01, 0x00, modulus @ ..] => modulus,
            modulus => modulus,
        };
        // The zero keeps a modulus positive that fills its bytes, as moduli do.
        matches!(modulus, [0x02, 0x82, _, _, 0x00, ..] | [0x02, 0x81, _, 0x00, ..])
            || (usual && matches!(modulus, [0x02, 0x81 | 0x82, ..]))
    })
}

/// An uncompressed point, as a JWK's coordinates or an SPKI hold it.
fn is_bare_point(bytes: &[u8]) -> bool {
    bytes.first() == Some(&4)
        && (is_on_curve(Algorithm::ES256, bytes) || is_on_curve(Algorithm::ES384, bytes))
}

/// What *bytes* decode to: from UTF-16 or from Latin-1 that was made UTF-8, as base64 of either alphabet from each of the
/// four alignments, or as hexadecimal.
fn layers(bytes: &[u8]) -> Vec<Vec<u8>> {
    // Armour is broken into lines, and UTF-16 into bytes: both are glue.
    let glue = |byte: &u8| !(byte.is_ascii_whitespace() || *byte == 0);
    let text: Vec<u8> = bytes.iter().copied().filter(glue).collect();
    let mut found = Vec::new();
    if bytes.iter().filter(|byte| **byte == 0).count() >= bytes.len() / 3 {
        found.extend((0..2).map(|skip| bytes.iter().skip(skip).step_by(2).copied().collect()));
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && !text.is_ascii()
    {
        // Characters beyond Latin-1, such as a byte order mark, stand between what was bytes.
        found.push(text.chars().filter_map(|character| u8::try_from(u32::from(character)).ok()).collect());
    }
    for (alphabet, extra) in [(&STANDARD, b"+/"), (&URL_SAFE, b"-_")] {
        let engine = GeneralPurpose::new(alphabet, LENIENT);
        let runs = text.split(|byte| !byte.is_ascii_alphanumeric() && !extra.contains(byte));
        for run in runs.filter(|run| run.len() >= 40) {
            for skip in 0..4 {
                let aligned = &run[skip..];
                let whole = &aligned[..aligned.len() / 4 * 4];
                found.extend(engine.decode(whole));
                // The tail that is not a whole group of four belongs to it as well.
                found.extend(engine.decode(aligned));
            }
        }
    }
    let digits = text.split(|byte| !byte.is_ascii_hexdigit() && *byte != b':');
    for run in digits.filter(|run| run.len() >= 40) {
        let run: Vec<u8> = run.iter().copied().filter(|byte| *byte != b':').collect();
        let value = |digit: u8| (digit as char).to_digit(16).unwrap_or(0) as u8;
        for skip in 0..2 {
            found
                .push(run[skip..].chunks_exact(2).map(|pair| value(pair[0]) << 4 | value(pair[1])).collect());
        }
    }
    found
}

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);

//! The form of a key: made from random bytes, and read without trusting a byte of it.

use super::crc::crc32;
use super::grant::Reason;
use crate::crypto::sha256;
use crate::error::ConfigError;
use crate::secret::Secret;

/// Digits of Base62, in ASCII's order.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Characters of the id.
pub const ID: usize = 12;
/// Characters of the secret: 30 * log2(62) = 178 bits.
pub const SECRET: usize = 30;
/// Characters of the checksum: 62^6 > 2^32.
pub const CHECKSUM: usize = 6;
/// All that follows the prefix and the environment.
pub const BODY: usize = ID + SECRET + CHECKSUM;

/// Longest prefix, in characters.
const LONGEST_PREFIX: usize = 16;

/// What the keys of one app look like.
pub struct Format {
    /// `rk_live_`
    head: String,
}

/// A key of the right form, not yet believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    id: [u8; ID],
    digest: [u8; 32],
}

impl Candidate {
    /// The key's public name.
    pub fn id(&self) -> &str {
        // Only letters and digits come here.
        std::str::from_utf8(&self.id).unwrap_or_default()
    }

    /// The SHA-256 of the whole key.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }
}

impl Format {
    /// Keys that begin with `prefix_environment_`.
    pub fn new(prefix: &str, environment: &str) -> Result<Self, ConfigError> {
        let word = |text: &str| {
            text.starts_with(|first: char| first.is_ascii_lowercase())
                && text.chars().all(|each| each.is_ascii_lowercase() || each.is_ascii_digit())
                && text.len() <= LONGEST_PREFIX
        };
        if !word(prefix) {
            return Err(ConfigError::new(
                "a key's prefix is 1 to 16 lower-case letters and digits, a letter first, such as \"rk\"",
            ));
        }
        if !matches!(environment, "live" | "test") {
            return Err(ConfigError::new("a key's environment is \"live\" or \"test\""));
        }
        Ok(Self { head: format!("{prefix}_{environment}_") })
    }

    /// Characters of a key.
    pub fn length(&self) -> usize {
        self.head.len() + BODY
    }

    /// A new key, from random bytes: 64 are enough but once in 10^16. `None` if these were not.
    pub fn generate(&self, random: &[u8]) -> Option<Secret> {
        let mut key = Vec::with_capacity(self.length());
        key.extend_from_slice(self.head.as_bytes());
        // 248 is the largest multiple of 62 in a byte: what is above would make some characters likelier.
        key.extend(
            random.iter().filter(|b| **b < 248).take(ID + SECRET).map(|b| ALPHABET[usize::from(b % 62)]),
        );
        if key.len() != self.head.len() + ID + SECRET {
            return None;
        }
        let checksum = checksum(&key);
        key.extend_from_slice(&checksum);
        Some(Secret::new(key))
    }

    /// Reads a key: its form and its checksum. Nothing here depends on what keys exist.
    pub fn read(&self, key: &[u8]) -> Result<Candidate, Reason> {
        if key.len() != self.length() || !key.starts_with(self.head.as_bytes()) {
            return Err(Reason::Form);
        }
        let body = &key[self.head.len()..];
        if !body.iter().all(u8::is_ascii_alphanumeric) {
            return Err(Reason::Form);
        }
        let (covered, given) = key.split_at(key.len() - CHECKSUM);
        if checksum(covered) != given {
            return Err(Reason::Checksum);
        }
        let mut id = [0; ID];
        id.copy_from_slice(&body[..ID]);
        Ok(Candidate { id, digest: sha256(key) })
    }
}

/// Base62 of the CRC-32, padded with zeros on the left.
fn checksum(data: &[u8]) -> [u8; CHECKSUM] {
    let mut rest = crc32(data) as usize;
    let mut out = [ALPHABET[0]; CHECKSUM];
    for place in out.iter_mut().rev() {
        *place = ALPHABET[rest % 62];
        rest /= 62;
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn keys() -> Format {
        Format::new("rk", "live").unwrap()
    }

    fn key(seed: u8) -> Vec<u8> {
        let random: Vec<u8> = (0..64u8).map(|i| i.wrapping_mul(37).wrapping_add(seed)).collect();
        keys().generate(&random).unwrap().expose().to_vec()
    }

    #[test]
    fn a_key_of_known_bytes_is_always_the_same() {
        let zeros = keys().generate(&[0; 64]).unwrap();
        // zlib.crc32(b"rk_live_" + b"0" * 42), in Base62.
        let expected = format!("rk_live_{}{}", "0".repeat(42), "0ceIC4");
        assert_eq!(std::str::from_utf8(zeros.expose()).unwrap(), expected);
        let bytes: Vec<u8> = (0..64).collect();
        let key = keys().generate(&bytes).unwrap();
        assert!(key.expose().starts_with(b"rk_live_0123456789ABCDEFGHIJ"));
        assert_eq!(keys().read(key.expose()).unwrap().id(), "0123456789AB");
    }

    #[test]
    fn bytes_that_would_favour_a_character_are_skipped() {
        let mut random = vec![255; 22];
        random.extend([61; 42]);
        assert!(keys().generate(&random).unwrap().expose().starts_with(b"rk_live_zzzz"));
        random.pop();
        assert!(keys().generate(&random).is_none());
        assert!(keys().generate(&[]).is_none());
    }

    #[test]
    fn every_change_of_one_character_is_caught() {
        for seed in [0, 91, 200] {
            let good = key(seed);
            assert!(keys().read(&good).is_ok());
            for place in 0..good.len() {
                for byte in 0..=255u8 {
                    let mut bad = good.clone();
                    bad[place] = byte;
                    assert_eq!(keys().read(&bad).is_ok(), byte == good[place], "{place} {byte}");
                }
            }
        }
    }

    #[test]
    fn every_swap_of_neighbours_is_caught() {
        let good = key(7);
        for place in 1..good.len() {
            let mut bad = good.clone();
            bad.swap(place - 1, place);
            assert_eq!(keys().read(&bad).is_ok(), bad == good);
        }
    }

    #[test]
    fn only_keys_of_this_app_and_environment_have_the_right_form() {
        let good = key(3);
        assert_eq!(Format::new("rk", "test").unwrap().read(&good), Err(Reason::Form));
        assert_eq!(Format::new("ab", "live").unwrap().read(&good), Err(Reason::Form));
        assert_eq!(keys().read(&good[..55]), Err(Reason::Form));
        assert_eq!(keys().read(&[&good[..], b"0"].concat()), Err(Reason::Form));
        assert_eq!(keys().read(b""), Err(Reason::Form));
        let mut last = good;
        let end = last.len() - 1;
        last[end] = if last[end] == b'0' { b'1' } else { b'0' };
        assert_eq!(keys().read(&last), Err(Reason::Checksum));
    }

    #[test]
    fn a_prefix_that_could_be_read_in_two_ways_is_refused() {
        for prefix in ["", "Rk", "r_k", "1rk", "r-k", "r\u{e9}", "abcdefghijklmnopq"] {
            assert!(Format::new(prefix, "live").is_err(), "{prefix}");
        }
        assert!(Format::new("rk", "prod").is_err());
        assert!(Format::new("abcdefghijklmno1", "test").is_ok());
    }
}

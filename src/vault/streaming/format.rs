//! Decides which streams there are: cipher, hashes and sizes, as Tink allows them.
//!
//! Tink's rules, all of which hold at once:
//! 1. the derived key has 16 or 32 bytes, and the key itself at least as many;
//! 2. HKDF is over SHA-1, SHA-256 or SHA-512, and so is HMAC, whose tag has 10 bytes up to the hash's length;
//! 3. a segment has room for the header, a tag and a byte of plaintext, and at most 2^31 - 1 bytes.
//!
//! SHA-1 is there because Tink has it: in HKDF and HMAC its collisions are no weakness, but nothing new needs it.

use ring::{hkdf, hmac};

use super::layout::Layout;
use crate::error::ConfigError;

/// A hash under HKDF or HMAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// SHA-1, 20 bytes.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Hash {
    pub(super) fn hkdf(self) -> hkdf::Algorithm {
        match self {
            Self::Sha1 => hkdf::HKDF_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hkdf::HKDF_SHA256,
            Self::Sha512 => hkdf::HKDF_SHA512,
        }
    }

    pub(super) fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }

    fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// What seals a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cipher {
    /// AES in counter mode, then HMAC over nonce and ciphertext.
    CtrHmac {
        /// Of the HMAC.
        hash: Hash,
        /// Bytes of its tag that are kept.
        tag: usize,
    },
    /// AES-GCM, with a tag of 16 bytes.
    Gcm,
}

/// One kind of stream. Only [`Format::new`] makes one, so each is one that Tink has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    cipher: Cipher,
    hkdf: Hash,
    derived: usize,
    segment: usize,
}

/// Length of a nonce's random part, which the header carries.
pub(super) const PREFIX: usize = 7;
const GCM_TAG: usize = 16;
const LEAST_TAG: usize = 10;
const LONGEST_SEGMENT: usize = 0x7FFF_FFFF;

impl Format {
    /// Streams of this cipher, whose keys of *derived* bytes come from HKDF over *hkdf*, in segments of *segment* bytes.
    ///
    /// # Errors
    /// If Tink has no such stream.
    pub fn new(cipher: Cipher, hkdf: Hash, derived: usize, segment: usize) -> Result<Self, ConfigError> {
        let format = Self { cipher, hkdf, derived, segment };
        if derived != 16 && derived != 32 {
            return Err(ConfigError::new(format!(
                "a stream's derived key has 16 or 32 bytes, not {derived}"
            )));
        }
        if let Cipher::CtrHmac { hash, tag } = cipher
            && !(LEAST_TAG..=hash.length()).contains(&tag)
        {
            return Err(ConfigError::new(format!(
                "a stream's HMAC tag has {LEAST_TAG} to {} bytes, not {tag}",
                hash.length()
            )));
        }
        let least = format.header() + format.tag() + 1;
        if !(least..=LONGEST_SEGMENT).contains(&segment) {
            return Err(ConfigError::new(format!(
                "a stream's segments have {least} to {LONGEST_SEGMENT} bytes, not {segment}"
            )));
        }
        Ok(format)
    }

    /// What seals its segments.
    pub fn cipher(&self) -> Cipher {
        self.cipher
    }

    /// Bytes of the key that a stream derives, which are also those of its salt.
    pub fn derived(&self) -> usize {
        self.derived
    }

    /// The hash under HKDF.
    pub fn hkdf(&self) -> Hash {
        self.hkdf
    }

    /// Bytes of a segment, its tag and the first one's header among them.
    pub fn segment(&self) -> usize {
        self.segment
    }

    pub(super) fn header(&self) -> usize {
        1 + self.derived + PREFIX
    }

    pub(super) fn layout(&self) -> Layout {
        Layout { segment: self.segment, header: self.header(), tag: self.tag() }
    }

    fn tag(&self) -> usize {
        match self.cipher {
            Cipher::CtrHmac { tag, .. } => tag,
            Cipher::Gcm => GCM_TAG,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cipher, Format, Hash};

    fn is_one(cipher: Cipher, derived: usize, segment: usize) -> bool {
        Format::new(cipher, Hash::Sha256, derived, segment).is_ok()
    }

    #[test]
    fn a_segment_has_room_for_a_byte() {
        for (derived, least) in [(16, 24 + 16 + 1), (32, 40 + 16 + 1)] {
            assert!(!is_one(Cipher::Gcm, derived, least - 1));
            assert!(is_one(Cipher::Gcm, derived, least));
        }
        assert!(is_one(Cipher::Gcm, 16, 0x7FFF_FFFF));
        assert!(!is_one(Cipher::Gcm, 16, 0x8000_0000));
        assert!(!is_one(Cipher::Gcm, 16, 0));
        let cipher = Cipher::CtrHmac { hash: Hash::Sha256, tag: 32 };
        assert!(!is_one(cipher, 32, 40 + 32));
        assert!(is_one(cipher, 32, 40 + 32 + 1));
    }

    #[test]
    fn keys_of_other_lengths_are_no_streams() {
        for derived in [0, 8, 15, 17, 24, 31, 33, 64] {
            assert!(!is_one(Cipher::Gcm, derived, 4096), "{derived}");
        }
    }

    #[test]
    fn a_tag_is_not_so_short_that_it_is_guessed_nor_longer_than_its_hash() {
        for (hash, longest) in [(Hash::Sha1, 20), (Hash::Sha256, 32), (Hash::Sha512, 64)] {
            for (tag, fits) in [(0, false), (9, false), (10, true), (longest, true), (longest + 1, false)] {
                assert_eq!(is_one(Cipher::CtrHmac { hash, tag }, 16, 4096), fits, "{hash:?} {tag}");
            }
        }
    }
}

//! The number used once that lets a page's own scripts and styles run (CSP3 §7.1).

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ring::rand::SecureRandom;

/// A nonce that is safe to stand in a header and in an HTML attribute.
///
/// Made fresh for each response: two responses with the same nonce are as good as none, because who
/// reads one page can then write scripts into another.
#[derive(Clone, PartialEq, Eq)]
pub struct Nonce<'a>(Cow<'a, str>);

/// Why a nonce cannot be used. Says nothing of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NonceError {
    /// Not base64 as CSP's `base64-value` has it: it could end the source and begin another.
    Malformed,
    /// The system's random generator failed: no response is better than one with a known nonce.
    NoRandomness,
    /// Under 128 bits, or longer than any nonce has a reason to be.
    Size,
}

impl Nonce<'static> {
    /// 128 bits from *random*, as 22 characters of base64 without padding.
    ///
    /// # Errors
    /// [`NonceError::NoRandomness`] if *random* fails.
    pub fn fresh(random: &dyn SecureRandom) -> Result<Self, NonceError> {
        // Drawn anew each time. A pool of random bytes would be faster by 0.3 µs and would be copied
        // into every worker by fork: all of them would then hand out the same nonces.
        let mut bytes = [0_u8; 16];
        random.fill(&mut bytes).map_err(|_| NonceError::NoRandomness)?;
        Ok(Self(Cow::Owned(STANDARD_NO_PAD.encode(bytes))))
    }
}

impl<'a> Nonce<'a> {
    /// A nonce that was made elsewhere: at least 128 bits of base64 or base64url, padded or not.
    ///
    /// # Errors
    /// [`NonceError::Malformed`] and [`NonceError::Size`].
    pub fn parse(text: &'a str) -> Result<Self, NonceError> {
        let digits = text.trim_end_matches('=');
        let of_alphabet = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_');
        if text.len() - digits.len() > 2 || !digits.bytes().all(of_alphabet) {
            return Err(NonceError::Malformed);
        }
        if !(22..=128).contains(&digits.len()) {
            return Err(NonceError::Size);
        }
        Ok(Self(Cow::Borrowed(text)))
    }

    /// The nonce as it stands in `'nonce-…'` and in the attribute.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// A nonce in a log can be replayed while the page is open.
impl fmt::Debug for Nonce<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce(..)")
    }
}

impl fmt::Display for NonceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "a nonce is base64: letters, digits, + / - _ and at most two = at its end",
            Self::NoRandomness => "the system's random generator failed, so no nonce could be made",
            Self::Size => {
                "a nonce has at least 128 bits: 22 to 128 characters of base64; new_nonce() makes one"
            }
        })
    }
}

impl std::error::Error for NonceError {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_nonce_is_new_and_has_128_bits() {
        let random = ring::rand::SystemRandom::new();
        let nonces: Vec<_> = (0..1000).map(|_| Nonce::fresh(&random).unwrap().as_str().to_owned()).collect();
        assert_eq!(nonces.iter().collect::<HashSet<_>>().len(), 1000);
        for nonce in &nonces {
            assert_eq!(STANDARD_NO_PAD.decode(nonce).unwrap().len(), 16);
            assert!(Nonce::parse(nonce).is_ok());
        }
    }

    // The nonce stands between quotes in a header: what ends the quote would begin a source.
    #[test]
    fn a_nonce_cannot_end_its_source() {
        let long = "A".repeat(22);
        for end in ["'", "' *", ";", ",", " ", "\r\n", "\0", "\"", "<", "===", "=A", "é"] {
            assert_eq!(Nonce::parse(&format!("{long}{end}")), Err(NonceError::Malformed), "{end:?}");
        }
        assert_eq!(Nonce::parse("AAAA"), Err(NonceError::Size));
        assert_eq!(Nonce::parse(""), Err(NonceError::Size));
        assert_eq!(Nonce::parse("=="), Err(NonceError::Size));
        assert_eq!(Nonce::parse(&"A".repeat(129)), Err(NonceError::Size));
        assert!(Nonce::parse(&format!("{long}==")).is_ok());
        assert!(Nonce::parse("abcdefghijklmnopqrst-_").is_ok());
    }

    #[test]
    fn a_nonce_is_not_printed() {
        let nonce = "SECRETSECRETSECRETSECRET";
        assert!(!format!("{:?}", Nonce::parse(nonce).unwrap()).contains("SECRET"));
    }
}

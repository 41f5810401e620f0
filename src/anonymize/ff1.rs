//! Encrypts a text into another of the same length and alphabet: FF1 of NIST SP 800-38G, with AES.
//!
//! 1. The alphabet is an ordered list of 2 to 65536 different characters; the radix is their number.
//! 2. Characters that are named as separators stay where they are (`4111-1111-…`); the others are encrypted together.
//! 3. Any other character is refused, and so is a text whose domain, radix^length, is below 1,000,000 (SP 800-38G Rev. 1): in
//!    a small domain all values can be learned from few. So is one of more than 256 characters that are encrypted.
//!
//! The arithmetic is the crate `fpe`'s. FF3 is not here: it was broken, and NIST drops it.
//!
//! # What it does not do
//! It does not authenticate: a changed ciphertext decrypts to another text, and nothing tells. It hides neither length nor
//! separators, nor that two values are equal. It keeps no check digit: an encrypted card number is, nine times in ten, not one by
//! Luhn's rule. An integer is refused, because its leading zeros would be lost: give its text.
//!
//! # What can break it
//! The domain: whoever can have values encrypted, or knows many pairs, learns as much of the rest as the domain is small. Of six
//! digits there are only a million.

use std::collections::HashMap;

use aes::{Aes128, Aes192, Aes256};
use fpe::ff1::{FF1, FlexibleNumeralString};

use super::key::{MasterKey, Use, check_scope};
use super::value::{Cell, Made, Refused};
use crate::error::ConfigError;

/// Smallest number of texts among which one is hidden (SP 800-38G Rev. 1, section 5.1).
pub const MIN_DOMAIN: u64 = 1_000_000;
/// Most characters that are encrypted together.
pub const MAX_LENGTH: usize = 256;
/// Longest tweak, in bytes.
pub const MAX_TWEAK: usize = 256;

/// An ordered list of different characters.
#[derive(Clone)]
pub struct Alphabet {
    letters: Vec<char>,
    numerals: HashMap<char, u16>,
}

const NAMED: [(&str, &str); 6] = [
    ("digits", "0123456789"),
    ("hex", "0123456789abcdef"),
    ("HEX", "0123456789ABCDEF"),
    ("lower", "abcdefghijklmnopqrstuvwxyz"),
    ("alphanumeric", "0123456789abcdefghijklmnopqrstuvwxyz"),
    ("base62", "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
];

impl Alphabet {
    /// The alphabet of that name (`digits`, `hex`, `HEX`, `lower`, `alphanumeric`, `base62`), or of these characters.
    ///
    /// # Errors
    /// If a character is there twice, or there are fewer than 2 or more than 65536.
    pub fn new(name_or_letters: &str) -> Result<Self, ConfigError> {
        let named = NAMED.iter().find(|(name, _)| *name == name_or_letters);
        let letters: Vec<char> = named.map_or(name_or_letters, |(_, letters)| letters).chars().collect();
        if !(2..=1 << 16).contains(&letters.len()) {
            return Err(ConfigError::new("an alphabet has 2 to 65536 characters"));
        }
        let mut numerals = HashMap::with_capacity(letters.len());
        for (at, letter) in letters.iter().enumerate() {
            let at =
                u16::try_from(at).map_err(|_| ConfigError::new("an alphabet has 2 to 65536 characters"))?;
            if numerals.insert(*letter, at).is_some() {
                return Err(ConfigError::new(format!("alphabet: {letter:?} is in it twice")));
            }
        }
        Ok(Self { letters, numerals })
    }

    /// The number of its characters.
    pub fn radix(&self) -> usize {
        self.letters.len()
    }
}

enum Cipher {
    Aes128(FF1<Aes128>),
    Aes192(FF1<Aes192>),
    Aes256(FF1<Aes256>),
}

/// Encrypts and decrypts texts in one alphabet.
pub struct Ff1 {
    cipher: Cipher,
    alphabet: Alphabet,
    separators: Vec<char>,
    tweak: Vec<u8>,
    shortest: usize,
}

impl Ff1 {
    /// With an AES key of its own, of 16, 24 or 32 bytes. *separators* are characters that stay.
    ///
    /// # Errors
    /// For another length of the key, a separator that is in the alphabet, or a tweak of more than 256 bytes.
    pub fn new(key: &[u8], alphabet: Alphabet, separators: &str, tweak: &[u8]) -> Result<Self, ConfigError> {
        if tweak.len() > MAX_TWEAK {
            return Err(ConfigError::new(format!("a tweak has at most {MAX_TWEAK} bytes")));
        }
        let separators: Vec<char> = separators.chars().collect();
        if let Some(both) = separators.iter().find(|letter| alphabet.numerals.contains_key(letter)) {
            return Err(ConfigError::new(format!("separators: {both:?} is in the alphabet")));
        }
        let radix = u32::try_from(alphabet.radix()).map_err(|_| no_radix())?;
        // The constructors panic at another length.
        let cipher = match key.len() {
            16 => Cipher::Aes128(FF1::new(key, radix).map_err(|_| no_radix())?),
            24 => Cipher::Aes192(FF1::new(key, radix).map_err(|_| no_radix())?),
            32 => Cipher::Aes256(FF1::new(key, radix).map_err(|_| no_radix())?),
            _ => return Err(ConfigError::new("a key of FF1 has 16, 24 or 32 bytes")),
        };
        let shortest = shortest(u64::from(radix));
        Ok(Self { cipher, alphabet, separators, tweak: tweak.to_vec(), shortest })
    }

    /// With an AES-256 key that is derived for the scope.
    ///
    /// # Errors
    /// As [`Ff1::new`], and for a scope without a name.
    pub fn scoped(
        master: &MasterKey,
        scope: &str,
        alphabet: Alphabet,
        separators: &str,
        tweak: &[u8],
    ) -> Result<Self, ConfigError> {
        check_scope(scope)?;
        Self::new(master.derive::<32>(Use::Ff1, scope)?.expose(), alphabet, separators, tweak)
    }

    /// Fewest characters of a text that is encrypted, without separators.
    pub fn shortest(&self) -> usize {
        self.shortest
    }

    /// The ciphertext of a text.
    ///
    /// # Errors
    /// [`Refused::Kind`] for no text, and as [`Ff1::encrypt`].
    pub fn apply(&self, cell: Cell<'_>) -> Result<Made, Refused> {
        match cell {
            Cell::Text(text) => Ok(Made::Text(self.encrypt(text)?)),
            _ => Err(Refused::Kind),
        }
    }

    /// The text that *text* becomes.
    ///
    /// # Errors
    /// [`Refused::Alphabet`], or [`Refused::Length`] for a domain below a million or more than 256 characters.
    pub fn encrypt(&self, text: &str) -> Result<String, Refused> {
        self.turned(text, |tweak, numerals| match &self.cipher {
            Cipher::Aes128(ff1) => ff1.encrypt(tweak, &numerals),
            Cipher::Aes192(ff1) => ff1.encrypt(tweak, &numerals),
            Cipher::Aes256(ff1) => ff1.encrypt(tweak, &numerals),
        })
    }

    /// The text that became *text*.
    ///
    /// # Errors
    /// As [`Ff1::encrypt`].
    pub fn decrypt(&self, text: &str) -> Result<String, Refused> {
        self.turned(text, |tweak, numerals| match &self.cipher {
            Cipher::Aes128(ff1) => ff1.decrypt(tweak, &numerals),
            Cipher::Aes192(ff1) => ff1.decrypt(tweak, &numerals),
            Cipher::Aes256(ff1) => ff1.decrypt(tweak, &numerals),
        })
    }

    fn turned(
        &self,
        text: &str,
        turn: impl FnOnce(
            &[u8],
            FlexibleNumeralString,
        ) -> Result<FlexibleNumeralString, fpe::ff1::NumeralStringError>,
    ) -> Result<String, Refused> {
        // A character takes at most four bytes; separators may be as many again, so that nobody sends a mebibyte of dashes.
        if text.len() > 8 * MAX_LENGTH {
            return Err(Refused::Length);
        }
        let mut numerals = Vec::with_capacity(text.len());
        for letter in text.chars() {
            match self.alphabet.numerals.get(&letter) {
                Some(numeral) => numerals.push(*numeral),
                None if self.separators.contains(&letter) => {}
                None => return Err(Refused::Alphabet),
            }
        }
        if !(self.shortest..=MAX_LENGTH).contains(&numerals.len()) {
            return Err(Refused::Length);
        }
        let made = turn(&self.tweak, FlexibleNumeralString::from(numerals)).map_err(|_| Refused::Length)?;
        let mut made = Vec::from(made).into_iter();
        let mut out = String::with_capacity(text.len());
        for letter in text.chars() {
            if self.separators.contains(&letter) {
                out.push(letter);
            } else {
                let numeral = made.next().ok_or(Refused::Length)?;
                out.push(*self.alphabet.letters.get(usize::from(numeral)).ok_or(Refused::Alphabet)?);
            }
        }
        Ok(out)
    }
}

fn no_radix() -> ConfigError {
    ConfigError::new("an alphabet has 2 to 65536 characters")
}

/// The fewest characters with a domain that is large enough; never fewer than two.
fn shortest(radix: u64) -> usize {
    let (mut length, mut domain) = (1, radix);
    while domain < MIN_DOMAIN {
        domain = domain.saturating_mul(radix);
        length += 1;
    }
    length.max(2)
}

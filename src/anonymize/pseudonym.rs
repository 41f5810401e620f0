//! Gives a value a stable pseudonym: the same value under the same key and scope always has the same.
//!
//! The pseudonym is taken from HMAC-SHA-256 (RFC 2104) of the value's text in UTF-8, under a key that was derived for the
//! scope (`key.rs`). Without the key, nobody can compute the pseudonym of a guess: a hash without a key falls to
//! whoever can list the values, as all telephone numbers can be.
//!
//! Forms: `hex` or `base32` (RFC 4648 section 6, lower case, without padding) of the first N bits; an integer within bounds; a
//! mail address at `example.invalid` (RFC 2606), of a value that is one.
//!
//! # What it does not do
//! It is not reversed: `token.rs` and `ff1.rs` are. It is no anonymity: equal values stay equal, so they can be counted and
//! joined within the scope, and whoever has the key can try every value that there may be (GDPR Art. 4(5)).
//!
//! # What can break it
//! Few bits. Two of n values share a pseudonym of N bits with a chance of about n²/2^(N+1) (the birthday bound,
//! [`collision_chance`]): 2^-69 for a thousand million values and 128 bits, but two thirds for 100,000 values and 32 bits. An
//! integer within narrow bounds is as short.

use ring::hmac;

use super::key::{MasterKey, Use, check_scope};
use super::spelling::Spelling;
use super::value::{Cell, Made, Refused};
use crate::error::ConfigError;

/// What a pseudonym looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// So many bits in base 32: 40 to 255, a multiple of 5.
    Base32(u16),
    /// `user-<base32>@example.invalid`, with so many bits.
    Email(u16),
    /// So many bits in base 16: 32 to 256, a multiple of 4.
    Hex(u16),
    /// An integer from the first to the second, both included.
    Integer(i64, i64),
}

/// Bits of a pseudonym in base 16, where none are said.
pub const HEX_BITS: u16 = 128;
/// Bits of a pseudonym in base 32, where none are said.
pub const BASE32_BITS: u16 = 130;
/// Bits of a mail address, where none are said.
pub const EMAIL_BITS: u16 = 80;

impl Form {
    fn check(self) -> Result<(), ConfigError> {
        match self {
            Self::Hex(bits) if (32..=256).contains(&bits) && bits % 4 == 0 => Ok(()),
            Self::Base32(bits) | Self::Email(bits) if (40..=255).contains(&bits) && bits % 5 == 0 => Ok(()),
            Self::Integer(low, high) if low < high => Ok(()),
            Self::Hex(_) => Err(ConfigError::new("bits: 32 to 256 for hex, a multiple of 4")),
            Self::Base32(_) | Self::Email(_) => {
                Err(ConfigError::new("bits: 40 to 255 for base32 and email, a multiple of 5"))
            }
            Self::Integer(..) => Err(ConfigError::new("low is below high")),
        }
    }

    /// How many pseudonyms there are, as the logarithm to base 2.
    pub fn bits(self) -> f64 {
        match self {
            Self::Hex(bits) | Self::Base32(bits) | Self::Email(bits) => f64::from(bits),
            #[allow(clippy::cast_precision_loss, reason = "a logarithm of it is taken")]
            Self::Integer(low, high) => (width(low, high) as f64).log2(),
        }
    }
}

/// The chance that some two of *values* different values get one pseudonym of *bits* bits, 0 to 1.
///
/// The usual estimate for birthdays, 1 - exp(-n(n-1)/2^(bits+1)).
pub fn collision_chance(bits: f64, values: f64) -> f64 {
    let pairs = values * (values - 1.0) / 2.0;
    if pairs <= 0.0 { 0.0 } else { -(-pairs * (-bits).exp2()).exp_m1() }
}

/// Gives pseudonyms of one scope, in one form.
pub struct Pseudonymizer {
    key: hmac::Key,
    form: Form,
    spelling: Spelling,
}

impl Pseudonymizer {
    /// # Errors
    /// For a scope without a name, or a form that cannot be.
    pub fn new(master: &MasterKey, scope: &str, form: Form, spelling: Spelling) -> Result<Self, ConfigError> {
        check_scope(scope)?;
        form.check()?;
        let key = master.derive::<32>(Use::Pseudonym, scope)?;
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, key.expose()), form, spelling })
    }

    /// What the pseudonyms look like.
    pub fn form(&self) -> Form {
        self.form
    }

    /// The pseudonym of a text, an integer or a date.
    ///
    /// # Errors
    /// [`Refused::Kind`] for anything else, [`Refused::Mail`] for no mail address where one is expected.
    pub fn apply(&self, cell: Cell<'_>) -> Result<Made, Refused> {
        let text = cell.text()?;
        let text = self.spelling.of(&text);
        if matches!(self.form, Form::Email(_)) && !is_mail(&text) {
            return Err(Refused::Mail);
        }
        let code = hmac::sign(&self.key, text.as_bytes());
        let code = code.as_ref();
        Ok(match self.form {
            Form::Hex(bits) => Made::Text(digits(code, bits, 4)),
            Form::Base32(bits) => Made::Text(digits(code, bits, 5)),
            Form::Email(bits) => Made::Text(format!("user-{}@example.invalid", digits(code, bits, 5))),
            Form::Integer(low, high) => Made::Int(within(code, low, high)),
        })
    }
}

/// The first *bits* of a code, *each* to a digit, by the alphabet of that base.
fn digits(code: &[u8], bits: u16, each: u32) -> String {
    let alphabet: &[u8] = if each == 4 { b"0123456789abcdef" } else { b"abcdefghijklmnopqrstuvwxyz234567" };
    let count = usize::from(bits) / if each == 4 { 4 } else { 5 };
    let mut out = String::with_capacity(count);
    let (mut held, mut have) = (0u32, 0u32);
    let mut bytes = code.iter();
    while out.len() < count {
        if have < each {
            held = (held & 0xFF) << 8 | bytes.next().copied().map_or(0, u32::from);
            have += 8;
        }
        have -= each;
        let digit = (held >> have) & ((1 << each) - 1);
        out.push(char::from(alphabet.get(digit as usize).copied().unwrap_or(b'0')));
    }
    out
}

/// An integer of the range, by the first 128 bits. It is even but for 1 in 2^64.
fn within(code: &[u8], low: i64, high: i64) -> i64 {
    let number = code.iter().take(16).fold(0u128, |sum, byte| sum << 8 | u128::from(*byte));
    let offset = number % width(low, high);
    // Both are below 2^64, so their sum is exact; it lies from `low` to `high`.
    i64::try_from(i128::from(low) + i128::try_from(offset).unwrap_or(0)).unwrap_or(high)
}

fn width(low: i64, high: i64) -> u128 {
    (i128::from(high) - i128::from(low)).unsigned_abs() + 1
}

/// Whether a text is one mail address: something, an `@`, a domain; no blanks. The last `@` parts them (RFC 5321).
fn is_mail(text: &str) -> bool {
    text.rsplit_once('@').is_some_and(|(local, domain)| {
        !local.is_empty()
            && !domain.is_empty()
            && text.len() <= 320
            && !text.contains(|letter: char| letter.is_whitespace() || letter.is_control())
    })
}

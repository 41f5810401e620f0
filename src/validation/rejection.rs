//! Why a body is not JSON that may be looked at. The peer's fault; it never holds what the peer sent.

use std::fmt;

/// A body that was refused before any schema saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonRejection {
    /// What was wrong.
    pub reason: Reason,
    /// Byte at which it was noticed, where there is one.
    pub offset: Option<usize>,
}

/// What was wrong with a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// An object names a member twice, after its escapes are read. Code `json.duplicate_key`.
    DuplicateKey,
    /// A byte order mark, UTF-16, UTF-32, or not UTF-8. Code `json.encoding`.
    Encoding {
        /// Whether the bytes are text in no encoding at all.
        invalid: bool,
    },
    /// Not one JSON text. Code `json.malformed`.
    Malformed,
    /// `NaN`, `Infinity`, or a number that overflows a double. Code `json.non_finite`.
    NonFinite,
    /// Longer than `max_digits`. Code `json.number_too_long`.
    NumberTooLong,
    /// Half of a surrogate pair, escaped or encoded. Code `json.surrogate`.
    Surrogate,
    /// Nested deeper than `max_depth`. Code `json.too_deep`.
    TooDeep,
    /// Longer than `max_bytes`. Code `json.too_large`.
    TooLarge,
    /// More members than `max_keys`. Code `json.too_many_keys`.
    TooManyKeys,
}

impl Reason {
    /// The stable code that is sent to the peer.
    pub fn code(self) -> &'static str {
        match self {
            Self::DuplicateKey => "json.duplicate_key",
            Self::Encoding { .. } => "json.encoding",
            Self::Malformed => "json.malformed",
            Self::NonFinite => "json.non_finite",
            Self::NumberTooLong => "json.number_too_long",
            Self::Surrogate => "json.surrogate",
            Self::TooDeep => "json.too_deep",
            Self::TooLarge => "json.too_large",
            Self::TooManyKeys => "json.too_many_keys",
        }
    }

    /// Whether Python's own `json.loads` would have refused the body as well.
    ///
    /// Where it is unsure it is false: an app that treats such bodies as "no JSON here"
    /// (`get_json(silent=True)`) must not be able to overlook one that the standard library reads.
    pub fn is_syntax(self) -> bool {
        matches!(self, Self::Malformed | Self::Encoding { invalid: true })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DuplicateKey => "an object names a member twice",
            Self::Encoding { invalid: true } => "the body is not UTF-8",
            Self::Encoding { invalid: false } => "the body must be UTF-8 without a byte order mark",
            Self::Malformed => "the body is not JSON",
            Self::NonFinite => "a number is not finite",
            Self::NumberTooLong => "a number is too long",
            Self::Surrogate => "a string holds half of a surrogate pair",
            Self::TooDeep => "the body is nested too deeply",
            Self::TooLarge => "the body is too large",
            Self::TooManyKeys => "the body has too many members",
        })
    }
}

impl fmt::Display for JsonRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offset {
            Some(offset) => write!(f, "{} (byte {offset})", self.reason),
            None => self.reason.fmt(f),
        }
    }
}

impl std::error::Error for JsonRejection {}

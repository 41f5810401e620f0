//! What a value of a column is, going in and coming out.
//!
//! A [`Cell`] is one value as it was found, whoever holds it: a Python object, a field of a CSV, an element of an Arrow
//! array. A [`Made`] says what stands in its place. Nothing here decides.

use std::borrow::Cow;
use std::fmt;

use time::{Date, Month};

/// A value as it was found. Borrowed: the record stays where it is.
#[derive(Clone, Copy)]
pub enum Cell<'a> {
    /// Nothing: `None`, `null`, an empty cell of a typed column.
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer. Larger ones come as [`Cell::Text`] of their digits.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A date, or the date of a moment, with the text of the whole (ISO 8601).
    Date(Date, &'a str),
    /// A text. That of a decimal number or a UUID as well, whose text is the same wherever it is written.
    Text(&'a str),
    /// Something with parts, or of a kind that has no text of its own: bytes, a list, an object.
    Other,
}

impl<'a> Cell<'a> {
    /// The text by which a value is known: that of a text, an integer or a date.
    ///
    /// A float has several (`1`, `1.0`, `1e0`), and a truth value would have one of two pseudonyms, which say as much as
    /// it did: neither has one.
    pub(super) fn text(self) -> Result<Cow<'a, str>, Refused> {
        match self {
            Self::Text(text) | Self::Date(_, text) => Ok(Cow::Borrowed(text)),
            Self::Int(number) => Ok(Cow::Owned(number.to_string())),
            _ => Err(Refused::Kind),
        }
    }
}

/// What stands in the place of a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Made {
    /// The value itself.
    Kept,
    /// Nothing.
    Null,
    /// An integer.
    Int(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(String),
}

/// Why a value was not treated. It never says what the value was.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refused {
    /// A character that is not in the alphabet. Code `alphabet`.
    Alphabet,
    /// No rule names this column, and the plan refuses such. Code `column`.
    Column,
    /// A function of the program's own failed. Code `custom`.
    Custom,
    /// Not a date as the rule says. Code `date`.
    Date,
    /// Nested too deeply. Code `depth`.
    Depth,
    /// Not an IP address. Code `ip`.
    Ip,
    /// A kind of value to which the rule cannot be applied. Code `kind`.
    Kind,
    /// Too short to be encrypted in its own format, or too long. Code `length`.
    Length,
    /// Not a mail address. Code `mail`.
    Mail,
    /// Not a number. Code `number`.
    Number,
    /// A coordinate, an age or a number that cannot be. Code `range`.
    Range,
    /// Not a postcode as the rule says. Code `postcode`.
    Postcode,
    /// A token that was not made here, or was changed; or one that could not be made. Code `token`.
    Token,
}

impl Refused {
    /// A stable word for reports.
    pub fn code(self) -> &'static str {
        match self {
            Self::Alphabet => "alphabet",
            Self::Column => "column",
            Self::Custom => "custom",
            Self::Date => "date",
            Self::Depth => "depth",
            Self::Ip => "ip",
            Self::Kind => "kind",
            Self::Length => "length",
            Self::Mail => "mail",
            Self::Number => "number",
            Self::Range => "range",
            Self::Postcode => "postcode",
            Self::Token => "token",
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alphabet => "a character is not in the alphabet",
            Self::Column => "no rule of the plan names this column",
            Self::Custom => "the function for this column failed",
            Self::Date => "this is not a date of the format that is expected",
            Self::Depth => "this is nested too deeply",
            Self::Ip => "this is not an IP address",
            Self::Kind => "the rule cannot be applied to a value of this kind",
            Self::Length => "this is too short or too long to be encrypted in its own format",
            Self::Mail => "this is not a mail address",
            Self::Number => "this is not a number",
            Self::Range => "this is out of the range of what can be",
            Self::Postcode => "this is not a postcode of the format that is expected",
            Self::Token => "the token was not made with this key and scope, or was changed",
        })
    }
}

/// The date of these numbers of the calendar (proleptic Gregorian), years 1 to 9999.
pub fn date(year: i32, month: u8, day: u8) -> Option<Date> {
    if !(1..=9999).contains(&year) {
        return None;
    }
    Date::from_calendar_date(year, Month::try_from(month).ok()?, day).ok()
}

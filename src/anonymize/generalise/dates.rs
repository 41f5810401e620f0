//! Dates, and the ages that follow from them.
//!
//! A date is written as its format says, `YYYY-MM-DD` (ISO 8601) if none is given: four digits, two and two, between the separators that are
//! given. A time of day may follow a date in the form of ISO 8601 (`T` or a space, `HH:MM`, seconds, a zone): it is checked, and
//! dropped. The date is the one that is written: no zone is applied.
//!
//! The calendar is the Gregorian one, years 1 to 9999; weeks are those of ISO 8601.

use time::Date;

use super::super::reading::shown;
use super::super::value::{Cell, Made, Refused, date};
use crate::error::ConfigError;

/// How coarse a date becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// `1980s`
    Decade,
    /// `1984`
    Year,
    /// `1984-Q2`
    Quarter,
    /// `1984-05`
    Month,
    /// `1984-W19` (ISO 8601; the year is that of the week)
    Week,
    /// `1984-05-09`: without the time.
    Day,
}

impl Unit {
    /// Their names, in the order of the enum.
    pub const NAMES: [&'static str; 6] = ["decade", "year", "quarter", "month", "week", "day"];

    /// The unit of this name.
    pub fn named(name: &str) -> Option<Self> {
        let at = Self::NAMES.iter().position(|known| *known == name)?;
        [Self::Decade, Self::Year, Self::Quarter, Self::Month, Self::Week, Self::Day].get(at).copied()
    }
}

/// How dates are written: `YYYY`, `MM` and `DD` once each, with other characters between them.
#[derive(Debug, Clone)]
pub struct DateFormat(Vec<Part>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Year,
    Month,
    Day,
    Letter(u8),
}

impl DateFormat {
    /// # Errors
    /// If a part is missing or there twice, or what is between them is a letter, a digit or beyond ASCII.
    pub fn new(format: &str) -> Result<Self, ConfigError> {
        let mut parts = Vec::new();
        let mut rest = format;
        while !rest.is_empty() {
            let (part, length) = match rest.as_bytes() {
                [b'Y', b'Y', b'Y', b'Y', ..] => (Part::Year, 4),
                [b'M', b'M', ..] => (Part::Month, 2),
                [b'D', b'D', ..] => (Part::Day, 2),
                [letter, ..] if letter.is_ascii_punctuation() || *letter == b' ' => {
                    (Part::Letter(*letter), 1)
                }
                _ => return Err(wrong_format(format)),
            };
            parts.push(part);
            rest = rest.get(length..).unwrap_or("");
        }
        let once = |wanted: Part| parts.iter().filter(|part| **part == wanted).count() == 1;
        if once(Part::Year) && once(Part::Month) && once(Part::Day) && parts.len() <= 16 {
            Ok(Self(parts))
        } else {
            Err(wrong_format(format))
        }
    }

    /// The date that *text* begins with, and what follows it.
    fn read<'t>(&self, text: &'t str) -> Option<(Date, &'t str)> {
        let mut rest = text;
        let (mut year, mut month, mut day) = (0, 0, 0);
        for part in &self.0 {
            let length = match part {
                Part::Year => 4,
                Part::Month | Part::Day => 2,
                Part::Letter(_) => 1,
            };
            let (piece, after) = rest.split_at_checked(length)?;
            match part {
                Part::Letter(letter) => {
                    if piece.as_bytes() != [*letter] {
                        return None;
                    }
                }
                Part::Year => year = digits(piece)?,
                Part::Month => month = digits(piece)?,
                Part::Day => day = digits(piece)?,
            }
            rest = after;
        }
        Some((date(year, u8::try_from(month).ok()?, u8::try_from(day).ok()?)?, rest))
    }

    /// The date of a cell: of a text in this format, or of a value that is a date by itself.
    fn of(&self, cell: Cell<'_>) -> Result<Date, Refused> {
        match cell {
            Cell::Date(date, _) => Ok(date),
            Cell::Text(text) => match self.read(text) {
                Some((date, rest)) if is_time(rest) => Ok(date),
                _ => Err(Refused::Date),
            },
            _ => Err(Refused::Kind),
        }
    }
}

impl Default for DateFormat {
    fn default() -> Self {
        use Part::{Day, Letter, Month, Year};
        Self(vec![Year, Letter(b'-'), Month, Letter(b'-'), Day])
    }
}

/// Makes dates coarser.
pub struct Dates {
    unit: Unit,
    format: DateFormat,
    earliest: Option<i32>,
}

impl Dates {
    /// *earliest*: dates before this year all become `<year`, so that the oldest do not stand out.
    ///
    /// # Errors
    /// If *earliest* is no year.
    pub fn new(unit: Unit, format: DateFormat, earliest: Option<i32>) -> Result<Self, ConfigError> {
        match earliest {
            Some(year) if !(1..=9999).contains(&year) => {
                Err(ConfigError::new("earliest is a year, 1 to 9999"))
            }
            _ => Ok(Self { unit, format, earliest }),
        }
    }

    /// The period of a date, as a text.
    ///
    /// # Errors
    /// [`Refused::Date`] or [`Refused::Kind`].
    pub fn apply(&self, cell: Cell<'_>) -> Result<Made, Refused> {
        let date = self.format.of(cell)?;
        if let Some(earliest) = self.earliest
            && date.year() < earliest
        {
            return Ok(Made::Text(format!("<{earliest:04}")));
        }
        let (year, month) = (date.year(), u8::from(date.month()));
        Ok(Made::Text(match self.unit {
            Unit::Decade => format!("{:04}s", year / 10 * 10),
            Unit::Year => format!("{year:04}"),
            Unit::Quarter => format!("{year:04}-Q{}", (month - 1) / 3 + 1),
            Unit::Month => format!("{year:04}-{month:02}"),
            Unit::Week => {
                let (year, week, _) = date.to_iso_week_date();
                format!("{year:04}-W{week:02}")
            }
            Unit::Day => format!("{year:04}-{month:02}-{:02}", date.day()),
        }))
    }
}

/// Makes bands of ages from dates of birth.
///
/// The age is that of the reference date: whole years, a birthday on 29 February being had on 1 March elsewhen. From *top* years
/// on there is one band, `90+`: the rule of HIPAA's Safe Harbor, 45 CFR 164.514(b)(2)(i)(C).
pub struct Ages {
    reference: Date,
    width: i32,
    top: i32,
    format: DateFormat,
}

impl Ages {
    /// # Errors
    /// If the bands are not 1 to 50 years wide, or *top* is not 1 to 120.
    pub fn new(reference: Date, width: i32, top: i32, format: DateFormat) -> Result<Self, ConfigError> {
        if !(1..=50).contains(&width) || !(1..=120).contains(&top) {
            return Err(ConfigError::new("width is 1 to 50 years, top 1 to 120"));
        }
        Ok(Self { reference, width, top, format })
    }

    /// The band of a date of birth, such as `30-39`.
    ///
    /// # Errors
    /// [`Refused::Date`], [`Refused::Kind`], or [`Refused::Range`] for a birth after the reference date or 150 years before it.
    pub fn apply(&self, cell: Cell<'_>) -> Result<Made, Refused> {
        let birth = self.format.of(cell)?;
        let before = |date: Date| (u8::from(date.month()), date.day());
        let age = self.reference.year() - birth.year() - i32::from(before(self.reference) < before(birth));
        if birth > self.reference || age > 150 {
            return Err(Refused::Range);
        }
        if age >= self.top {
            return Ok(Made::Text(format!("{}+", self.top)));
        }
        let low = age / self.width * self.width;
        // The band below the top ends there.
        let high = (low + self.width).min(self.top) - 1;
        Ok(Made::Text(if low == high { low.to_string() } else { format!("{low}-{high}") }))
    }
}

/// The date that a plan names, `YYYY-MM-DD`.
///
/// # Errors
/// If it is none.
pub fn named_date(text: &str) -> Result<Date, ConfigError> {
    match DateFormat::default().read(text) {
        Some((date, "")) => Ok(date),
        _ => Err(ConfigError::new(format!("{text:?} is not a date such as \"2026-01-31\""))),
    }
}

fn digits(text: &str) -> Option<i32> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// Whether what follows a date is nothing, or a time of day (ISO 8601, extended form).
fn is_time(rest: &str) -> bool {
    let Some(rest) = rest.strip_prefix(['T', 't', ' ']) else { return rest.is_empty() };
    let Some(rest) = clock(rest) else { return false };
    match rest.as_bytes() {
        [] | [b'Z' | b'z'] => true,
        [b'+' | b'-', ..] => {
            let zone = rest.get(1..).unwrap_or("");
            two(zone, 24).is_some_and(|rest| {
                rest.is_empty() || two(rest.strip_prefix(':').unwrap_or(rest), 60) == Some("")
            })
        }
        _ => false,
    }
}

/// What follows `HH:MM`, `HH:MM:SS` or `HH:MM:SS.fff`. A leap second is one.
fn clock(text: &str) -> Option<&str> {
    let rest = two(two(text, 24)?.strip_prefix(':')?, 60)?;
    let Some(rest) = rest.strip_prefix(':') else { return Some(rest) };
    let rest = two(rest, 61)?;
    let Some(fraction) = rest.strip_prefix(['.', ',']) else { return Some(rest) };
    let after = fraction.trim_start_matches(|letter: char| letter.is_ascii_digit());
    (1..=12).contains(&(fraction.len() - after.len())).then_some(after)
}

fn two(text: &str, below: i32) -> Option<&str> {
    let (piece, rest) = text.split_at_checked(2)?;
    (digits(piece)? < below).then_some(rest)
}

fn wrong_format(format: &str) -> ConfigError {
    ConfigError::new(format!(
        "format: {} is not one such as \"YYYY-MM-DD\" or \"DD.MM.YYYY\": each part once, and marks between them",
        shown(format)
    ))
}

//! The identifiers, as a table: all rows of all regions.
//!
//! A row has the *forms* that a number is written in, the check of its digits and letters (all rules that its
//! issuer has published), and the words that announce it. A form is a picture: `9` stands for a digit, `A` for
//! a letter, `X` for either, anything else for itself. A form that starts with `!` is *strong*: it counts
//! wherever it stands, if its letters are capitals: it has letters in fixed places, and either a check or a look that hardly
//! anything else has. Any other form counts only after one of the row's words (`context.rs`), because one of ten (or eleven)
//! numbers of that length passes its check.
//!
//! The samples are numbers that issuers or encyclopedias print as examples.

use super::{americas, asia_pacific, europe, everywhere, mediterranean, north_and_baltic, phones};

/// One kind of identifier.
pub(in crate::redaction) struct Row {
    /// What it is selected by, and what replaces it: `[REDACTED:<entity>]`. Presidio's name where it has one.
    pub(in crate::redaction) entity: &'static str,
    /// ISO 3166-1 alpha-2, or empty if it is of no country.
    pub(in crate::redaction) country: &'static str,
    /// How it is written. Empty for what `detect` finds by itself.
    pub(super) forms: &'static [&'static str],
    /// Whether the letters and digits of a form (capitals, without separators) keep the issuer's rules.
    pub(super) check: fn(&[u8]) -> bool,
    /// Words that announce it, in small letters; a blank stands for a blank, `-`, `_` or nothing.
    pub(in crate::redaction) words: &'static [&'static str],
    /// Must be found by this row alone, with the word before it if it needs one.
    pub(in crate::redaction) sample: &'static str,
    /// Looks like it, and must not be found.
    pub(in crate::redaction) harmless: &'static str,
}

/// The rows, by region. Where several fit at one place, the nearest word decides, then this order.
pub(super) const REGIONS: [&[Row]; 7] = [
    everywhere::ROWS,
    europe::ROWS,
    mediterranean::ROWS,
    north_and_baltic::ROWS,
    americas::ROWS,
    asia_pacific::ROWS,
    phones::ROWS,
];

/// All rows.
pub(in crate::redaction) fn rows() -> impl Iterator<Item = &'static Row> {
    REGIONS.iter().flat_map(|rows| rows.iter())
}

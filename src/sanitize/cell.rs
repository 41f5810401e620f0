//! Decides whether a spreadsheet would compute a cell, and if so makes it text.
//!
//! A cell gets an apostrophe before it if
//! 1. it begins with a tab, a line end or NUL, which importers drop and then look again; or
//! 2. its first character is `=`, `+`, `-` or `@`, in any width (full-width `＝` is as good to Excel in Japanese), after
//!    blanks, quotation marks and what is not seen; and it is not merely a number.
//!
//! A cell that begins with an apostrophe is text already.
//!
//! # What it does not do
//! It does not quote: write with all fields quoted (`csv.QUOTE_ALL`), or a cell with a semicolon becomes two cells in
//! a country whose lists have semicolons, and the second may begin with `=`.
//!
//! Sources: OWASP "CSV Injection"; ASVS 5.0 V1.2.10; CWE-1236.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

use crate::characters::{BRAILLE_BLANK, is_unseen};

/// *text* as a cell that no spreadsheet computes.
pub fn csv_cell(text: &str) -> Cow<'_, str> {
    if is_computed(text) { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) }
}

fn is_computed(text: &str) -> bool {
    if text.starts_with(['\t', '\r', '\n', '\0']) {
        return true;
    }
    if text.starts_with('\'') {
        return false;
    }
    let rest = text.trim_start_matches(|c: char| {
        c.is_whitespace() || c == BRAILLE_BLANK || is_unseen(c) || QUOTES.contains(c)
    });
    let Some(first) = rest.chars().next() else { return false };
    let plain = if first.is_ascii() { Some(first) } else { std::iter::once(first).nfkc().next() };
    match plain {
        Some('=' | '@') => true,
        Some('+' | '-' | '\u{2212}') => !is_number(text.trim_matches(' ')),
        _ => false,
    }
}

/// A sign, digits with points or commas between them, and an exponent or per cent. Nothing of it computes more than itself.
fn is_number(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-', '\u{2212}']).unwrap_or(text);
    let text = text.strip_suffix('%').unwrap_or(text);
    let (digits, exponent) = match text.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, Some(exponent)),
        None => (text, None),
    };
    let whole = exponent.is_none_or(|exponent| {
        let power = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !power.is_empty() && power.bytes().all(|byte| byte.is_ascii_digit())
    });
    let mut groups = digits.split(['.', ',']);
    let first = groups.next().unwrap_or_default();
    let mut rest = groups.peekable();
    let rest_needed = first.is_empty();
    let has_rest = rest.peek().is_some();
    whole
        && first.bytes().all(|byte| byte.is_ascii_digit())
        && (has_rest || !rest_needed)
        && rest.all(|group| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit()))
}

const QUOTES: &str =
    "\"'`\u{ab}\u{bb}\u{2018}\u{2019}\u{201a}\u{201b}\u{201c}\u{201d}\u{201e}\u{201f}\u{ff02}\u{ff07}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_a_formula_is_made_text() {
        for cell in [
            "=1+1",
            "=cmd|' /C calc'!A0",
            "@SUM(1)",
            "+1+1",
            "-2+3",
            "-1.5=A1",
            "+49 170 1234",
            "  =1",
            "\u{a0}=1",
            "\"=1",
            "\" '=1",
            "\u{200b}=1",
            "\u{feff}=1",
            "\u{2800}=1",
            "-inf",
            "-NaN",
            "\tx",
            "\rx",
            "\nx",
            "\0x",
            "＝1",
            "＋A1",
            "－A1",
            "＠x",
            "﹦1",
            "⁼1",
            "\u{2212}A1",
            "-",
            "+",
            "-1e",
            "-.",
            "-1,",
            "--1",
        ] {
            assert_eq!(csv_cell(cell), format!("'{cell}"), "{cell:?}");
        }
    }

    #[test]
    fn numbers_and_other_texts_stay() {
        for cell in [
            "",
            "-1.5",
            "+3",
            "-1,234.50",
            "-1e-9",
            "+.5",
            "-50%",
            " -7 ",
            "\u{2212}3",
            "a=b",
            "1-2",
            "mail@example.org",
            "'=1",
            "''",
            "\"quoted\"",
            "  ",
            "e",
            "100%",
        ] {
            assert_eq!(csv_cell(cell), cell);
        }
    }
}

//! Finds the written forms of the table: a picture of digits, letters and separators, laid over the text.
//!
//! All forms that start with a digit (or a letter, or a bracket) are tried where a run of letters and digits starts.
//! A form is at most [`MOST`] bytes long, so a try reads a bounded number of bytes.

use super::context::Context;
use super::{Row, closes};
use crate::redaction::Finding;

/// The longest form, in bytes.
pub(super) const MOST: usize = 32;

/// A form of a selected row.
struct Form {
    picture: &'static [u8],
    strong: bool,
    /// Index of the row in the selection.
    row: usize,
}

/// The forms of the selected rows, by what they start with.
#[derive(Default)]
pub(super) struct Forms {
    digit: Vec<Form>,
    letter: Vec<Form>,
    bracket: Vec<Form>,
}

/// How well a form fits: announced before not, the nearer word, the longer form.
type Rank = (bool, std::cmp::Reverse<u8>, usize);

impl Forms {
    pub(super) fn new(rows: &[&'static Row]) -> Self {
        let mut forms = Self::default();
        for (index, row) in rows.iter().enumerate() {
            for form in row.forms {
                let picture = form.strip_prefix('!').unwrap_or(form).as_bytes();
                let first = picture.first().copied().unwrap_or(b' ');
                let new = || Form { picture, strong: form.starts_with('!'), row: index };
                if matches!(first, b'9' | b'X') {
                    forms.digit.push(new());
                }
                if matches!(first, b'A' | b'X') {
                    forms.letter.push(new());
                }
                if first == b'(' {
                    forms.bracket.push(new());
                }
            }
        }
        forms
    }

    /// The form that starts at *start*, if its number keeps the rules and is strong or announced.
    pub(super) fn find(
        &self,
        rows: &[&'static Row],
        text: &[u8],
        start: usize,
        mut context: impl FnMut() -> Context,
    ) -> Option<Finding> {
        let candidates = match text.get(start)? {
            b'(' => &self.bracket,
            byte if byte.is_ascii_digit() => &self.digit,
            _ => &self.letter,
        };
        let mut known: Option<Context> = None;
        let mut best: Option<(Rank, Finding)> = None;
        for form in candidates {
            let Some(number) = Number::read(form.picture, &text[start..]) else { continue };
            let end = start + form.picture.len();
            let Some(row) = rows.get(form.row) else { continue };
            if !closes(text, end) || number.is_one_digit() || !(row.check)(number.bytes()) {
                continue;
            }
            let context = known.get_or_insert_with(&mut context);
            let rank = match context.distance(form.row, row) {
                Some(distance) => (true, std::cmp::Reverse(distance), form.picture.len()),
                None if form.strong && number.capitals => (false, std::cmp::Reverse(0), form.picture.len()),
                None => continue,
            };
            if best.as_ref().is_none_or(|(known, _)| rank > *known) {
                best = Finding::new(start, end, row.entity).map(|finding| (rank, finding));
            }
        }
        best.map(|(_, finding)| finding)
    }
}

/// The letters and digits of a form, as capitals.
struct Number {
    buffer: [u8; MOST],
    length: usize,
    /// Whether its letters were capitals.
    capitals: bool,
}

impl Number {
    fn read(picture: &[u8], text: &[u8]) -> Option<Self> {
        let mut number = Self { buffer: [0; MOST], length: 0, capitals: true };
        for (i, shape) in picture.iter().enumerate() {
            let byte = *text.get(i)?;
            let fits = match shape {
                b'9' => byte.is_ascii_digit(),
                b'A' => byte.is_ascii_alphabetic(),
                b'X' => byte.is_ascii_alphanumeric(),
                other => byte == *other,
            };
            if !fits {
                return None;
            }
            if byte.is_ascii_alphanumeric() {
                number.capitals &= !byte.is_ascii_lowercase();
                *number.buffer.get_mut(number.length)? = byte.to_ascii_uppercase();
                number.length += 1;
            }
        }
        Some(number)
    }

    fn bytes(&self) -> &[u8] {
        &self.buffer[..self.length]
    }

    /// `000000000` and `111.111.111-11` are nobody's: issuers leave them out, and forms are filled with them.
    fn is_one_digit(&self) -> bool {
        self.bytes().windows(2).all(|pair| pair[0] == pair[1])
    }
}

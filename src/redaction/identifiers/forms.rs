//! Finds the written forms of the table: a picture of digits, letters and separators, laid over the text.
//!
//! A form is tried where a run of letters and digits starts. The run's length is that of what the form starts with, up to its
//! first separator, its digits and letters stand where the form has them, and the same separator follows: so a number meets a
//! few of them, and most meet none, however many there are.
//! A form is at most [`MOST`] bytes long, so a try reads a bounded number of bytes.

use super::context::Context;
use super::{RUN, Row, closes};
use crate::redaction::Finding;
use crate::redaction::ahead::{Known, Text};

/// The longest form, in bytes.
pub(super) const MOST: usize = 32;

/// A form of a selected row.
struct Form {
    picture: &'static [u8],
    strong: bool,
    /// Index of the row in the selection.
    row: usize,
    head: Head,
}

/// The letters and digits that a form starts with.
struct Head {
    length: usize,
    /// Bit n: the nth is a digit.
    digits: u32,
    /// Bit n: the nth is a letter. One that may be either has no bit.
    letters: u32,
    /// What follows; none at the form's end.
    next: Option<u8>,
}

/// The forms of the selected rows.
pub(super) struct Forms {
    forms: Vec<Form>,
    /// Their indexes, by how many letters and digits they start with: none before a bracket.
    by_length: [Vec<u16>; MOST + 1],
    /// What some form needs after a run, by the run's length and kind.
    after: Box<[[After; 3]; MOST + 1]>,
    /// Bit n: some form begins with n letters alone, and then not with a separator and a digit.
    words: u64,
}

/// What follows a run that some form starts with.
#[derive(Clone, Copy, Default)]
struct After {
    /// Whether a form is over there.
    over: bool,
    /// By the separator that follows, and whether a digit is behind it, bit n: n letters and digits are.
    joints: [[u32; 2]; JOINTS + 1],
}

/// So many separators of forms have a place of their own.
const JOINTS: usize = 5;

/// A run of letters and digits in a text.
#[derive(Clone, Copy, Default)]
pub(super) struct Run {
    /// At most [`RUN`].
    pub(super) length: usize,
    /// Bit n: the nth is a digit. Of the first [`MOST`].
    digits: u32,
    kind: usize,
}

/// The kinds of runs, as places in a table.
const DIGITS: usize = 0;
const LETTERS: usize = 1;
const MIXED: usize = 2;

/// How well a form fits: announced before not, the nearer word, the longer form.
type Rank = (bool, std::cmp::Reverse<u8>, usize);

impl Run {
    /// Of so many letters and digits, of which the bits say whether each is a digit.
    #[inline]
    pub(super) fn new(length: usize, digits: u64) -> Self {
        Self { length, digits: digits as u32, kind: kind(length, digits.count_ones()) }
    }

    /// The run that *text* starts with.
    pub(super) fn of(text: &[u8]) -> Self {
        let (mut length, mut digits) = (0, 0u128);
        for byte in text.iter().take(RUN).take_while(|b| b.is_ascii_alphanumeric()) {
            digits |= u128::from(byte.is_ascii_digit()) << length;
            length += 1;
        }
        Self { length, digits: digits as u32, kind: kind(length, digits.count_ones()) }
    }

    #[inline]
    pub(super) fn has_letters(&self) -> bool {
        self.kind != DIGITS
    }
}

impl Head {
    fn of(picture: &[u8]) -> Self {
        let length = picture.iter().take_while(|b| b.is_ascii_alphanumeric()).count();
        let mut head = Self { length, digits: 0, letters: 0, next: picture.get(length).copied() };
        for (i, shape) in picture[..length].iter().enumerate() {
            head.digits |= u32::from(shape.is_ascii_digit()) << i;
            head.letters |= u32::from(shape.is_ascii_alphabetic() && *shape != b'X') << i;
        }
        head
    }

    /// Whether a text may go on as the form does that starts with *run* and goes on with *next*.
    #[inline]
    fn fits(&self, run: &Run, next: u8) -> bool {
        self.next.is_none_or(|sign| sign == next)
            && run.digits & self.letters == 0
            && !run.digits & self.digits == 0
    }

    /// Whether a run of this kind may be it.
    fn is_of(&self, kind: usize) -> bool {
        match kind {
            DIGITS => self.letters == 0,
            LETTERS => self.digits == 0,
            _ => self.length > 1,
        }
    }
}

impl Forms {
    pub(super) fn new(rows: &[&'static Row]) -> Self {
        let by_length = std::array::from_fn(|_| Vec::new());
        let after = Box::new([[After::default(); 3]; MOST + 1]);
        let mut all = Self { forms: Vec::new(), by_length, after, words: 0 };
        for (index, row) in rows.iter().enumerate() {
            for form in row.forms {
                let picture = form.strip_prefix('!').unwrap_or(form).as_bytes();
                all.add(Form { picture, strong: form.starts_with('!'), row: index, head: Head::of(picture) });
            }
        }
        all
    }

    fn add(&mut self, form: Form) {
        let head = &form.head;
        let number = u16::try_from(self.forms.len()).unwrap_or(u16::MAX);
        if let Some(list) = self.by_length.get_mut(head.length) {
            list.push(number);
        }
        let kinds = self.after.get_mut(head.length).into_iter().flatten().enumerate();
        for (_, after) in kinds.filter(|(kind, _)| head.is_of(*kind)) {
            match head.next {
                None => after.over = true,
                Some(sign) => {
                    let (length, first) = behind(form.picture, head.length + 1);
                    let of = &mut after.joints[joint(sign)];
                    of[0] |= u32::from(!first.is_ascii_digit()) << length;
                    of[1] |= u32::from(first.is_ascii_digit() || first == b'X') << length;
                }
            }
        }
        if head.length > 0 && head.is_of(LETTERS) {
            let next = form.picture.get(head.length + 1);
            let digit = head.next.is_some() && next.is_some_and(u8::is_ascii_digit);
            self.words |= u64::from(!digit) << head.length;
        }
        self.forms.push(form);
    }

    /// Whether none starts with *run*, which ends at *end*, told by its letters and what follows them.
    #[inline]
    pub(super) fn is_word(&self, text: &[u8], end: usize, run: &Run) -> bool {
        run.kind == LETTERS
            && self.words >> run.length & 1 == 0
            && !text.get(end + 1).is_some_and(u8::is_ascii_digit)
    }

    /// Whether a form may start at *at*, with *run*.
    #[inline]
    pub(super) fn may_begin(&self, text: &[u8], at: usize, run: &Run) -> bool {
        let Some(after) = self.after.get(run.length).and_then(|kinds| kinds.get(run.kind)) else {
            return false;
        };
        let end = at + run.length;
        let next = text.get(end).copied().unwrap_or(b'_');
        let joints = after.joints[joint(next)];
        let goes_on = joints != [0, 0] && {
            let (length, first) = behind(text, end + 1);
            joints[usize::from(first.is_ascii_digit())] >> length & 1 == 1
        };
        if !(goes_on || (after.over && closes(text, end))) {
            return false;
        }
        run.kind != MIXED || self.starting(run, next).next().is_some()
    }

    /// The forms that start as a text does, with *run* and then *next*.
    #[inline]
    fn starting(&self, run: &Run, next: u8) -> impl Iterator<Item = &Form> {
        let list = self.by_length.get(run.length).map_or(&[][..], Vec::as_slice).iter();
        let forms = list.filter_map(|number| self.forms.get(usize::from(*number)));
        let run = *run;
        forms.filter(move |form| form.head.fits(&run, next))
    }

    /// Whether a form that begins with letters fits at *start*, or would if the text went on.
    pub(super) fn begins_with_letters(&self, text: Text<'_>, start: usize) -> Known<bool> {
        let rest = &text[start..];
        for form in &self.forms {
            let fits =
                form.picture.iter().zip(rest).take_while(|(shape, byte)| fits(**shape, **byte)).count();
            if fits == form.picture.len() {
                return Ok(true);
            }
            if fits == rest.len() {
                text.peek(start + fits)?;
            }
        }
        Ok(false)
    }

    /// The form that starts at *start*, if its number keeps the rules and is strong or announced.
    pub(super) fn find(
        &self,
        rows: &[&'static Row],
        text: &[u8],
        start: usize,
        mut context: impl FnMut() -> Context,
    ) -> Option<Finding> {
        let mut known: Option<Context> = None;
        let mut best: Option<(Rank, Finding)> = None;
        let run = Run::of(text.get(start..)?);
        let next = text.get(start + run.length).copied().unwrap_or(b'_');
        for form in self.starting(&run, next) {
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

/// The kind of a run of so many letters and digits, of which so many are digits.
#[inline]
fn kind(length: usize, digits: u32) -> usize {
    match digits {
        0 => LETTERS,
        all if all as usize == length => DIGITS,
        _ => MIXED,
    }
}

/// The place of a separator in [`After::joints`].
#[inline]
fn joint(sign: u8) -> usize {
    match sign {
        b' ' => 0,
        b'-' => 1,
        b'.' => 2,
        b'/' => 3,
        b'+' => 4,
        _ => JOINTS,
    }
}

/// How many letters and digits there are at *at*, and the first of them. No form has so many that they are more than counted.
#[inline]
fn behind(text: &[u8], at: usize) -> (usize, u8) {
    let rest = text.get(at..).unwrap_or_default();
    let length = rest.iter().take(MOST - 1).take_while(|b| b.is_ascii_alphanumeric()).count();
    (length, rest.first().copied().unwrap_or(b' '))
}

/// Whether *byte* is what a picture has at its place.
fn fits(shape: u8, byte: u8) -> bool {
    match shape {
        b'9' => byte.is_ascii_digit(),
        b'A' => byte.is_ascii_alphabetic(),
        b'X' => byte.is_ascii_alphanumeric(),
        other => byte == other,
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
            if !fits(*shape, byte) {
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

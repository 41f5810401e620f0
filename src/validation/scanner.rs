//! Reads the tokens of a JSON text: strings, numbers, names of constants, and the marks between them.
//!
//! It is given text that is known to be UTF-8, so a slice of it between two ASCII marks needs no
//! second look. It knows nothing of nesting or bounds; the walk in [`super::parser`] does.
//!
//! Written here rather than taken from a library: the same walk over the tokens of `jiter`, the
//! fastest that was tried, took a third longer for a body of 1 KB.

use super::rejection::{JsonRejection, Reason};

/// A number as it is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number<'j> {
    /// Without fraction and exponent, and it fits.
    Integer(i64),
    /// Without fraction and exponent, but it does not fit.
    Long(&'j str),
    /// With a fraction or an exponent, correctly rounded; infinite where it overflows.
    Float(f64),
}

pub(super) struct Scanner<'j> {
    text: &'j str,
    bytes: &'j [u8],
    at: usize,
    /// A string whose escapes were read.
    unescaped: String,
}

impl<'j> Scanner<'j> {
    pub(super) fn new(text: &'j str) -> Self {
        Self { text, bytes: text.as_bytes(), at: 0, unescaped: String::new() }
    }

    /// The byte that is next.
    pub(super) fn offset(&self) -> usize {
        self.at
    }

    /// Skips white space and returns the byte after it; 0, which starts nothing, at the end.
    #[inline]
    pub(super) fn peek(&mut self) -> u8 {
        while let Some(&byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return byte;
            }
            self.at += 1;
        }
        0
    }

    /// Passes over the byte that was peeked at.
    #[inline]
    pub(super) fn skip(&mut self) {
        self.at += 1;
    }

    /// Passes over `mark` if it is next, after white space.
    #[inline]
    pub(super) fn expect(&mut self, mark: u8) -> Result<(), JsonRejection> {
        if self.peek() != mark {
            return Err(self.refuse(Reason::Malformed));
        }
        self.at += 1;
        Ok(())
    }

    /// Nothing but white space may be left.
    pub(super) fn finish(&mut self) -> Result<(), JsonRejection> {
        self.peek();
        if self.at < self.bytes.len() { Err(self.refuse(Reason::Malformed)) } else { Ok(()) }
    }

    /// Passes over `true`, `false` or `null`.
    #[inline]
    pub(super) fn constant(&mut self, name: &[u8]) -> Result<(), JsonRejection> {
        if self.bytes.get(self.at..self.at + name.len()) != Some(name) {
            return Err(self.refuse(Reason::Malformed));
        }
        self.at += name.len();
        Ok(())
    }

    /// Reads the string whose opening quote is next.
    #[inline]
    pub(super) fn string(&mut self) -> Result<&str, JsonRejection> {
        let start = self.at + 1;
        let end = plain_end(self.bytes, start);
        if self.bytes.get(end) == Some(&b'"') {
            self.at = end + 1;
            return Ok(self.text.get(start..end).unwrap_or_default());
        }
        self.escaped(start, end)
    }

    /// Goes on with a string at its first escape, or at what may not be in it.
    #[cold]
    fn escaped(&mut self, mut start: usize, mut end: usize) -> Result<&str, JsonRejection> {
        self.unescaped.clear();
        loop {
            self.unescaped.push_str(self.text.get(start..end).unwrap_or_default());
            self.at = end;
            match self.bytes.get(end) {
                Some(b'"') => {
                    self.at = end + 1;
                    return Ok(&self.unescaped);
                }
                Some(b'\\') => {}
                // A control character, or the end of the text.
                _ => return Err(self.refuse(Reason::Malformed)),
            }
            let character = self.escape()?;
            self.unescaped.push(character);
            start = self.at;
            end = plain_end(self.bytes, start);
        }
    }

    /// Reads the escape whose backslash is next.
    fn escape(&mut self) -> Result<char, JsonRejection> {
        let simple = match self.bytes.get(self.at + 1) {
            Some(&byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.refuse(Reason::Malformed)),
        };
        self.at += 2;
        Ok(simple)
    }

    fn unicode_escape(&mut self) -> Result<char, JsonRejection> {
        let first = self.unit(self.at + 2)?;
        let (code, length) = match first {
            0xD800..=0xDBFF => match self.bytes.get(self.at + 6..self.at + 8) {
                Some(b"\\u") => match self.unit(self.at + 8)? {
                    second @ 0xDC00..=0xDFFF => {
                        (0x1_0000 + ((u32::from(first) - 0xD800) << 10) + (u32::from(second) - 0xDC00), 12)
                    }
                    _ => return Err(self.refuse(Reason::Surrogate)),
                },
                // Cut off: no reader accepts it.
                None if self.bytes.get(self.at + 6) != Some(&b'"') => {
                    return Err(self.refuse(Reason::Malformed));
                }
                _ => return Err(self.refuse(Reason::Surrogate)),
            },
            _ => (u32::from(first), 6),
        };
        let character = char::from_u32(code).ok_or_else(|| self.refuse(Reason::Surrogate))?;
        self.at += length;
        Ok(character)
    }

    /// Four hexadecimal digits.
    fn unit(&self, at: usize) -> Result<u16, JsonRejection> {
        let digits = self.bytes.get(at..at + 4).ok_or_else(|| self.refuse(Reason::Malformed))?;
        digits.iter().try_fold(0, |unit: u16, &byte| match char::from(byte).to_digit(16) {
            Some(digit) => Ok(unit << 4 | digit as u16),
            None => Err(self.refuse(Reason::Malformed)),
        })
    }

    /// Reads the number that is next, if what is next is one.
    #[inline]
    pub(super) fn number(&mut self) -> Result<Number<'j>, JsonRejection> {
        let start = self.at;
        let is_negative = self.bytes.get(start) == Some(&b'-');
        let first = start + usize::from(is_negative);
        let mut magnitude = 0_u64;
        let mut end = first;
        while let Some(digit @ 0..=9) = self.bytes.get(end).map(|byte| byte.wrapping_sub(b'0')) {
            // Beyond 18 digits it is read again, as text.
            magnitude = magnitude.wrapping_mul(10).wrapping_add(digit.into());
            end += 1;
        }
        if end == first || (self.bytes.get(first) == Some(&b'0') && end > first + 1) {
            return Err(self.not_a_number(start, first));
        }
        let digits = end - first;
        if let Some(b'.' | b'e' | b'E') = self.bytes.get(end) {
            if let Some((value, end)) = self.short_fraction(first, end, magnitude) {
                self.at = end;
                return Ok(Number::Float(if is_negative { -value } else { value }));
            }
            return self.float(start, end);
        }
        self.at = end;
        if digits <= 18 {
            // 18 digits are below 2^63.
            let value = magnitude as i64;
            return Ok(Number::Integer(if is_negative { -value } else { value }));
        }
        let literal = self.text.get(start..end).unwrap_or_default();
        Ok(literal.parse().map_or(Number::Long(literal), Number::Integer))
    }

    /// Reads on after the whole digits of a number, if it has a fraction, no exponent, and few digits.
    ///
    /// An integer below 2^53 is a double, and so is a power of ten up to 10^22. Their quotient, which is
    /// rounded once, is then the number's nearest double (Clinger, 1990).
    fn short_fraction(&self, first: usize, dot: usize, whole: u64) -> Option<(f64, usize)> {
        let rest = self.bytes.get(dot..)?.strip_prefix(b".")?;
        let (mut magnitude, mut count) = (whole, 0);
        while let Some(digit @ 0..=9) = rest.get(count).map(|byte| byte.wrapping_sub(b'0')) {
            magnitude = magnitude.wrapping_mul(10).wrapping_add(digit.into());
            count += 1;
        }
        // 19 digits fit into the magnitude; one that did not would be wrong.
        let fits = dot - first + count <= 19 && magnitude <= 1 << 53;
        if count == 0 || !fits || matches!(rest.get(count), Some(b'e' | b'E')) {
            return None;
        }
        let power = POWERS_OF_TEN.get(count)?;
        Some((magnitude as f64 / power, dot + 1 + count))
    }

    fn float(&mut self, start: usize, mut end: usize) -> Result<Number<'j>, JsonRejection> {
        if self.bytes.get(end) == Some(&b'.') {
            end = self.digits(end + 1)?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(end) {
            let sign = usize::from(matches!(self.bytes.get(end + 1), Some(b'+' | b'-')));
            end = self.digits(end + 1 + sign)?;
        }
        self.at = end;
        let value = self.text.get(start..end).and_then(|literal| literal.parse().ok());
        value.map(Number::Float).ok_or_else(|| self.refuse(Reason::Malformed))
    }

    /// One digit or more.
    fn digits(&mut self, start: usize) -> Result<usize, JsonRejection> {
        let rest = self.bytes.get(start..).unwrap_or_default();
        match rest.iter().take_while(|byte| byte.is_ascii_digit()).count() {
            0 => {
                self.at = start.min(self.bytes.len());
                Err(self.refuse(Reason::Malformed))
            }
            count => Ok(start + count),
        }
    }

    /// `NaN`, `Infinity` and `-Infinity` are numbers to Python, so they are no syntax error.
    #[cold]
    fn not_a_number(&mut self, start: usize, first: usize) -> JsonRejection {
        let starts = |at: usize, name: &[u8]| self.bytes.get(at..).is_some_and(|rest| rest.starts_with(name));
        if starts(start, b"NaN") || starts(first, b"Infinity") {
            return self.refuse(Reason::NonFinite);
        }
        self.at = first;
        self.refuse(Reason::Malformed)
    }

    #[cold]
    pub(super) fn refuse(&self, reason: Reason) -> JsonRejection {
        JsonRejection { reason, offset: Some(self.at.min(self.bytes.len())) }
    }
}

/// Those that are doubles and may divide 19 digits.
const POWERS_OF_TEN: [f64; 20] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19,
];

/// Where the quote, backslash or control character is that ends a plain run from `start`.
#[inline]
fn plain_end(bytes: &[u8], start: usize) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES * 128;
    let mut at = start;
    // Eight bytes at once: the lowest bit set marks the first that ends the run (later ones may be
    // marked wrongly by the borrow, never earlier ones).
    while let Some(Some(chunk)) = bytes.get(at..).map(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let (quote, backslash) = (word ^ (ONES * b'"' as u64), word ^ (ONES * b'\\' as u64));
        let ends = ((quote.wrapping_sub(ONES) & !quote)
            | (backslash.wrapping_sub(ONES) & !backslash)
            | (word.wrapping_sub(ONES * 0x20) & !word))
            & HIGH;
        if ends != 0 {
            return at + (ends.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(&byte) = bytes.get(at) {
        if byte == b'"' || byte == b'\\' || byte < 0x20 {
            break;
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_plain_run_ends_at_the_first_mark_wherever_it_stands() {
        for length in 0..40 {
            for mark in ['"', '\\', '\0', '\u{1f}', '\n'] {
                for filler in ["a", "é", "!", "#", "]", "[", " ", "\u{7f}", "\u{2028}", "😀"] {
                    let run = filler.repeat(length);
                    let text = format!("{run}{mark}\"\\\u{1}tail");
                    assert_eq!(plain_end(text.as_bytes(), 0), run.len(), "{text:?}");
                }
            }
        }
        assert_eq!(plain_end(b"abc", 0), 3);
        assert_eq!(plain_end(b"abc", 7), 7);
    }

    #[test]
    fn fractions_are_rounded_as_the_standard_library_does() {
        let mut texts: Vec<String> = [
            "0.0",
            "-0.0",
            "0.1",
            "-0.3",
            "5.0",
            "1.0e0",
            "1.5E3",
            "9007199254740991.0",
            "9007199254740992.0",
            "9007199254740993.0",
            "900719925474099.3",
            "0.9007199254740993",
            "0.0000000000000000001",
            "0.00000000000000000001",
            "1.000000000000000000",
            "1.0000000000000000000",
            "184467440737095516.16",
            "18446744073709551616.5",
            "2.2250738585072011e-308",
            "1.7976931348623157",
            "19.99",
            "1070468.14",
        ]
        .iter()
        .map(|&text| text.to_owned())
        .collect();
        // Digits of every length on both sides of the point.
        let mut state = 88_172_645_463_325_252_u64;
        for round in 0..20_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let digits = (state >> 1).to_string();
            let (whole, fraction) = digits.split_at(1 + round % (digits.len() - 1));
            let fraction = &fraction[..1 + (round / 19) % fraction.len()];
            texts.push(format!("{}{whole}.{fraction}", if state & 1 == 1 { "-" } else { "" }));
        }
        for text in &texts {
            let mut scanner = Scanner::new(text);
            match scanner.number() {
                Ok(Number::Float(value)) => {
                    assert_eq!(value.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
                }
                other => assert!(text.starts_with("0") && other.is_err(), "{text}: {other:?}"),
            }
            assert_eq!(scanner.offset(), text.len(), "{text}");
        }
        for (text, at) in [("1.", 2), ("1.e5", 2), ("1.5e", 4), ("-1.x", 3), ("1.5e+", 5)] {
            let mut scanner = Scanner::new(text);
            assert!(scanner.number().is_err(), "{text}");
            assert_eq!(scanner.offset(), at, "{text}");
        }
    }

    #[test]
    fn integers_are_read_exactly_around_the_limits_of_their_types() {
        for value in [0, 1, -1, 999_999_999_999_999_999, 1_000_000_000_000_000_000, i64::MAX, i64::MIN] {
            assert_eq!(Scanner::new(&value.to_string()).number(), Ok(Number::Integer(value)));
        }
        for text in ["9223372036854775808", "-9223372036854775809", "100000000000000000000"] {
            assert_eq!(Scanner::new(text).number(), Ok(Number::Long(text)));
        }
    }
}

//! Reads JSON as it is written (RFC 8259), so that what is kept can be copied.
//!
//! Strict: no bytes behind the value, no control characters in texts, no lone surrogates, no leading zeros, no name twice in an
//! object, at most 64 levels below a record. One pass; each byte is looked at once, or twice in a text with escapes.

use std::borrow::Cow;

use super::super::value::{Cell, Refused};
use super::fault::Fault;

/// Deepest nesting below a record.
pub(super) const DEPTH: usize = 64;
/// Most digits of an integer that has a text.
const MAX_DIGITS: usize = 4300;
/// Most members that are compared each with each.
const FEW: usize = 16;

/// A text of JSON, and how far it was read.
pub(super) struct Scanner<'t> {
    text: &'t str,
    at: usize,
    /// Names of the objects that are open.
    names: Vec<Cow<'t, str>>,
}

impl<'t> Scanner<'t> {
    pub fn new(text: &'t str) -> Self {
        Self { text, at: 0, names: Vec::new() }
    }

    /// Where the next byte is that is no blank, and the byte.
    pub fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    /// What was not read yet, from the next byte that is no blank.
    pub fn rest(&mut self) -> &'t str {
        self.peek();
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Takes this byte, if it is the next.
    pub fn take(&mut self, byte: u8) -> bool {
        let is = self.peek() == Some(byte);
        self.at += usize::from(is);
        is
    }

    pub fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        if self.take(byte) { Ok(()) } else { Err(Fault::Json) }
    }

    /// Begins an object: what [`Self::close`] takes.
    pub fn open(&mut self) -> Result<usize, Fault> {
        self.expect(b'{')?;
        Ok(self.names.len())
    }

    /// The next name, as it is written and as it is read; `None` at the end of the object.
    pub fn name(&mut self, first: bool) -> Result<Option<(&'t str, Cow<'t, str>)>, Fault> {
        if self.take(b'}') {
            return Ok(None);
        }
        if !first {
            self.expect(b',')?;
        }
        self.peek();
        let raw = self.string()?;
        let name = text_of(raw)?;
        self.names.push(name.clone());
        self.expect(b':')?;
        self.peek();
        Ok(Some((raw, name)))
    }

    /// Ends an object, whose names are looked through.
    pub fn close(&mut self, opened: usize) -> Result<(), Fault> {
        let names = self.names.get_mut(opened..).unwrap_or_default();
        let twice = if names.len() <= FEW {
            names.iter().enumerate().any(|(at, name)| names.iter().take(at).any(|other| other == name))
        } else {
            names.sort_unstable();
            names.windows(2).any(|pair| pair.first() == pair.last())
        };
        self.names.truncate(opened);
        if twice { Err(Fault::Duplicate) } else { Ok(()) }
    }

    /// Whether another element of a list follows.
    pub fn element(&mut self, first: bool) -> Result<bool, Fault> {
        if self.take(b']') {
            return Ok(false);
        }
        if !first {
            self.expect(b',')?;
        }
        self.peek();
        Ok(true)
    }

    /// A whole value, as it is written, which is *depth* levels below the record.
    pub fn value(&mut self, depth: usize) -> Result<&'t str, Fault> {
        let first = self.peek();
        let start = self.at;
        match first {
            Some(b'"') => return self.string(),
            Some(b'{') => {
                bounded(depth)?;
                let opened = self.open()?;
                let mut first = true;
                while self.name(first)?.is_some() {
                    self.value(depth + 1)?;
                    first = false;
                }
                self.close(opened)?;
            }
            Some(b'[') => {
                bounded(depth)?;
                self.expect(b'[')?;
                let mut first = true;
                while self.element(first)? {
                    self.value(depth + 1)?;
                    first = false;
                }
            }
            Some(b't') => self.word("true")?,
            Some(b'f') => self.word("false")?,
            Some(b'n') => self.word("null")?,
            _ => self.number()?,
        }
        self.text.get(start..self.at).ok_or(Fault::Json)
    }

    /// Nothing but blanks follow.
    pub fn end(&mut self) -> Result<(), Fault> {
        if self.peek().is_none() { Ok(()) } else { Err(Fault::Json) }
    }

    fn word(&mut self, word: &str) -> Result<(), Fault> {
        let is = self.text.as_bytes().get(self.at..).is_some_and(|rest| rest.starts_with(word.as_bytes()));
        self.at += word.len();
        if is { Ok(()) } else { Err(Fault::Json) }
    }

    /// A text with its quotes.
    fn string(&mut self) -> Result<&'t str, Fault> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        if bytes.get(start) != Some(&b'"') {
            return Err(Fault::Json);
        }
        let (mut at, mut escapes) = (start + 1, false);
        loop {
            // Eight letters at once that mean nothing but themselves.
            while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk)
                && is_plain(*eight)
            {
                at += 8;
            }
            match bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => (at, escapes) = (at + 2, true),
                Some(0..=0x1F) | None => return Err(Fault::Json),
                Some(_) => at += 1,
            }
        }
        self.at = at + 1;
        let raw = self.text.get(start..self.at).ok_or(Fault::Json)?;
        if escapes {
            // Also of what is only copied: an escape that is none would be the next reader's.
            text_of(raw)?;
        }
        Ok(raw)
    }

    fn number(&mut self) -> Result<(), Fault> {
        let bytes = self.text.as_bytes();
        let digits = |from: usize| {
            let rest = bytes.get(from..).unwrap_or_default();
            rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
        };
        let mut at = self.at + usize::from(bytes.get(self.at) == Some(&b'-'));
        match (bytes.get(at), digits(at)) {
            (_, 0) => return Err(Fault::Json),
            (Some(b'0'), count) if count > 1 => return Err(Fault::Json),
            (_, count) => at += count,
        }
        if bytes.get(at) == Some(&b'.') {
            match digits(at + 1) {
                0 => return Err(Fault::Json),
                count => at += 1 + count,
            }
        }
        if matches!(bytes.get(at), Some(b'e' | b'E')) {
            at += 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
            match digits(at) {
                0 => return Err(Fault::Json),
                count => at += count,
            }
        }
        self.at = at;
        Ok(())
    }
}

/// Whether none of these bytes is a quotation mark, a backslash or a control character.
fn is_plain(eight: [u8; 8]) -> bool {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let word = u64::from_le_bytes(eight);
    // A byte is nothing where it was the one that was looked for; then borrowing sets its highest bit. Letters beyond ASCII have that
    // bit already and are none of these.
    let nothing = |word: u64| word.wrapping_sub(EACH) & !word;
    let quote = nothing(word ^ (EACH * u64::from(b'"')));
    let backslash = nothing(word ^ (EACH * u64::from(b'\\')));
    let control = word.wrapping_sub(EACH * 0x20) & !word;
    (quote | backslash | control) & HIGH == 0
}

pub(super) fn bounded(depth: usize) -> Result<(), Fault> {
    if depth > DEPTH { Err(Refused::Depth.into()) } else { Ok(()) }
}

/// What a text with its quotes says.
pub(super) fn text_of(raw: &str) -> Result<Cow<'_, str>, Fault> {
    let inner = raw.get(1..raw.len().saturating_sub(1)).ok_or(Fault::Json)?;
    if !inner.contains('\\') {
        return Ok(Cow::Borrowed(inner));
    }
    serde_json::from_str(raw).map(Cow::Owned).map_err(|_| Fault::Json)
}

/// A value that was read, for the rules.
pub(super) enum Scalar<'t> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Cow<'t, str>),
    Other,
}

impl<'t> Scalar<'t> {
    /// Of a value as it is written.
    pub fn of(raw: &'t str) -> Result<Self, Fault> {
        Ok(match raw.as_bytes().first() {
            Some(b'"') => Self::Text(text_of(raw)?),
            Some(b'n') => Self::Null,
            Some(b't') => Self::Bool(true),
            Some(b'f') => Self::Bool(false),
            Some(b'{' | b'[') => Self::Other,
            _ if raw.contains(['.', 'e', 'E']) => Self::Float(raw.parse().map_err(|_| Fault::Json)?),
            _ => match raw.parse() {
                Ok(number) => Self::Int(number),
                Err(_) if raw.len() <= MAX_DIGITS => Self::Text(Cow::Borrowed(raw)),
                Err(_) => Self::Other,
            },
        })
    }

    pub fn cell(&self) -> Cell<'_> {
        match self {
            Self::Null => Cell::Null,
            Self::Bool(truth) => Cell::Bool(*truth),
            Self::Int(number) => Cell::Int(*number),
            Self::Float(number) => Cell::Float(*number),
            Self::Text(text) => Cell::Text(text),
            Self::Other => Cell::Other,
        }
    }
}

//! Reads a body as JSON, strictly and within bounds, and hands each value to a [`Builder`].
//!
//! The grammar is RFC 8259's, nothing more: no comments, no trailing commas, no `NaN`, no control
//! characters in strings, nothing after the value. On top of it the body is refused
//! - when an object names a member twice at any depth, compared after escapes are read: two readers
//!   of one body that pick different members is how checks are bypassed (RFC 8259 §4, CWE-436);
//! - when a number overflows a double (`1e400`), or a string holds half of a surrogate pair;
//! - when a byte order mark, UTF-16 or UTF-32 is used, which RFC 8259 §8.1 no longer allows;
//! - at the first bound that it breaks, before more of it is built.
//!
//! Tokens come from [`super::scanner`]; the walk and the bounds are here. The tests and the fuzzer,
//! which build `serde_json::Value`, exercise the code that builds Python's objects.
//!
//! Recursion is as deep as `max_depth`, which [`Bounds`] keeps at 255 or below.

use super::bounds::Bounds;
use super::rejection::{JsonRejection, Reason};
use super::scanner::{Number, Scanner};

/// Makes values of some kind out of what the parser reads.
pub trait Builder {
    /// A finished value.
    type Value;
    /// The name of a member, kept until its value is finished.
    type Key;
    /// An array that is being filled.
    type Array;
    /// An object that is being filled.
    type Object;
    /// What the builder itself can fail with, such as a lack of memory.
    type Fault;

    /// `null`.
    fn null(&mut self) -> Self::Value;
    /// `true` or `false`.
    fn boolean(&mut self, value: bool) -> Self::Value;
    /// A number without fraction and exponent that fits.
    fn integer(&mut self, value: i64) -> Self::Value;
    /// A number without fraction and exponent that does not fit, as written.
    fn big_integer(&mut self, literal: &str) -> Result<Self::Value, Self::Fault>;
    /// A finite number with a fraction or an exponent, correctly rounded.
    fn float(&mut self, value: f64) -> Self::Value;
    /// A string, its escapes read.
    fn string(&mut self, value: &str) -> Result<Self::Value, Self::Fault>;

    /// Starts an array.
    fn array(&mut self) -> Self::Array;
    /// Appends to it.
    fn push(&mut self, array: &mut Self::Array, value: Self::Value) -> Result<(), Self::Fault>;
    /// Finishes it.
    fn end_array(&mut self, array: Self::Array) -> Result<Self::Value, Self::Fault>;

    /// Starts an object.
    fn object(&mut self) -> Self::Object;
    /// Keeps a member's name, its escapes read.
    fn key(&mut self, name: &str) -> Result<Self::Key, Self::Fault>;
    /// Adds a member. Where the name is taken already, the builder may keep either value.
    fn insert(
        &mut self,
        object: &mut Self::Object,
        key: Self::Key,
        value: Self::Value,
    ) -> Result<(), Self::Fault>;
    /// Finishes an object to which `members` were added; `None` if fewer names are in it.
    fn end_object(&mut self, object: Self::Object, members: usize) -> Option<Self::Value>;
}

/// A document that was read whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parsed<V> {
    /// The document.
    pub value: V,
    /// How many values it holds, itself included.
    pub values: usize,
    /// What it weighs: see [`weight`].
    pub weight: usize,
}

/// What a document weighs: its values, and one for every 64 bytes of it. Copying it costs about that.
pub fn weight(values: usize, bytes: usize) -> usize {
    values.saturating_add(bytes / 64)
}

/// Why [`parse`] has no value: the peer's fault, or the builder's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParseError<F> {
    /// The body is refused.
    Rejected(JsonRejection),
    /// The builder failed.
    Fault(F),
}

impl<F> From<JsonRejection> for ParseError<F> {
    fn from(rejection: JsonRejection) -> Self {
        Self::Rejected(rejection)
    }
}

/// Reads `data` as one JSON text within `bounds`.
///
/// # Errors
/// The first refusal met from the left, or the builder's own fault.
pub fn parse<B: Builder>(
    data: &[u8],
    bounds: &Bounds,
    builder: &mut B,
) -> Result<Parsed<B::Value>, ParseError<B::Fault>> {
    if data.len() > bounds.max_bytes {
        return Err(JsonRejection { reason: Reason::TooLarge, offset: None }.into());
    }
    let mut walk = Walk { scanner: Scanner::new(decode(data)?), bounds, builder, keys: 0, values: 0 };
    let value = walk.value(0)?;
    walk.scanner.finish()?;
    let values = walk.values;
    Ok(Parsed { value, values, weight: weight(values, data.len()) })
}

struct Walk<'j, 'b, B> {
    scanner: Scanner<'j>,
    bounds: &'b Bounds,
    builder: &'b mut B,
    keys: usize,
    values: usize,
}

impl<B: Builder> Walk<'_, '_, B> {
    /// Reads one value, which stands in `depth` arrays and objects.
    fn value(&mut self, depth: usize) -> Result<B::Value, ParseError<B::Fault>> {
        self.values += 1;
        match self.scanner.peek() {
            b'"' => {
                let text = self.scanner.string()?;
                self.builder.string(text).map_err(ParseError::Fault)
            }
            b'{' => self.object(depth + 1),
            b'[' => self.array(depth + 1),
            b't' => {
                self.scanner.constant(b"true")?;
                Ok(self.builder.boolean(true))
            }
            b'f' => {
                self.scanner.constant(b"false")?;
                Ok(self.builder.boolean(false))
            }
            b'n' => {
                self.scanner.constant(b"null")?;
                Ok(self.builder.null())
            }
            _ => self.number(),
        }
    }

    fn array(&mut self, depth: usize) -> Result<B::Value, ParseError<B::Fault>> {
        self.check_depth(depth)?;
        self.scanner.skip();
        let mut array = self.builder.array();
        if self.scanner.peek() == b']' {
            self.scanner.skip();
            return self.builder.end_array(array).map_err(ParseError::Fault);
        }
        loop {
            let value = self.value(depth)?;
            self.builder.push(&mut array, value).map_err(ParseError::Fault)?;
            match self.scanner.peek() {
                b',' => self.scanner.skip(),
                b']' => break,
                _ => return Err(self.rejected(Reason::Malformed)),
            }
        }
        self.scanner.skip();
        self.builder.end_array(array).map_err(ParseError::Fault)
    }

    fn object(&mut self, depth: usize) -> Result<B::Value, ParseError<B::Fault>> {
        self.check_depth(depth)?;
        let start = self.scanner.offset();
        self.scanner.skip();
        let mut object = self.builder.object();
        let mut members = 0;
        if self.scanner.peek() != b'}' {
            loop {
                members += 1;
                self.member(&mut object, depth)?;
                match self.scanner.peek() {
                    b',' => self.scanner.skip(),
                    b'}' => break,
                    _ => return Err(self.rejected(Reason::Malformed)),
                }
            }
        }
        self.scanner.skip();
        self.builder
            .end_object(object, members)
            .ok_or_else(|| JsonRejection { reason: Reason::DuplicateKey, offset: Some(start) }.into())
    }

    fn member(&mut self, object: &mut B::Object, depth: usize) -> Result<(), ParseError<B::Fault>> {
        if self.scanner.peek() != b'"' {
            return Err(self.rejected(Reason::Malformed));
        }
        self.keys += 1;
        if self.keys > self.bounds.max_keys {
            return Err(self.rejected(Reason::TooManyKeys));
        }
        let name = self.scanner.string()?;
        let key = self.builder.key(name).map_err(ParseError::Fault)?;
        self.scanner.expect(b':')?;
        let value = self.value(depth)?;
        self.builder.insert(object, key, value).map_err(ParseError::Fault)
    }

    fn number(&mut self) -> Result<B::Value, ParseError<B::Fault>> {
        let start = self.scanner.offset();
        let is_negative = self.scanner.peek() == b'-';
        let number = self.scanner.number()?;
        // Measured after the fact: at most one number of a body is read in vain.
        let reason = match number {
            _ if self.scanner.offset() - start - usize::from(is_negative) > self.bounds.max_digits => {
                Reason::NumberTooLong
            }
            Number::Integer(value) => return Ok(self.builder.integer(value)),
            Number::Float(value) if value.is_finite() => return Ok(self.builder.float(value)),
            Number::Long(literal) => return self.builder.big_integer(literal).map_err(ParseError::Fault),
            Number::Float(_) => Reason::NonFinite,
        };
        Err(JsonRejection { reason, offset: Some(start) }.into())
    }

    #[inline]
    fn check_depth(&self, depth: usize) -> Result<(), ParseError<B::Fault>> {
        if depth > self.bounds.max_depth { Err(self.rejected(Reason::TooDeep)) } else { Ok(()) }
    }

    #[cold]
    fn rejected(&self, reason: Reason) -> ParseError<B::Fault> {
        self.scanner.refuse(reason).into()
    }
}

/// RFC 8259 §8.1: UTF-8 without a byte order mark.
fn decode(data: &[u8]) -> Result<&str, JsonRejection> {
    // The signs by which Python's `json.loads` guesses other encodings. JSON starts with two ASCII
    // characters, or is one: a zero there is UTF-16 or UTF-32.
    if let [0xEF, 0xBB, 0xBF, ..] | [0xFE, 0xFF, ..] | [0xFF, 0xFE, ..] | [0, ..] | [_, 0, ..] = data {
        return Err(JsonRejection { reason: Reason::Encoding { invalid: false }, offset: Some(0) });
    }
    std::str::from_utf8(data).map_err(|error| {
        // UTF-8 that spells half a surrogate pair is invalid, but Python decodes it.
        let at = error.valid_up_to();
        let is_half = matches!(data.get(at..at + 3), Some([0xED, 0xA0..=0xBF, 0x80..=0xBF]));
        let reason = if is_half { Reason::Surrogate } else { Reason::Encoding { invalid: true } };
        JsonRejection { reason, offset: Some(at) }
    })
}

#[cfg(test)]
mod tests;

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
//! Tokens come from `jiter`, the parser of pydantic. The walk, the bounds and the refusals are here,
//! so that the tests and the fuzzer, which build `serde_json::Value`, exercise what Python gets.
//!
//! Recursion is as deep as `max_depth`, which [`Bounds`] keeps at 255 or below.

use jiter::{Jiter, JiterError, JiterErrorType, JsonErrorType, NumberAny, NumberInt, Peek};

use super::bounds::Bounds;
use super::rejection::{JsonRejection, Reason};

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
    check_encoding(data)?;
    let mut walk = Walk { data, jiter: Jiter::new(data), bounds, builder, keys: 0, values: 0 };
    let first = walk.jiter.peek().map_err(|e| refuse(data, &e))?;
    let value = walk.value(first, 0)?;
    walk.jiter.finish().map_err(|e| refuse(data, &e))?;
    Ok(Parsed { value, values: walk.values })
}

struct Walk<'j, 'b, B> {
    data: &'j [u8],
    jiter: Jiter<'j>,
    bounds: &'b Bounds,
    builder: &'b mut B,
    keys: usize,
    values: usize,
}

impl<B: Builder> Walk<'_, '_, B> {
    fn value(&mut self, peek: Peek, depth: usize) -> Result<B::Value, ParseError<B::Fault>> {
        self.values += 1;
        match peek {
            Peek::String => {
                let text = self.jiter.known_str().map_err(|e| refuse(self.data, &e))?;
                self.builder.string(text).map_err(ParseError::Fault)
            }
            Peek::Object => self.object(depth + 1),
            Peek::Array => self.array(depth + 1),
            Peek::Null => {
                self.jiter.known_null().map_err(|e| refuse(self.data, &e))?;
                Ok(self.builder.null())
            }
            Peek::True | Peek::False => {
                let value = self.jiter.known_bool(peek).map_err(|e| refuse(self.data, &e))?;
                Ok(self.builder.boolean(value))
            }
            _ => self.number(peek),
        }
    }

    fn array(&mut self, depth: usize) -> Result<B::Value, ParseError<B::Fault>> {
        self.check_depth(depth)?;
        let mut array = self.builder.array();
        let mut next = self.jiter.known_array().map_err(|e| refuse(self.data, &e))?;
        while let Some(peek) = next {
            let value = self.value(peek, depth)?;
            self.builder.push(&mut array, value).map_err(ParseError::Fault)?;
            next = self.jiter.array_step().map_err(|e| refuse(self.data, &e))?;
        }
        self.builder.end_array(array).map_err(ParseError::Fault)
    }

    fn object(&mut self, depth: usize) -> Result<B::Value, ParseError<B::Fault>> {
        self.check_depth(depth)?;
        let start = self.jiter.current_index();
        let mut object = self.builder.object();
        let mut own = 0;
        let mut next = self.jiter.known_object().map_err(|e| refuse(self.data, &e))?;
        while let Some(name) = next {
            own += 1;
            self.keys += 1;
            if self.keys > self.bounds.max_keys {
                return Err(self.rejected(Reason::TooManyKeys));
            }
            let key = self.builder.key(name).map_err(ParseError::Fault)?;
            let peek = self.jiter.peek().map_err(|e| refuse(self.data, &e))?;
            let value = self.value(peek, depth)?;
            self.builder.insert(&mut object, key, value).map_err(ParseError::Fault)?;
            next = self.jiter.next_key().map_err(|e| refuse(self.data, &e))?;
        }
        self.builder
            .end_object(object, own)
            .ok_or_else(|| JsonRejection { reason: Reason::DuplicateKey, offset: Some(start) }.into())
    }

    fn number(&mut self, peek: Peek) -> Result<B::Value, ParseError<B::Fault>> {
        let start = self.jiter.current_index();
        match self.jiter.known_number(peek) {
            // Measured after the fact: at most one number of a body is read in vain.
            Ok(number) => {
                self.check_digits(start, self.jiter.current_index())?;
                match number {
                    NumberAny::Int(NumberInt::Int(value)) => Ok(self.builder.integer(value)),
                    NumberAny::Float(value) if value.is_finite() => Ok(self.builder.float(value)),
                    NumberAny::Float(_) => {
                        Err(JsonRejection { reason: Reason::NonFinite, offset: Some(start) }.into())
                    }
                }
            }
            Err(error) if is_out_of_range(&error) => self.big_integer(peek, start),
            Err(error) => Err(refuse_number(self.data, start, &error).into()),
        }
    }

    #[cold]
    fn big_integer(&mut self, peek: Peek, start: usize) -> Result<B::Value, ParseError<B::Fault>> {
        let digits = self.jiter.known_number_bytes(peek).map_err(|e| refuse(self.data, &e))?.len();
        self.check_digits(start, start + digits)?;
        let literal = self.data.get(start..start + digits).and_then(|bytes| std::str::from_utf8(bytes).ok());
        match literal {
            Some(literal) => self.builder.big_integer(literal).map_err(ParseError::Fault),
            None => Err(self.rejected(Reason::Malformed)),
        }
    }

    fn check_depth(&self, depth: usize) -> Result<(), ParseError<B::Fault>> {
        if depth > self.bounds.max_depth { Err(self.rejected(Reason::TooDeep)) } else { Ok(()) }
    }

    fn check_digits(&self, start: usize, end: usize) -> Result<(), ParseError<B::Fault>> {
        let sign = usize::from(self.data.get(start) == Some(&b'-'));
        if end - start - sign > self.bounds.max_digits {
            return Err(JsonRejection { reason: Reason::NumberTooLong, offset: Some(start) }.into());
        }
        Ok(())
    }

    #[cold]
    fn rejected(&self, reason: Reason) -> ParseError<B::Fault> {
        JsonRejection { reason, offset: Some(self.jiter.current_index()) }.into()
    }
}

/// RFC 8259 §8.1: UTF-8 without a byte order mark. Python's `json.loads` guesses the other encodings
/// by the same signs.
fn check_encoding(data: &[u8]) -> Result<(), JsonRejection> {
    let foreign = match data {
        [0xEF, 0xBB, 0xBF, ..] | [0xFE, 0xFF, ..] | [0xFF, 0xFE, ..] => true,
        // JSON starts with two ASCII characters, or is one: a zero here is UTF-16 or UTF-32.
        [0, ..] | [_, 0, ..] => true,
        _ => false,
    };
    if foreign {
        return Err(JsonRejection { reason: Reason::Encoding { invalid: false }, offset: Some(0) });
    }
    Ok(())
}

#[cold]
fn refuse(data: &[u8], error: &JiterError) -> JsonRejection {
    let offset = Some(error.index);
    let JiterErrorType::JsonError(kind) = &error.error_type else {
        return JsonRejection { reason: Reason::Malformed, offset };
    };
    let reason = match kind {
        // A high half that no escape follows, or the wrong one; a low half alone.
        JsonErrorType::LoneLeadingSurrogateInHexEscape | JsonErrorType::UnexpectedEndOfHexEscape => {
            Reason::Surrogate
        }
        // Beyond 4,300 digits the tokenizer gives up.
        JsonErrorType::NumberOutOfRange => Reason::NumberTooLong,
        JsonErrorType::InvalidUnicodeCodePoint => return refuse_bytes(data),
        JsonErrorType::ExpectedSomeIdent
        | JsonErrorType::ExpectedSomeValue
        | JsonErrorType::InvalidNumber => {
            return refuse_number(data, error.index, error);
        }
        _ => Reason::Malformed,
    };
    JsonRejection { reason, offset }
}

#[cold]
fn refuse_number(data: &[u8], start: usize, error: &JiterError) -> JsonRejection {
    let rest = data.get(start..).unwrap_or_default();
    let unsigned = rest.strip_prefix(b"-").unwrap_or(rest);
    let is_named = rest.starts_with(b"NaN") || unsigned.starts_with(b"Infinity");
    if is_named {
        return JsonRejection { reason: Reason::NonFinite, offset: Some(start) };
    }
    JsonRejection { reason: Reason::Malformed, offset: Some(error.index) }
}

/// Tells text that is not UTF-8 from UTF-8 that spells half a surrogate pair, which Python decodes.
#[cold]
fn refuse_bytes(data: &[u8]) -> JsonRejection {
    let at = match std::str::from_utf8(data) {
        Ok(_) => return JsonRejection { reason: Reason::Encoding { invalid: false }, offset: None },
        Err(error) => error.valid_up_to(),
    };
    let is_half = matches!(data.get(at..at + 3), Some([0xED, 0xA0..=0xBF, 0x80..=0xBF]));
    let reason = if is_half { Reason::Surrogate } else { Reason::Encoding { invalid: true } };
    JsonRejection { reason, offset: Some(at) }
}

fn is_out_of_range(error: &JiterError) -> bool {
    matches!(error.error_type, JiterErrorType::JsonError(JsonErrorType::NumberOutOfRange))
}

#[cfg(test)]
mod tests;

//! Reads a form that was sent as `application/x-www-form-urlencoded`, as a query is read.
//!
//! 1. What is no UTF-8, or has a `%` without two digits behind it, is refused.
//! 2. There are at most so many fields, each at most so long, its name and its text together; both bounds are inclusive.
//! 3. `_charset_`, if it is there, says UTF-8: for some readers it changes how the other fields are read.

use std::borrow::Cow;

use super::Flaw;
use crate::urlencoded;

/// Its name and its text.
pub type Field<'b> = (Cow<'b, str>, Cow<'b, str>);

/// The fields of a form, in their order.
///
/// # Errors
/// A [`Flaw`] of a form that is not read.
///
/// ```
/// use rampart::uploads::fields;
/// let read = fields(b"a=1+2&b=%41", 10, 100).unwrap();
/// assert_eq!(read, [("a".into(), "1 2".into()), ("b".into(), "A".into())]);
/// ```
pub fn fields(body: &[u8], most: usize, longest: usize) -> Result<Vec<Field<'_>>, Flaw> {
    let mut read = Vec::new();
    for pair in urlencoded::pairs(body) {
        if read.len() >= most {
            return Err(Flaw::TooLarge("fields"));
        }
        let (name, text) = pair.ok_or(Flaw::Malformed("a field is not UTF-8, or not percent-encoded"))?;
        if name.len().saturating_add(text.len()) > longest {
            return Err(Flaw::TooLarge("a field"));
        }
        if name == "_charset_" && !text.eq_ignore_ascii_case("utf-8") {
            return Err(Flaw::Malformed("_charset_ is not UTF-8"));
        }
        read.push((name, text));
    }
    Ok(read)
}

//! The cookies that everybody can read.
//!
//! A browser sends the cookies of a host's neighbours too, and a script may set one of any bytes (RFC 6265 §5.4; §4.1.1 has
//! ASCII alone). A framework that decodes the field as a whole fails for all of them, so one page of a neighbour
//! would lock a visitor out. A refusal would do the same: what is not UTF-8 is dropped, and the rest stays as it was sent.

/// The pairs of a `Cookie` field that are UTF-8. Each character stands for a byte.
///
/// ```
/// assert_eq!(rampart::hygiene::readable_cookies("a=1; b=\u{ff}; c=\u{c3}\u{a9}"), "a=1; c=\u{c3}\u{a9}");
/// ```
pub fn readable_cookies(field: &str) -> String {
    let readable = field.split(';').filter(|pair| pair.is_ascii() || is_utf8(pair));
    readable.collect::<Vec<_>>().join(";").trim_ascii().to_owned()
}

fn is_utf8(pair: &str) -> bool {
    let bytes: Result<Vec<u8>, _> = pair.chars().map(|c| u8::try_from(u32::from(c))).collect();
    bytes.is_ok_and(|bytes| std::str::from_utf8(&bytes).is_ok())
}

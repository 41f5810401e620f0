//! The path as the application reads it, decoded once.
//!
//! 1. it is UTF-8: no overlong form, which hides a `/` or a `.` from who looks for the byte (RFC 3629 §10), and no surrogate;
//! 2. it has no control character, of which NUL ends a string in C (CWE-158), and a line feed a line of a log;
//! 3. it has no backslash, which Windows and browsers take for a slash, unless slashes may be data;
//! 4. no segment of it is `.` or `..`, whichever of the two slashes is around it (CWE-22);
//! 5. it begins with one slash: `//evil.example` is an address of another host to a browser that is sent there.

use std::borrow::Cow;

use super::{Head, Refusal, framing};

/// Judges a path of characters that stand for bytes.
pub(super) fn judge(path: &str, encoded_slashes: bool) -> Result<(), Refusal> {
    if path.is_ascii() { text(path, encoded_slashes) } else { bytes(&raw(path)?, encoded_slashes) }
}

/// Judges a path of bytes.
pub(super) fn bytes(path: &[u8], encoded_slashes: bool) -> Result<(), Refusal> {
    let path = std::str::from_utf8(path).map_err(|_| Refusal::Encoding)?;
    text(path, encoded_slashes)?;
    // Those beyond ASCII, such as U+0085, which is a line break to some.
    if !path.is_ascii() && path.chars().any(char::is_control) {
        return Err(Refusal::Control);
    }
    Ok(())
}

/// Whether the path as a whole begins as a path does.
pub(super) fn begins(head: &Head<'_>) -> Result<(), Refusal> {
    let slash = |b: Option<&u8>| matches!(b, Some(b'/' | b'\\'));
    let of_all = if head.mount.is_empty() { head.path } else { head.mount }.as_bytes();
    if slash(of_all.first()) && slash(of_all.get(1)) {
        return Err(Refusal::Slashes);
    }
    let is_path = |path: &str| path.is_empty() || path.starts_with('/');
    // `OPTIONS *` asks of the server, not of a place (RFC 9110 §9.3.7).
    let of_server = head.method == "OPTIONS" && head.path == "*";
    let begins = is_path(head.mount) && is_path(head.path);
    if begins || of_server || head.relative { Ok(()) } else { Err(Refusal::Slashes) }
}

/// The bytes that the characters stand for.
pub(super) fn raw(text: &str) -> Result<Cow<'_, [u8]>, Refusal> {
    if text.is_ascii() {
        return Ok(Cow::Borrowed(text.as_bytes()));
    }
    let bytes = text.chars().map(|c| u8::try_from(u32::from(c)).map_err(|_| Refusal::Encoding));
    bytes.collect::<Result<Vec<u8>, _>>().map(Cow::Owned)
}

fn text(path: &str, encoded_slashes: bool) -> Result<(), Refusal> {
    let bytes = path.as_bytes();
    if framing::has_control(bytes) {
        return Err(Refusal::Control);
    }
    let is_slash = |b: &u8| *b == b'/' || *b == b'\\';
    if bytes.contains(&b'.') && bytes.split(is_slash).any(|segment| segment == b"." || segment == b"..") {
        return Err(Refusal::DotSegment);
    }
    if !encoded_slashes && bytes.contains(&b'\\') {
        return Err(Refusal::Backslash);
    }
    Ok(())
}

//! Where a request's body ends, said once and in one way; and which bytes a field may have at all.
//!
//! 1. the request line ends in `HTTP/` and digits: uWSGI gives `GET /a b HTTP/1.1` the path `/a` and the version
//!    `b HTTP/1.1`, with which its answer then begins (RFC 9112 §2.3);
//! 2. `Content-Length` is digits and nothing else: no sign, no list, no `0x` (RFC 9110 §8.6);
//! 3. `Transfer-Encoding` is `chunked` and nothing else (servers take that off, and would leave another coding to the
//!    application as if it were the body; `identity` was withdrawn, RFC 9112 §7), and not beside a `Content-Length` (§6.3);
//! 4. `Expect` is `100-continue`, or it cannot be met (RFC 9110 §10.1.1).
//!
//! A `Content-Length` on a GET is fine: its body is read or thrown away like any other.

use super::{Head, Refusal};

pub(super) fn judge(head: &Head<'_>) -> Result<(), Refusal> {
    let is_version = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if !head.protocol.is_empty() && !head.protocol.strip_prefix("HTTP/").is_some_and(is_version) {
        return Err(Refusal::Protocol);
    }
    if !head.length.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Refusal::Length);
    }
    if let Some(coding) = head.transfer {
        let coding = coding.trim_ascii();
        if !coding.is_empty() && (!coding.eq_ignore_ascii_case("chunked") || !head.length.is_empty()) {
            return Err(Refusal::Transfer);
        }
    }
    match head.expect.map(str::trim_ascii) {
        None | Some("") => Ok(()),
        Some(expected) if expected.eq_ignore_ascii_case("100-continue") => Ok(()),
        Some(_) => Err(Refusal::Expectation),
    }
}

/// Whether the value of a field may be read: no control character but the tab (RFC 9110 §5.5).
#[inline]
pub fn may_arrive(value: &[u8]) -> bool {
    // One pass without branches, so that the compiler works on many bytes at once.
    !value.iter().fold(false, |any, &b| any | (((b < 0x20) & (b != b'\t')) | (b == 0x7f)))
}

/// Whether the name of a field may be read: no space and no control character. `Transfer-Encoding : chunked` is a
/// field for one server and none for another (RFC 9112 §5.1).
#[inline]
pub fn may_name(name: &[u8]) -> bool {
    !name.iter().fold(false, |any, &b| any | ((b <= 0x20) | (b == 0x7f)))
}

#[inline]
pub(super) fn has_control(text: &[u8]) -> bool {
    text.iter().fold(false, |any, &b| any | ((b < 0x20) | (b == 0x7f)))
}

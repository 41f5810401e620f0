//! Where a token of several parts and a private key end.

use super::super::ahead::{Known, Text, never};
use super::super::text::base64url;

/// Up to five parts with dots. A full stop after a token is the sentence's.
pub(super) fn jwt(at: &mut usize, part: &mut u8, text: Text<'_>) -> Known<usize> {
    loop {
        let rest = text.get(*at..).unwrap_or_default();
        *at += rest.iter().position(|b| !base64url(*b)).unwrap_or(rest.len());
        if text.peek(*at)? != Some(b'.') || *part >= 5 {
            return Ok(*at);
        }
        if !text.peek(*at + 1)?.is_some_and(|b| base64url(b) || b == b'.') {
            return Ok(*at);
        }
        *at += 1;
        *part += 1;
    }
}

/// What the end of a PEM block is searched for.
pub(in super::super) const PEM_END: &[u8] = b"-----END";

/// Where *mark* stands next; none if the text ends before.
fn next(at: &mut usize, mark: &[u8], text: Text<'_>) -> Known<Option<usize>> {
    let rest = text.get(*at..).unwrap_or_default();
    let Some(place) = memchr::memmem::find(rest, mark) else {
        *at = (*at).max(text.len().saturating_sub(if text.is_whole() { 0 } else { mark.len() - 1 }));
        return text.need(usize::MAX, never).map(|()| None);
    };
    *at += place;
    Ok(Some(*at))
}

/// After the END line of a private key, or with the text if that is cut off.
pub(super) fn pem(at: &mut usize, text: Text<'_>) -> Known<usize> {
    if next(at, PEM_END, text)?.is_none() {
        return Ok(text.len());
    }
    let label = *at + PEM_END.len();
    let window = &text[label..text.len().min(label + 64)];
    match memchr::memmem::find(window, b"-----") {
        Some(dashes) => Ok(label + dashes + 5),
        None => text.need(label + 64, |b| b != b'-').map(|()| label),
    }
}

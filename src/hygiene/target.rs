//! The target as it stood in the request line, for what is lost when a server decodes it.
//!
//! 1. it is a path, or an address with a path that names the host of `Host`, or `*` of an OPTIONS (RFC 9112 §3.2); no
//!    other form, no fragment, no control character;
//! 2. in its path, before the `?`, no `%2f` and no `%5c`, unless these may be data: one server takes them for slashes,
//!    and its proxy did not (RFC 3986 §2.2);
//! 3. decoded once, its path is one that the application may read, also where the server has repaired what it shows.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use super::{Head, Refusal, framing, path};

pub(super) fn judge(head: &Head<'_>, encoded_slashes: bool) -> Result<(), Refusal> {
    let target = head.target;
    if target.is_empty() || (target == "*" && head.method == "OPTIONS") {
        return Ok(());
    }
    if framing::has_control(target.as_bytes()) {
        return Err(Refusal::Control);
    }
    if target.contains('#') {
        return Err(Refusal::Target);
    }
    let place = match target.split_once('?') {
        Some((place, _)) => place,
        None => target,
    };
    let place = if place.starts_with('/') || head.relative { place } else { of_address(place, head.host)? };
    if place.starts_with("//") || place.starts_with("/\\") {
        return Err(Refusal::Slashes);
    }
    let bytes = path::raw(place)?;
    if !bytes.contains(&b'%') {
        return path::bytes(&bytes, encoded_slashes);
    }
    let is_slash = |byte: &[u8]| byte.eq_ignore_ascii_case(b"2f") || byte.eq_ignore_ascii_case(b"5c");
    if !encoded_slashes && escapes(&bytes).any(is_slash) {
        return Err(Refusal::EncodedSlash);
    }
    path::bytes(&Cow::from(percent_decode(&bytes)), encoded_slashes)
}

/// The path of an address, which names the host that `Host` names (RFC 9112 §3.2.2).
fn of_address<'t>(place: &'t str, host: &str) -> Result<&'t str, Refusal> {
    let lower = place.get(..8).unwrap_or(place).to_ascii_lowercase();
    let skipped = ["http://", "https://"].into_iter().find(|scheme| lower.starts_with(scheme)).map(str::len);
    let rest = skipped.and_then(|skipped| place.get(skipped..)).ok_or(Refusal::Target)?;
    let (authority, place) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if authority.is_empty() || !authority.eq_ignore_ascii_case(host) {
        return Err(Refusal::Authority);
    }
    Ok(place)
}

/// What follows each `%`, two bytes of it.
fn escapes(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.windows(3).filter_map(|three| three.strip_prefix(b"%"))
}

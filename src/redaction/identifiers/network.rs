//! Finds addresses of hosts: IPv4 (RFC 791, written as RFC 6943 §3.1.1 calls strict), IPv6 (RFC 4291 §2.2, RFC 5952,
//! with a zone as in RFC 4007 §11), and hardware addresses (IEEE 802: six pairs with `:` or `-`, or three
//! groups of four with `.`).
//!
//! It leaves what is nobody's: `127.0.0.0/8`, `0.0.0.0`, `255.255.255.255`, `::`, `::1`, the hardware
//! addresses of zeros and of ones; and what is no address: four numbers after the word *version* or after a
//! product's name and `/` (`Chrome/119.0.0.0`), more than four numbers with dots, and the longer rows of pairs of
//! a fingerprint.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Place, closes};
use crate::redaction::Finding;
use crate::redaction::text::{alnum, percent, run};

/// The longest address, `0000:…:255.255.255.255`, and a byte to see that it ends.
const MOST: usize = 46;

/// The longest name of a zone, as of an interface.
const ZONE: usize = 16;

/// The address that starts at *place*.
pub(super) fn ip(place: &Place<'_>, floor: usize) -> Option<Finding> {
    let Place { text, start, end } = *place;
    match text.get(end) {
        Some(b'.') if end - start <= 3 => v4(place, floor),
        Some(b':') if end - start <= 4 => v6(text, start),
        _ => None,
    }
}

fn v4(place: &Place<'_>, floor: usize) -> Option<Finding> {
    let Place { text, start, .. } = *place;
    if !text.get(start).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let window = &text[..text.len().min(start + 17)];
    let end = start + run(window, start, |b| b.is_ascii_digit() || b == b'.');
    // The full stop is the sentence's.
    let end = if text[end - 1] == b'.' { end - 1 } else { end };
    let address: Ipv4Addr = std::str::from_utf8(&text[start..end]).ok()?.parse().ok()?;
    let nobody = address.is_loopback() || address.is_unspecified() || address.is_broadcast();
    // `10.0.0.0/8` is a network, and `10.0.0.1-10.0.0.9` a range: both tell as much.
    let ends = match text.get(end) {
        Some(b'/' | b'-') => true,
        Some(b'.') => closes(text, end) && !text.get(end + 1).is_some_and(u8::is_ascii_alphanumeric),
        _ => closes(text, end),
    };
    if nobody || !ends || is_version(&text[floor.max(start.saturating_sub(VERSION))..start]) {
        return None;
    }
    Finding::new(start, end, "IP_ADDRESS")
}

/// How far before four numbers it may be said that they are a version, in bytes.
const VERSION: usize = 24;

/// Whether *before* ends in a word that is followed by a version, or in a product's name and `/` (RFC 9110 §5.6.6).
fn is_version(before: &[u8]) -> bool {
    let product = before.strip_suffix(b"/").and_then(|rest| rest.last());
    if product.is_some_and(u8::is_ascii_alphabetic) {
        return true;
    }
    let signs = before.iter().rev().take_while(|b| b" =:\"'(>v".contains(b)).count();
    let rest = &before[..before.len() - signs];
    let letters = rest.iter().rev().take_while(|b| b.is_ascii_alphabetic()).count();
    let word = &rest[rest.len() - letters..];
    // The `v` of `v 1.2.3.4` was taken for a sign.
    ["version", "ersion", "ver", "release", "build", "firmware", "driver", "rev", "oid", "section"]
        .iter()
        .any(|known| word.eq_ignore_ascii_case(known.as_bytes()))
}

fn v6(text: &[u8], start: usize) -> Option<Finding> {
    let window = &text[..text.len().min(start + MOST)];
    let mut end = start + run(window, start, |b| b.is_ascii_hexdigit() || b == b':' || b == b'.');
    // A full stop or colon at the end is the sentence's, but for the two colons of a prefix.
    while end > start && (text[end - 1] == b'.' || (text[end - 1] == b':' && text[end - 2.min(end)] != b':'))
    {
        end -= 1;
    }
    let spelled = &text[start..end];
    let colons = spelled.iter().filter(|b| **b == b':').count();
    if colons < 2 || !spelled.iter().any(u8::is_ascii_digit) {
        // `a::b` and `dead::beef` are names of programs.
        return None;
    }
    let address: Ipv6Addr = std::str::from_utf8(spelled).ok()?.parse().ok()?;
    let inner = address.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback() || v4.is_unspecified());
    if address.is_loopback() || address.is_unspecified() || inner {
        return None;
    }
    if let Some(end) = zone_end(text, end) {
        return Finding::new(start, end, "IP_ADDRESS");
    }
    let ends = matches!(text.get(end), Some(b'/' | b'-')) || closes(text, end);
    ends.then(|| Finding::new(start, end, "IP_ADDRESS")).flatten()
}

/// The end of the zone at *at*: `%` (`%25` in a URL, RFC 6874) and the name of an interface.
///
/// Only a whole name: an escape such as `%20` starts none, nor is what goes on or is another's name or value cut in two.
fn zone_end(text: &[u8], at: usize) -> Option<usize> {
    let sign = match percent(text, at) {
        Some(b'%') => 3,
        Some(_) => return None,
        None if text.get(at) == Some(&b'%') => 1,
        None => return None,
    };
    let name = at + sign;
    let window = &text[..text.len().min(name + ZONE + 1)];
    let length = run(window, name, |b| alnum(b) || b == b'.');
    let end = name + length;
    let whole = closes(text, end) && !matches!(text.get(end), Some(b'_' | b'=' | b':' | b'%'));
    ((1..=ZONE).contains(&length) && whole).then_some(end)
}

/// The hardware address that starts at *place*.
pub(super) fn mac(place: &Place<'_>) -> Option<Finding> {
    let Place { text, start, end } = *place;
    let joint = *text.get(end)?;
    let group = match (end - start, joint) {
        (2, b':' | b'-') => 2,
        (4, b'.') => 4,
        _ => return None,
    };
    let length = 12 + 12 / group - 1;
    let spelled = text.get(start..start + length)?;
    let fits =
        |(i, b): (usize, &u8)| if i % (group + 1) == group { *b == joint } else { b.is_ascii_hexdigit() };
    if !spelled.iter().enumerate().all(fits) {
        return None;
    }
    let letters = spelled.iter().any(u8::is_ascii_alphabetic);
    // Six pairs of digits with dashes are a time.
    if !letters && joint != b':' {
        return None;
    }
    let one = spelled.iter().filter(|b| **b != joint).all(|b| b.eq_ignore_ascii_case(&spelled[0]));
    let goes_on = text.get(start + length) == Some(&joint)
        && text.get(start + length + 1).is_some_and(u8::is_ascii_hexdigit);
    if (one && matches!(spelled[0], b'0' | b'f' | b'F')) || goes_on || !closes(text, start + length) {
        return None;
    }
    Finding::new(start, start + length, "MAC_ADDRESS")
}

//! The values of labels: cut to their bounds, and as they stand in the table.
//!
//! In a slot each value is its length in one byte and then its bytes, which are UTF-8. A value that is too long is cut
//! and ends in a hash of all of it, so that two such values stay two.

use std::borrow::Cow;
use std::hash::Hasher;

use siphasher::sip::SipHasher24;

/// What stands for values that found no room.
pub(super) const OTHER: &str = "<other>";
/// The route of a request that matched none.
pub(super) const UNMATCHED: &str = "<unmatched>";

/// A value within `most` bytes.
pub(super) fn fitted(value: &str, most: usize) -> Cow<'_, str> {
    if value.len() <= most {
        return Cow::Borrowed(value);
    }
    // Not a secret: who names a route may name another with the same hash.
    let mut hasher = SipHasher24::new();
    hasher.write(value.as_bytes());
    let mark = format!("~{:016x}", hasher.finish());
    let mut end = most.saturating_sub(mark.len());
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    Cow::Owned(format!("{}{mark}", value.get(..end).unwrap_or_default()))
}

/// The methods of RFC 9110 section 9 and RFC 5789: of others a peer could make up any number.
pub(super) fn method(name: &str) -> &'static str {
    const KNOWN: [&str; 9] = ["GET", "POST", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];
    KNOWN.into_iter().find(|known| *known == name).unwrap_or(OTHER)
}

/// A status that is registered, or its class: a view may let a peer choose it.
pub(super) fn status(code: i64) -> &'static str {
    match code {
        101 => "101",
        200 => "200",
        201 => "201",
        202 => "202",
        203 => "203",
        204 => "204",
        205 => "205",
        206 => "206",
        300 => "300",
        301 => "301",
        302 => "302",
        303 => "303",
        304 => "304",
        307 => "307",
        308 => "308",
        400 => "400",
        401 => "401",
        402 => "402",
        403 => "403",
        404 => "404",
        405 => "405",
        406 => "406",
        408 => "408",
        409 => "409",
        410 => "410",
        411 => "411",
        412 => "412",
        413 => "413",
        414 => "414",
        415 => "415",
        416 => "416",
        417 => "417",
        418 => "418",
        421 => "421",
        422 => "422",
        423 => "423",
        424 => "424",
        425 => "425",
        426 => "426",
        428 => "428",
        429 => "429",
        431 => "431",
        451 => "451",
        500 => "500",
        501 => "501",
        502 => "502",
        503 => "503",
        504 => "504",
        505 => "505",
        507 => "507",
        508 => "508",
        511 => "511",
        other => class(other),
    }
}

fn class(status: i64) -> &'static str {
    match status {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        500..=599 => "5xx",
        _ => OTHER,
    }
}

/// The values as bytes, in `room` bytes; what does not fit is left out, which `fitted` values never are.
pub(super) fn packed(values: &[&str], room: &mut [u8]) {
    let mut at = 0;
    for value in values {
        let Some(target) = room.get_mut(at..at + 1 + value.len()) else { return };
        target[0] = value.len() as u8;
        target[1..].copy_from_slice(value.as_bytes());
        at += 1 + value.len();
    }
}

/// The first `count` values of a slot's bytes. None if they are none: the slot was written to by something else.
pub(super) fn unpacked(bytes: &[u8], count: usize) -> Option<Vec<&str>> {
    let mut rest = bytes;
    let mut values = Vec::with_capacity(count);
    for _ in 0..count {
        let (&length, after) = rest.split_first()?;
        let (value, after) = after.split_at_checked(usize::from(length))?;
        values.push(std::str::from_utf8(value).ok()?);
        rest = after;
    }
    Some(values)
}

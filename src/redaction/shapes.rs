//! Secrets that are known by their shape: e-mail addresses, card numbers, passwords in URLs.
//!
//! Each search starts at a marked byte and reads only what may belong to the finding. Where two marks
//! could make it read the same bytes twice, a byte that no such finding contains lies between them (`@`
//! for addresses, `/` for URLs), or the reach is bounded (19 digits for cards), so the work is linear.

use super::Finding;
use super::checks;
use super::text::{alnum, char_at, char_before, is_marker, percent, run, word_starts};

/// The address round the `@` (or `%40`) at *at*.
///
/// Both sides may be in any script (RFC 6531). The local part is read without the limit of 64 (RFC 5321):
/// a long one is cut off by nobody before it is logged.
pub(super) fn email(text: &[u8], at: usize, sign: usize, floor: usize) -> Option<Finding> {
    let (domain, end) = domain(text, at + sign)?;
    if is_file_name(&text[domain..end]) {
        return None;
    }
    let start = after_escape(text, local_start(text, at, floor), at, floor);
    Finding::new(start, end, "EMAIL_ADDRESS").filter(|_| start < at)
}

fn local_start(text: &[u8], at: usize, floor: usize) -> usize {
    let mut start = at;
    while start > floor {
        let byte = text[start - 1];
        if byte == b'%' {
            // An escape is part of the name unless it stands for a delimiter, as %3D does for `=`.
            if percent(text, start - 1).is_some_and(|decoded| !is_local(decoded)) {
                return (start + 2).min(at);
            }
        } else if byte >= 0x80 {
            let (length, word) = char_before(&text[floor..], start - floor);
            if !word {
                break;
            }
            start -= length - 1;
        } else if !is_local(byte) && !is_apostrophe(text, start - 1, at, floor) {
            break;
        }
        start -= 1;
    }
    // A local part does not start with these: they belong to the sentence.
    start + text[start..at].iter().take_while(|b| b"*|{}~-.$!^#".contains(b)).count()
}

fn is_local(byte: u8) -> bool {
    alnum(byte) || byte >= 0x80 || b"._%+-~!#$*^|{}".contains(&byte)
}

/// `o'brien@…`, but not `'ann@…` nor Python's `b'ann@…`.
fn is_apostrophe(text: &[u8], place: usize, at: usize, floor: usize) -> bool {
    let letter = |i: usize| i >= floor && text[i].is_ascii_alphabetic();
    let (Some(before), true) = (place.checked_sub(1), text[place] == b'\'' && place + 1 < at) else {
        return false;
    };
    let alone = before.checked_sub(1).is_none_or(|i| !letter(i));
    letter(before) && letter(place + 1) && !(alone && b"bur".contains(&text[before]))
}

/// In `\nann@…` the `n` belongs to the escape: without it the rest of a JSON text would not be JSON.
fn after_escape(text: &[u8], start: usize, at: usize, floor: usize) -> usize {
    if start <= floor || start >= at || text[start - 1] != b'\\' {
        return start;
    }
    // Only whole escapes: what stands after a lone `\x` may be a character of several bytes.
    let digits = text[start + 1..at].iter().take(4).take_while(|b| b.is_ascii_hexdigit()).count();
    match text[start] {
        b'n' | b'r' | b't' | b'b' | b'f' => start + 1,
        b'u' if digits == 4 => start + 5,
        b'x' if digits >= 2 => start + 3,
        _ => start,
    }
}

/// Where the domain at *start* starts and ends: labels and dots, the last label not a number.
fn domain(text: &[u8], start: usize) -> Option<(usize, usize)> {
    let mut end = start;
    while let Some(&byte) = text.get(end) {
        let (length, word) = if byte < 0x80 { (1, alnum(byte)) } else { char_at(text, end) };
        let inside = word || byte == b'-' || (byte == b'.' && end > start && text[end - 1] != b'.');
        if !inside {
            break;
        }
        end += length;
    }
    loop {
        while end > start && matches!(text[end - 1], b'.' | b'-') {
            end -= 1;
        }
        let dot = text[start..end].iter().rposition(|b| *b == b'.').filter(|dot| *dot > 0)?;
        let top = &text[start + dot + 1..end];
        let letters = top.iter().filter(|b| b.is_ascii_alphabetic() || **b >= 0x80).count();
        if letters >= 2 && !top[0].is_ascii_digit() {
            return Some((start, end));
        }
        // Not a top-level domain: the sentence's, as in "ann@example.org.2".
        end = start + dot;
    }
}

/// `icon@2x.png` is a file.
fn is_file_name(domain: &[u8]) -> bool {
    [b".png".as_slice(), b".jpg", b".jpeg", b".gif", b".svg", b".webp"]
        .iter()
        .any(|end| domain.ends_with(end))
}

/// Adds the card numbers in the run of digits, blanks and dashes at *from*, and returns the run's end.
pub(super) fn cards(text: &[u8], from: usize, floor: usize, found: &mut Vec<Finding>) -> usize {
    let end = from + run(text, from, |b| b.is_ascii_digit() || b == b' ' || b == b'-');
    let mut at = from.max(floor);
    while at < end {
        if !text[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        // In `%20` and `\u0020` the digits belong to the escape.
        let escape = match &text[floor.min(at)..at] {
            [.., b'%'] | [.., b'\\', b'x'] => 2,
            [.., b'\\', b'u'] => 4,
            _ => 0,
        };
        at += run(&text[..end.min(at + escape)], at, |b| b.is_ascii_digit());
        match card(&text[..end], at).filter(|stop| stands_alone(text, at, *stop, floor)) {
            Some(stop) => {
                found.extend(Finding::new(at, stop, "CREDIT_CARD"));
                at = stop;
            }
            // A number starts with a group of digits, never inside one.
            None => at += run(&text[..end], at, |b| b.is_ascii_digit()),
        }
    }
    end
}

/// The end of the longest card number that starts at *at* and ends where a group of digits ends.
///
/// Groups are separated by one blank or one dash, the same throughout, as on the card. The first is not
/// of eight digits, as a UUID's is.
fn card(text: &[u8], at: usize) -> Option<usize> {
    let mut digits = [0u8; checks::CARD_MOST];
    let (mut count, mut place, mut separator, mut best) = (0, at, None, None);
    while let Some(&byte) = text.get(place) {
        if byte.is_ascii_digit() {
            *digits.get_mut(count)? = byte - b'0';
            count += 1;
            place += 1;
            let more = text.get(place).is_some_and(u8::is_ascii_digit);
            if more && count == checks::CARD_MOST {
                return best;
            }
            if !more && checks::is_card(&digits[..count]) {
                best = Some(place);
            }
        } else {
            let group_follows = text.get(place + 1).is_some_and(u8::is_ascii_digit);
            let same = separator.is_none_or(|s| s == byte) && !(separator.is_none() && count == 8);
            if !group_follows || !same || count == checks::CARD_MOST {
                return best;
            }
            separator = Some(byte);
            place += 1;
        }
    }
    best
}

/// Not a part of a word, nor of a decimal fraction.
fn stands_alone(text: &[u8], start: usize, end: usize, floor: usize) -> bool {
    let digit = |i: Option<usize>| i.and_then(|i| text.get(i)).is_some_and(u8::is_ascii_digit);
    let fraction = start >= floor + 2 && text[start - 1] == b'.' && digit(Some(start - 2));
    let decimals = text.get(end) == Some(&b'.') && digit(Some(end + 1));
    word_starts(text, start, floor) && !fraction && !decimals
}

/// The password in `scheme://user:password@host`, at the colon of `://`.
pub(super) fn url_password(text: &[u8], colon: usize, floor: usize) -> Option<Finding> {
    let start = colon + 3;
    if colon <= floor || !text[colon + 1..].starts_with(b"//") {
        return None;
    }
    // A replacement is no part of a URL: it was found on its own.
    let until = |from: usize, stop: &[u8], most: usize| {
        let window = &text[from..text.len().min(from.saturating_add(most))];
        let stops = |i: &usize| {
            window[*i] <= b' '
                || stop.contains(&window[*i])
                || (window[*i] == b'[' && is_marker(&window[*i..]))
        };
        from + (0..window.len()).find(stops).unwrap_or(window.len())
    };
    let mut end = until(start, b"/?#\"'`<>()\\", usize::MAX);
    let password = start + text[start..end].iter().position(|b| *b == b':')? + 1;
    let mut at = text[password..end].iter().rposition(|b| *b == b'@');
    if at.is_none() && !text[password..end].iter().all(u8::is_ascii_digit) {
        // Not a port, so a password with a delimiter that should have been encoded.
        end = until(end, b"\"<>", 256);
        at = text[password..end].iter().rposition(|b| *b == b'@');
    }
    Finding::new(password, password + at?, "PASSWORD")
}

/// What the end of a PEM block is searched for.
const PEM_END: &[u8] = b"-----END";

/// Where a private key in PEM ends: after its END line, or with the text if that is cut off.
pub(super) fn pem_end(text: &[u8], from: usize) -> usize {
    let Some(end) = memchr::memmem::find(&text[from..], PEM_END) else { return text.len() };
    let label = from + end + PEM_END.len();
    let dashes = memchr::memmem::find(&text[label..text.len().min(label + 64)], b"-----");
    label + dashes.map_or(0, |i| i + 5)
}

/// Where a JSON Web Token ends whose header starts at *start*, or where its first part ended in vain.
///
/// Three parts (JWS) or five (JWE); a token without a signature, or with the signature cut off, counts if
/// its second part is JSON as well. Flask's signed sessions have the same shape.
pub(super) fn jwt_end(text: &[u8], start: usize) -> Result<usize, usize> {
    let part = |from: usize| run(text, from, super::text::base64url);
    let header = start + part(start);
    let dotted = |at: usize| text.get(at) == Some(&b'.');
    if header - start < 10 || !dotted(header) {
        return Err(header);
    }
    let payload = header + 1 + part(header + 1);
    let is_json = text[header + 1..].starts_with(b"eyJ");
    let third = if dotted(payload) { part(payload + 1) } else { 0 };
    if !(is_json && payload - header > 4) && third < 10 {
        return Err(header);
    }
    let mut end = payload;
    for _ in 2..5 {
        let next = if dotted(end) { part(end + 1) } else { break };
        // A full stop after a token is the sentence's.
        let more = next > 0 || (text.get(end + 1) == Some(&b'.'));
        if !more {
            break;
        }
        end += 1 + next;
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redaction::MARKER;

    #[test]
    fn the_marker_is_no_part_of_any_shape() {
        assert!(MARKER.iter().all(|b| !is_local(*b) || b.is_ascii_uppercase()));
    }
}

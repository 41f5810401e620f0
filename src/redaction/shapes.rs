//! Secrets that are known by their shape: e-mail addresses, card numbers, passwords in URLs.
//!
//! Each search starts at a marked byte and reads only what may belong to the find, and that within a bound. What
//! is longer than such a thing can be is hidden to its end ([`Tail`]) without being understood: in doubt, more is hidden.

use super::ahead::{Known, Text, never};
use super::checks;
use super::tails::Tail;
use super::text::{alnum, base64url, char_at, char_before, percent, run, word_starts};
use super::{Find, Finding, identifiers};

/// The address round the `@` (or `%40`) at *at*.
///
/// Both sides may be in any script (RFC 6531). The local part has at most 64 bytes (RFC 5321 §4.5.3.1.1); [`LOCAL`] of
/// what stands there are hidden, since they may be percent-encoded. A domain has at most 255 bytes (RFC 1035 §2.3.4);
/// what goes on after that is hidden with it.
pub(super) fn email(text: Text<'_>, at: usize, sign: usize, floor: usize) -> Known<Option<Find>> {
    let start = after_escape(&text, local_start(&text, at, floor), at, floor);
    if start >= at {
        return Ok(None);
    }
    let address =
        |end, tail| Finding::new(start, end, "EMAIL_ADDRESS").map(|finding| Find::new(finding, tail));
    Ok(match domain(text, at + sign)? {
        Domain::Whole(domain, end) if is_file_name(&text[domain..end]) => None,
        Domain::Whole(_, end) => address(end, Tail::ended(end)),
        Domain::TooLong(end) => address(end, Tail::run_of(end, is_domain)),
        Domain::None => None,
    })
}

/// The most bytes of a local part that are hidden.
pub(super) const LOCAL: usize = 256;

/// Where a local part starts that ends at *at*, as far as is known if an `@` is still to come.
pub(super) fn local_start(text: &[u8], at: usize, floor: usize) -> usize {
    let mut start = at;
    while start > floor {
        let byte = text[start - 1];
        let mut length = 1;
        if byte == b'%' {
            // An escape is part of the name unless it stands for a delimiter, as %3D does for `=`.
            if percent(text, start - 1).is_some_and(|decoded| !is_local(decoded)) {
                return (start + 2).min(at);
            }
        } else if byte >= 0x80 {
            let (whole, word) = char_before(&text[floor..], start - floor);
            if !word {
                break;
            }
            length = whole;
        } else if !is_local(byte) && !is_apostrophe(text, start - 1, at, floor) {
            break;
        }
        if at - start + length > LOCAL {
            break;
        }
        start -= length;
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

/// What stands after an `@`.
enum Domain {
    /// From here to there.
    Whole(usize, usize),
    /// More than a domain can be: it goes on from here.
    TooLong(usize),
    None,
}

/// The most bytes of a domain.
const DOMAIN: usize = 255;

/// What may stand in a domain. Letters of other scripts are told from other signs where it is not too long.
fn is_domain(byte: u8) -> bool {
    alnum(byte) || matches!(byte, b'-' | b'.' | 0x80..)
}

/// The domain at *start*: labels and dots, the last label not a number.
fn domain(text: Text<'_>, start: usize) -> Known<Domain> {
    let mut end = start;
    loop {
        if end - start > DOMAIN {
            return Ok(Domain::TooLong(end));
        }
        let Some(&byte) = text.get(end) else {
            text.need(start + DOMAIN + 1, is_domain)?;
            break;
        };
        if byte >= 0x80 {
            text.character(end)?;
        }
        let (length, word) = if byte < 0x80 { (1, alnum(byte)) } else { char_at(&text, end) };
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
        let dot = text[start..end].iter().rposition(|b| *b == b'.').filter(|dot| *dot > 0);
        let Some(dot) = dot else { return Ok(Domain::None) };
        let top = &text[start + dot + 1..end];
        let letters = top.iter().filter(|b| b.is_ascii_alphabetic() || **b >= 0x80).count();
        if letters >= 2 && !top[0].is_ascii_digit() {
            return Ok(Domain::Whole(start, end));
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

/// Where the first group of digits starts in the run of digits, blanks and dashes at *from*; none if there is none.
pub(super) fn next_group(text: &[u8], from: usize) -> Option<usize> {
    let at = from + run(text, from, |b| b == b' ' || b == b'-');
    text.get(at).is_some_and(u8::is_ascii_digit).then_some(at)
}

/// The card number that the group of digits at *at* begins, and where groups may go on; none if no other card can begin
/// in the run.
pub(super) fn card_at(text: Text<'_>, at: usize, floor: usize) -> Known<(Option<Finding>, Option<usize>)> {
    // In `%20` and `\u0020` the digits belong to the escape.
    let escape = match &text[floor.min(at)..at] {
        [.., b'%'] | [.., b'\\', b'x'] => 2,
        [.., b'\\', b'u'] => 4,
        _ => 0,
    };
    if escape > 0 {
        return Ok((None, Some(at + text.run(at, escape, |b| b.is_ascii_digit())?)));
    }
    if !checks::may_start_card(text.get(at).copied().unwrap_or_default()) {
        return Ok((None, Some(at)));
    }
    let in_run = |b: u8| b.is_ascii_digit() || b == b' ' || b == b'-';
    if text.run(at, checks::CARD_LEAST, in_run)? < checks::CARD_LEAST {
        return Ok((None, None));
    }
    if !text.is_whole() {
        let length = text.run(at, CARD, in_run)?;
        if text.peek(at + length)? == Some(b'.') {
            text.peek(at + length + 1)?;
        }
    }
    let found = card(&text[..text.len().min(at + CARD)], at, floor)
        .filter(|stop| stands_alone(&text, at, *stop, floor));
    if found.is_some() {
        // An account that it may be the middle of.
        text.need(at + ACCOUNT_AHEAD, never)?;
    }
    let found = found
        .filter(|stop| !in_account(&text, at, *stop, floor))
        .and_then(|stop| Finding::new(at, stop, "CREDIT_CARD"));
    Ok((found, Some(found.map_or(at, |found| found.end))))
}

/// A card's number, its separators and what is looked at behind it are shorter than this.
const CARD: usize = 64;

/// The end of the longest card number that starts at *at* and ends where a group of digits ends.
///
/// Groups are separated by one blank or one dash, the same throughout. More than three are those on a card ([`GROUPS`]), unless a
/// word for one stands before: other numbers in a row make a right check digit by chance.
fn card(text: &[u8], at: usize, floor: usize) -> Option<usize> {
    let announced = is_announced(&text[at.saturating_sub(ACCOUNT).max(floor.min(at))..at]);
    let mut digits = [0u8; checks::CARD_MOST];
    let (mut count, mut place, mut separator, mut best) = (0, at, None, None);
    // The lengths of the groups, as digits of a number.
    let (mut groups, mut group) = (0u32, 0);
    while let Some(&byte) = text.get(place) {
        if byte.is_ascii_digit() {
            *digits.get_mut(count)? = byte - b'0';
            count += 1;
            group += 1;
            place += 1;
            let more = text.get(place).is_some_and(u8::is_ascii_digit);
            if more && count == checks::CARD_MOST {
                return best;
            }
            if !more
                && (groups < 100
                    || announced
                    || GROUPS.contains(&(groups.saturating_mul(10).saturating_add(group))))
                && checks::is_card(&digits[..count])
            {
                best = Some(place);
            }
        } else {
            let separates = matches!(byte, b' ' | b'-');
            let group_follows = separates && text.get(place + 1).is_some_and(u8::is_ascii_digit);
            let same = separator.is_none_or(|s| s == byte) && group > 0;
            let many = groups > 9_999 && !announced;
            if !group_follows || !same || count == checks::CARD_MOST || many {
                return best;
            }
            separator = Some(byte);
            (groups, group) = (groups.saturating_mul(10).saturating_add(group.min(9)), 0);
            place += 1;
        }
    }
    best
}

/// How many digits stand together on cards, and where people copy them, if these are four groups or more: of 16 (ISO/IEC 7812-1,
/// most), 15 (American Express), 14 (Diners), 13 (old ones of Visa), 18 and 19 digits (Maestro, UnionPay).
const GROUPS: &[u32] = &[4_444, 4_443, 4_442, 4_441, 3_444, 4_333, 44_443, 44_442, 44_441, 24_444, 24_445];

/// Whether what stands before a number says that it is a card's.
fn is_announced(before: &[u8]) -> bool {
    if !before.iter().any(u8::is_ascii_alphabetic) {
        return false;
    }
    let before = before.to_ascii_lowercase();
    let alone = |at: usize, length: usize| {
        let letter = |at: Option<usize>| at.and_then(|i| before.get(i)).is_some_and(u8::is_ascii_alphabetic);
        !letter(at.checked_sub(1)) && !letter(Some(at + length))
    };
    CARDS.iter().any(|word| memchr::memmem::find(&before, word).is_some())
        || [b"pan".as_slice(), b"cc"]
            .iter()
            .any(|word| memchr::memmem::find(&before, word).is_some_and(|at| alone(at, word.len())))
}

/// Words for cards, in some languages, and who issues them.
const CARDS: &[&[u8]] = &[
    b"card",
    b"kart",
    b"carte",
    b"carta",
    b"tarjeta",
    b"visa",
    b"maestro",
    b"amex",
    b"american express",
    b"diners",
];

/// Whether the digits are the middle of a bank account's number, in groups of four: `FR14 2004 1010 0505 …`. Its country,
/// length and two check digits say more than a card's one.
fn in_account(text: &[u8], start: usize, end: usize, floor: usize) -> bool {
    let first = start.saturating_sub(ACCOUNT).max(floor);
    (first..start).any(|at| {
        word_starts(text, at, floor)
            && text[at].is_ascii_alphabetic()
            && identifiers::account_end(text, at).is_some_and(|stop| stop > start && stop >= end)
    })
}

/// How far before a card its account may start, in bytes: 33 places and their blanks, less the card's thirteen digits.
const ACCOUNT: usize = 25;

/// How far behind a card's first digit its account may reach, and one byte more.
const ACCOUNT_AHEAD: usize = 45;

/// Not a part of a word, nor of a decimal fraction.
fn stands_alone(text: &[u8], start: usize, end: usize, floor: usize) -> bool {
    let digit = |i: Option<usize>| i.and_then(|i| text.get(i)).is_some_and(u8::is_ascii_digit);
    let fraction = start >= floor + 2 && text[start - 1] == b'.' && digit(Some(start - 2));
    let decimals = text.get(end) == Some(&b'.') && digit(Some(end + 1));
    word_starts(text, start, floor) && !fraction && !decimals
}

/// The password in `scheme://user:password@host`, at the colon of `://`.
///
/// Of what stands before the host, [`AUTHORITY`] bytes are read. If no delimiter ends it there, what comes after the
/// user's name (or after these bytes, if that does not end either) is hidden to the next delimiter, the host with it.
pub(super) fn url_password(text: Text<'_>, colon: usize, floor: usize) -> Known<Option<Find>> {
    let start = colon + 3;
    if colon <= floor || !text.starts_with(colon + 1, b"//")? {
        return Ok(None);
    }
    let (mut end, whole) = until(text, start, AUTHORITY, b"/?#\"'`<>()\\")?;
    let name = text[start..end].iter().position(|b| *b == b':');
    let password = match name {
        Some(length) => start + length + 1,
        None if whole => return Ok(None),
        None => end,
    };
    if !whole {
        let tail = Tail::run_of(end, |b| b > b' ' && !b"/?#\"'`<>()\\[".contains(&b));
        return super::values::begun(text, password, "PASSWORD", tail, &[]);
    }
    let mut at = text[password..end].iter().rposition(|b| *b == b'@');
    if at.is_none() && !text[password..end].iter().all(u8::is_ascii_digit) {
        // Not a port, so a password with a delimiter that should have been encoded.
        (end, _) = until(text, end, 256, b"\"<>")?;
        at = text[password..end].iter().rposition(|b| *b == b'@');
    }
    let Some(length) = at else { return Ok(None) };
    let end = password + length;
    let finding = Finding::new(password, end, "PASSWORD");
    Ok(finding.map(Find::whole))
}

/// How much is read of a URL's authority (RFC 3986 §3.2), in bytes.
const AUTHORITY: usize = 512;

/// Where a blank, one of *stops* or a replacement (which was found on its own) stands after *from*, among the next *most*
/// bytes; whether one does, or the text ends.
fn until(text: Text<'_>, from: usize, most: usize, stops: &[u8]) -> Known<(usize, bool)> {
    for at in from..from + most {
        let Some(&byte) = text.get(at) else {
            text.need(from + most, |b| b > b' ' && !b"/?#\"'`<>()\\[".contains(&b))?;
            return Ok((at, true));
        };
        if byte <= b' ' || stops.contains(&byte) || (byte == b'[' && text.marker(at)?.is_some()) {
            return Ok((at, true));
        }
    }
    Ok((from + most, false))
}

/// What begins as a JSON Web Token does at *start*; or where its first part ended in vain.
///
/// Three parts (JWS) or five (JWE); a token without a signature, or with the signature cut off, counts if
/// its second part is JSON as well. Flask's signed sessions have the same shape. What does not end within [`TOKEN`] bytes
/// is one, too.
pub(super) fn jwt(text: Text<'_>, start: usize) -> Known<Result<Tail, usize>> {
    let header = start + text.run(start, TOKEN, base64url)?;
    if header - start == TOKEN {
        return Ok(Ok(Tail::jwt(header, 1)));
    }
    if header - start < 10 || text.peek(header)? != Some(b'.') {
        return Ok(Err(header));
    }
    let second = header + 1;
    let is_token = || Ok(Ok(Tail::jwt(second, 2)));
    if text.starts_with(second, b"eyJ")? && text.run(second, 4, base64url)? == 4 {
        return is_token();
    }
    let length = text.run(second, TOKEN, base64url)?;
    if length == TOKEN {
        return is_token();
    }
    let third = second + length;
    let dotted = text.peek(third)? == Some(b'.');
    if dotted && text.run(third + 1, 10, base64url)? == 10 { is_token() } else { Ok(Err(header)) }
}

/// How much is read of a token's part to see whether it ends, in bytes.
const TOKEN: usize = 768;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redaction::MARKER;

    #[test]
    fn the_marker_is_no_part_of_any_shape() {
        assert!(MARKER.iter().all(|b| !is_local(*b) || b.is_ascii_uppercase()));
    }
}

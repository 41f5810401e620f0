//! Small questions about bytes of a text that is mostly, but not surely, UTF-8.

/// What every replacement starts with. What already stands between these is left alone.
pub(super) const MARKER: &[u8] = b"[REDACTED:";

/// Whether a replacement starts here: `[REDACTED:`, an entity's name and `]`.
pub(super) fn is_marker(text: &[u8]) -> bool {
    marker_length(text).is_some()
}

/// The length of the replacement that starts here.
pub(super) fn marker_length(text: &[u8]) -> Option<usize> {
    let entity = text.strip_prefix(MARKER)?;
    let length = entity
        .iter()
        .take(40)
        .take_while(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || **b == b'_')
        .count();
    (length > 0 && entity.get(length) == Some(&b']')).then_some(MARKER.len() + length + 1)
}

/// The byte that `%XX` at *at* stands for.
pub(super) fn percent(text: &[u8], at: usize) -> Option<u8> {
    match text.get(at..at + 3)? {
        [b'%', high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
        _ => None,
    }
}

fn nibble(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|value| value as u8)
}

/// Whether a token may start at *at*: nothing that belongs to a word stands before it.
///
/// The tail of an escape is not part of a word: `\n`, `\u001b`, `%20`, nor that of a terminal's colour code.
pub(super) fn word_starts(text: &[u8], at: usize, floor: usize) -> bool {
    if at <= floor {
        return true;
    }
    let before = text[at - 1];
    if !before.is_ascii_alphanumeric() {
        return true;
    }
    let back = |n: usize| at.checked_sub(n).and_then(|i| text.get(i)).copied();
    (at >= 3 && percent(text, at - 3).is_some())
        || back(2) == Some(b'\\')
        || (back(4) == Some(b'\\') && back(3) == Some(b'x'))
        || (back(6) == Some(b'\\') && back(5) == Some(b'u'))
        || (before == b'm' && ends_colour(&text[..at - 1]))
}

/// Whether *before* ends as `ESC [ 1 ; 32` does.
fn ends_colour(before: &[u8]) -> bool {
    let digits = before.iter().rev().take(12).take_while(|b| b.is_ascii_digit() || **b == b';').count();
    before[..before.len() - digits].ends_with(b"[")
}

/// Where a token may start after the escape that the word at *at* begins in: what [`word_starts`] allows for.
pub(super) fn starts_after_escape(text: &[u8], at: usize) -> [Option<usize>; 2] {
    let before = at.checked_sub(1).and_then(|i| text.get(i)).copied();
    match before {
        Some(b'\\') => {
            let longer = match text.get(at) {
                Some(b'x') => Some(at + 3),
                Some(b'u') => Some(at + 5),
                _ => None,
            };
            [Some(at + 1), longer]
        }
        Some(b'%') => [percent(text, at - 1).map(|_| at + 2), None],
        _ => {
            let end = at + text.get(at..).map_or(0, colour_digits);
            [(text.get(end) == Some(&b'm') && ends_colour(&text[..end])).then_some(end + 1), None]
        }
    }
}

/// The length of the index that *before* ends with: `[]` or `[12]`.
pub(super) fn index_before(before: &[u8]) -> usize {
    let Some((b']', rest)) = before.split_last() else { return 0 };
    let digits = rest.iter().rev().take(8).take_while(|b| b.is_ascii_digit()).count();
    if rest[..rest.len() - digits].ends_with(b"[") { digits + 2 } else { 0 }
}

/// How a terminal's colour code starts, also in JSON and in a repr.
pub(super) const COLOURS: [&[u8]; 3] = [b"\x1b[", b"\\x1b[", b"\\u001b["];

/// The length of the colour code that starts at *at*: `ESC [ 1 ; 32 m`. Zero if none does.
pub(super) fn colour(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let Some(start) = COLOURS.iter().find(|start| rest.starts_with(start)) else { return 0 };
    let length = start.len() + colour_digits(&rest[start.len()..]);
    if rest.get(length) == Some(&b'm') { length + 1 } else { 0 }
}

/// The length of the colour code that *before* ends with.
pub(super) fn colour_before(before: &[u8]) -> usize {
    let Some((b'm', rest)) = before.split_last() else { return 0 };
    let digits = rest.iter().rev().take(MOST_DIGITS).take_while(|b| is_colour_digit(**b)).count();
    let rest = &rest[..rest.len() - digits];
    COLOURS.iter().find(|start| rest.ends_with(start)).map_or(0, |start| start.len() + digits + 1)
}

/// How many digits and semicolons stand at the start of *text*.
pub(super) fn colour_digits(text: &[u8]) -> usize {
    text.iter().take(MOST_DIGITS).take_while(|b| is_colour_digit(**b)).count()
}

const MOST_DIGITS: usize = 16;

fn is_colour_digit(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b';'
}

/// The length of the character at *at*, and whether it is part of a word.
///
/// What is not UTF-8 counts as a letter: it is more often a name in an old encoding than punctuation.
pub(super) fn char_at(text: &[u8], at: usize) -> (usize, bool) {
    let window = &text[at..text.len().min(at + 4)];
    match window.utf8_chunks().next().map(|chunk| chunk.valid().chars().next()) {
        Some(Some(c)) => (c.len_utf8(), c.is_alphanumeric()),
        // Half of a pair, as Python passes it, is one character: a stream may not cut it.
        _ if matches!(window, [0xED, 0xA0..=0xBF, 0x80..=0xBF, ..]) => (3, true),
        _ => (1, true),
    }
}

/// The same for the character that ends just before *at*, which is above 0.
pub(super) fn char_before(text: &[u8], at: usize) -> (usize, bool) {
    for length in 1..=at.min(4) {
        let start = at - length;
        if text[start] & 0xC0 != 0x80 {
            let (whole, word) = char_at(text, start);
            return if whole == length { (length, word) } else { (1, true) };
        }
    }
    (1, true)
}

/// How many bytes from *at* on are in *alphabet*.
pub(super) fn run(text: &[u8], at: usize, alphabet: fn(u8) -> bool) -> usize {
    text.get(at..).map_or(0, |rest| rest.iter().take_while(|b| alphabet(**b)).count())
}

/// Letters and digits.
pub(super) fn alnum(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

/// The alphabet of base64url, without padding.
pub(super) fn base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// The alphabet of base64, with padding.
pub(super) fn base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

/// Base64, and what stands between its parts in a token of Sentry's.
pub(super) fn sentry(byte: u8) -> bool {
    base64(byte) || byte == b'_'
}

/// Base64url, and the dots of GitLab's routable tokens.
pub(super) fn gitlab(byte: u8) -> bool {
    base64url(byte) || byte == b'.'
}

/// Base64url, and the sign before the checksum of Atlassian's tokens.
pub(super) fn atlassian(byte: u8) -> bool {
    base64url(byte) || byte == b'='
}

/// Hexadecimal digits as nearly all write them.
pub(super) fn hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// Capital letters and digits.
pub(super) fn uppercase(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

/// RFC 9110's `token68`, and both base64 alphabets.
pub(super) fn token68(byte: u8) -> bool {
    base64url(byte) || matches!(byte, b'.' | b'~' | b'+' | b'/' | b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_may_start_after_an_escape_but_not_inside_a_word() {
        for start in ["", " ", "\"", "%20", "%2B", "\\n", "\\u001b", "\\x1b", "\u{1b}[1;32m", "é"] {
            let text = format!("{start}ghp");
            assert!(word_starts(text.as_bytes(), start.len(), 0), "{start:?}");
        }
        for start in ["a", "0", "task", "20", "1b[32n"] {
            let text = format!("{start}ghp");
            assert!(!word_starts(text.as_bytes(), start.len(), 0), "{start:?}");
        }
    }

    #[test]
    fn characters_are_read_in_both_directions_also_where_they_are_broken() {
        assert_eq!(char_at("é".as_bytes(), 0), (2, true));
        assert_eq!(char_at("→".as_bytes(), 0), (3, false));
        assert_eq!(char_at(b"\xff\xfe", 0), (1, true));
        assert_eq!(char_before("x😀".as_bytes(), 5), (4, false));
        assert_eq!(char_before("xé".as_bytes(), 3), (2, true));
        assert_eq!(char_before(b"\x80\x80\x80\x80\x80", 5), (1, true));
    }
}

//! Writes the few JSON values of a log line, so that it is one line whatever the values say.

use crate::time::UnixTime;

/// Appends *text* as a JSON string of at most *most* characters, with `…` in place of what is cut off.
///
/// Escaped are, beside what RFC 8259 §7 asks, all characters that some reader takes for a line break, a
/// terminal command or a change of direction: C1 controls, U+2028, U+2029, bidirectional and invisible ones.
pub fn string(out: &mut Vec<u8>, text: &str, most: usize) {
    let cut = if text.len() <= most { None } else { text.char_indices().nth(most).map(|(at, _)| at) };
    let shown = cut.map_or(text, |at| &text[..at]);
    out.push(b'"');
    let mut rest = shown.as_bytes();
    while let Some(plain) = first_not_plain(rest) {
        out.extend_from_slice(&rest[..plain]);
        let start = shown.len() - rest.len() + plain;
        let Some(character) = shown.get(start..).and_then(|tail| tail.chars().next()) else { break };
        escape(out, character);
        rest = &rest[plain + character.len_utf8()..];
    }
    out.extend_from_slice(rest);
    if cut.is_some() {
        out.extend_from_slice("…".as_bytes());
    }
    out.push(b'"');
}

/// Where the first byte is that cannot stand as it is.
fn first_not_plain(text: &[u8]) -> Option<usize> {
    // Most texts have none. Without a way out within, a piece is looked at as a whole.
    let pieces = text.chunks_exact(PIECE);
    let whole =
        pieces.take_while(|piece| piece.iter().fold(true, |plain, b| plain & is_plain(*b))).count() * PIECE;
    let rest = &text[whole..];
    // Most texts are short, too: two halves, which may overlap. They are not all of it where a piece before was not plain.
    if rest.len() < PIECE
        && let (Some(first), Some(last)) =
            (rest.first_chunk::<{ PIECE / 2 }>(), rest.last_chunk::<{ PIECE / 2 }>())
        && first.iter().zip(last).fold(true, |plain, (a, b)| plain & is_plain(*a) & is_plain(*b))
    {
        return None;
    }
    rest.iter().position(|b| !is_plain(*b)).map(|at| whole + at)
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e) && byte != b'"' && byte != b'\\'
}

fn escape(out: &mut Vec<u8>, character: char) {
    match character {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        c if c.is_control() || is_invisible(c) => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.extend_from_slice(b"\\u");
                out.extend((0..4).rev().map(|i| HEX[usize::from(*unit >> (4 * i) & 15)]));
            }
        }
        c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

fn is_invisible(c: char) -> bool {
    matches!(c as u32,
        0x061C | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0xFEFF | 0xFFF9..=0xFFFB
        | 0xE0000..=0xE007F)
}

/// Appends a whole number.
pub fn number(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    let (mut digits, mut at, mut rest) = ([0u8; 20], 20, value.unsigned_abs());
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends an instant as RFC 3339 has it, in UTC and microseconds. Clamped to the years 1970 to 9999.
pub fn time(out: &mut Vec<u8>, now: UnixTime) {
    let micros = micros(now);
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    for (value, width, after) in [
        (year, 4, b'-'),
        (month, 2, b'-'),
        (day, 2, b'T'),
        (second / 3600, 2, b':'),
        (second / 60 % 60, 2, b':'),
        (second % 60, 2, b'.'),
        (micros, 6, b'Z'),
    ] {
        let mut digits = [0u8; 6];
        let mut rest = value;
        for digit in digits[..width].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        out.extend_from_slice(&digits[..width]);
        out.push(after);
    }
}

/// An instant in microseconds, clamped as [`time`] writes it.
pub fn micros(now: UnixTime) -> u64 {
    const LAST: f64 = 253_402_300_799.0;
    (now.0.clamp(0.0, LAST) * 1e6).round() as u64
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
///
/// Years are taken to start in March, so that the leap day is a year's last and every month's first day
/// is a linear function of its number.
fn civil(days: u64) -> (u64, u64, u64) {
    // Days since 0000-03-01, and within one 400-year cycle.
    let shifted = days + 719_468;
    let (cycle, day_of_cycle) = (shifted / 146_097, shifted % 146_097);
    let year_of_cycle =
        (day_of_cycle - day_of_cycle / 1460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (cycle * 400 + year_of_cycle + u64::from(month <= 2), month, day)
}

const PIECE: usize = 16;
const HEX: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn at(seconds: f64) -> String {
        let mut out = Vec::new();
        time(&mut out, UnixTime(seconds));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_byte_that_is_not_plain_is_found_wherever_it_stands_in_texts_of_any_length() {
        for length in 0..4 * PIECE {
            let plain = vec![b'x'; length];
            assert_eq!(first_not_plain(&plain), None);
            for at in 0..length {
                for byte in [b'\n', b'"', b'\\', 0] {
                    let mut text = plain.clone();
                    text[at] = byte;
                    assert_eq!(first_not_plain(&text), Some(at), "{length}");
                }
            }
        }
    }

    #[test]
    fn instants_are_written_in_utc_with_microseconds() {
        assert_eq!(at(0.0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(at(951_782_400.5), "2000-02-29T00:00:00.500000Z");
        assert_eq!(at(1_709_251_199.0), "2024-02-29T23:59:59.000000Z");
        assert_eq!(at(1_795_460_400.123_456), "2026-11-23T19:00:00.123456Z");
        assert_eq!(at(4_107_542_400.0), "2100-03-01T00:00:00.000000Z");
        assert_eq!(at(1e300), "9999-12-31T23:59:59.000000Z");
        assert_eq!(at(f64::NAN), "1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn every_day_of_four_centuries_follows_the_one_before() {
        let mut expected = (1970, 1, 1);
        for day in 0..146_097 {
            assert_eq!(civil(day), expected);
            let (year, month, day) = expected;
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let last = match month {
                2 => 28 + u64::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            expected = match (day == last, month) {
                (false, _) => (year, month, day + 1),
                (true, 12) => (year + 1, 1, 1),
                (true, _) => (year, month + 1, 1),
            };
        }
    }

    #[test]
    fn any_text_becomes_one_line_that_a_json_parser_reads_back() {
        let hostile =
            "a\"b\\c\nd\re\u{0}f\u{7f}g\u{85}h\u{2028}i\u{2029}j\u{202e}k\u{1b}[31ml\u{e0041}m é 😀";
        let mut out = Vec::new();
        string(&mut out, hostile, 256);
        assert!(!out.iter().any(|b| *b < 0x20 || *b == 0x7f));
        let text = std::str::from_utf8(&out).unwrap();
        assert!(!text.contains(['\u{85}', '\u{2028}', '\u{2029}', '\u{202e}', '\u{e0041}']));
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), hostile);
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let mut out = Vec::new();
        string(&mut out, &"é".repeat(300), 256);
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), "é".repeat(256) + "…");
        out.clear();
        string(&mut out, &"é".repeat(256), 256);
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), "é".repeat(256));
    }

    #[test]
    fn whole_numbers_are_written_to_their_limits() {
        for value in [0, 7, -1, 1_234_567, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            number(&mut out, value);
            assert_eq!(out, value.to_string().as_bytes());
        }
    }
}

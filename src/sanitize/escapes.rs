//! How long a terminal's escape sequence is, so that it goes as a whole (ECMA-48 §5, xterm's control sequences).
//!
//! A log or a chat that is read in a terminal obeys them: they set its title, move its cursor over what was written,
//! answer as if typed (CVE-2003-0063, CVE-2022-45872). Without its escape character a sequence is harmless, but litter.

/// The length in bytes of the control at the start of *rest*, with the sequence that it begins; 0 if none does.
///
/// A control string that does not end loses its introducer only: who writes one must not make a text vanish. The
/// time is linear over a text: a search for its end stops at the next control.
pub(super) fn escape_at(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    match bytes {
        [0x1b, kind, ..] => match kind {
            b'[' => sequence(bytes, 2),
            b']' | b'P' | b'X' | b'^' | b'_' => string(bytes, 2),
            b'N' | b'O' => shifted(bytes, 2),
            // A function with intermediate bytes: ESC ( B.
            0x20..=0x2f => {
                let end = run(bytes, 1, 0x20..=0x2f);
                end + usize::from(bytes.get(end).is_some_and(|byte| (0x30..=0x7e).contains(byte)))
            }
            0x30..=0x7e => 2,
            _ => 1,
        },
        [0x1b] => 1,
        // The same introducers as one character each, in U+0080 to U+009F.
        [0xc2, kind @ 0x80..=0x9f, ..] => match kind {
            0x9b => sequence(bytes, 2),
            0x9d | 0x90 | 0x98 | 0x9e | 0x9f => string(bytes, 2),
            0x8e | 0x8f => shifted(bytes, 2),
            _ => 2,
        },
        _ => 0,
    }
}

/// Parameters, intermediate bytes, and a final byte if there is one.
fn sequence(bytes: &[u8], start: usize) -> usize {
    let end = run(bytes, run(bytes, start, 0x30..=0x3f), 0x20..=0x2f);
    end + usize::from(bytes.get(end).is_some_and(|byte| (0x40..=0x7e).contains(byte)))
}

/// A string up to its terminator: BEL, ESC \ or U+009C.
fn string(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(byte) = bytes.get(at) {
        match (byte, bytes.get(at + 1)) {
            (0x07, _) => return at + 1,
            (0x1b, Some(b'\\')) | (0xc2, Some(0x9c)) => return at + 2,
            (0x00..=0x1f | 0x7f, _) | (0xc2, Some(0x80..=0x9f)) => return start,
            _ => at += 1,
        }
    }
    start
}

/// One character from another set.
fn shifted(bytes: &[u8], start: usize) -> usize {
    start + usize::from(bytes.get(start).is_some_and(|byte| (0x21..=0x7e).contains(byte)))
}

fn run(bytes: &[u8], start: usize, of: std::ops::RangeInclusive<u8>) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    start + rest.iter().take_while(|byte| of.contains(byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_measured_whole() {
        for (text, left) in [
            ("\x1b[31mred", "red"),
            ("\x1b[38;2;1;2;3mred", "red"),
            ("\x1b[?25l|", "|"),
            ("\x1b[0 q|", "|"),
            ("\x1b]0;title\x07|", "|"),
            ("\x1b]8;;https://x\x1b\\link", "link"),
            ("\x1bP+q544e\x1b\\|", "|"),
            ("\x1b(B|", "|"),
            ("\x1bc|", "|"),
            ("\x1bOP|", "|"),
            ("\u{9b}2J|", "|"),
            ("\u{9d}0;title\u{9c}|", "|"),
            ("\x1b", ""),
            ("\x1b[", ""),
            ("\x1b[31", ""),
            ("\x1b]0;no end", "0;no end"),
            ("\x1b]0;\nno end", "0;\nno end"),
            ("\x1bé", "é"),
            ("plain", "plain"),
        ] {
            assert_eq!(&text[escape_at(text)..], left, "{text:?}");
        }
    }
}

//! Reads characters that are spelled by their numbers, as they come.
//!
//! It knows `%6e`, `%u006e`, `=6e` (quoted-printable), `\x6e`, `\u006e`, `\u{6e}`, `\U0000006e`, `\156`, `U+006E`, `&#110;` and
//! `&#x6e;`. What turns out to be none of these is given as it was written. One layer is read: `%256e` stays.
//!
//! Held back: at most eleven characters.

/// Reads one text.
#[derive(Default)]
pub(super) struct Unescaper {
    pending: Vec<(char, u64)>,
}

/// What the beginning of an escape turned out to be.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    More,
    Done(char),
    Not,
}

impl Unescaper {
    /// Takes the character at *place*, and gives what can be told now: characters, each with the place where it is spelled.
    pub(super) fn take(&mut self, c: char, place: u64, mut give: impl FnMut(char, u64)) {
        if self.pending.is_empty() && !begins(c) {
            return give(c, place);
        }
        self.pending.push((c, place));
        loop {
            let Some((first, at)) = self.pending.first().copied() else { return };
            match read(&self.pending) {
                Step::More => return,
                Step::Done(spelled) => {
                    self.pending.clear();
                    return give(spelled, at);
                }
                Step::Not => {
                    give(first, at);
                    self.pending.remove(0);
                    // What followed may begin another one.
                    let next =
                        self.pending.iter().position(|(c, _)| begins(*c)).unwrap_or(self.pending.len());
                    self.pending.drain(..next).for_each(|(c, at)| give(c, at));
                    // A prefix of what was no escape, up to one character less, may be one that is not complete.
                }
            }
        }
    }

    /// Where what may become an escape began.
    pub(super) fn began(&self) -> Option<u64> {
        self.pending.first().map(|(_, place)| *place)
    }

    pub(super) fn clear(&mut self) {
        self.pending.clear();
    }
}

fn begins(c: char) -> bool {
    matches!(c, '%' | '=' | '\\' | '&' | 'U')
}

fn read(pending: &[(char, u64)]) -> Step {
    let at = |i: usize| pending.get(i).map(|(c, _)| *c);
    match (at(0), at(1), at(2)) {
        (Some('%'), Some('u'), _) => exactly(pending, 2, 4, 16),
        (Some('%' | '='), _, _) => exactly(pending, 1, 2, 16),
        (Some('\\'), Some('x'), _) => exactly(pending, 2, 2, 16),
        (Some('\\'), Some('u'), Some('{')) => ended(pending, 3, 6, 16, '}'),
        (Some('\\'), Some('u'), _) => exactly(pending, 2, 4, 16),
        (Some('\\'), Some('U'), _) => exactly(pending, 2, 8, 16),
        (Some('\\'), _, _) => exactly(pending, 1, 3, 8),
        (Some('U'), None, _) | (Some('&'), None, _) | (Some('&'), Some('#'), None) => Step::More,
        (Some('U'), Some('+'), _) => exactly(pending, 2, 4, 16),
        (Some('&'), Some('#'), Some('x' | 'X')) => ended(pending, 3, 6, 16, ';'),
        (Some('&'), Some('#'), _) => ended(pending, 2, 7, 10, ';'),
        _ => Step::Not,
    }
}

/// So many digits, and then it is complete.
fn exactly(pending: &[(char, u64)], from: usize, count: usize, radix: u32) -> Step {
    let digits = pending.get(from..).unwrap_or_default();
    match value(digits, radix) {
        Some(value) if digits.len() == count => char::from_u32(value).map_or(Step::Not, Step::Done),
        Some(_) => Step::More,
        None => Step::Not,
    }
}

/// One digit up to so many, and then its end.
fn ended(pending: &[(char, u64)], from: usize, most: usize, radix: u32, end: char) -> Step {
    let digits = pending.get(from..).unwrap_or_default();
    match digits.split_last() {
        Some(((last, _), digits)) if *last == end && !digits.is_empty() => {
            value(digits, radix).and_then(char::from_u32).map_or(Step::Not, Step::Done)
        }
        _ if digits.len() <= most && value(digits, radix).is_some() => Step::More,
        _ => Step::Not,
    }
}

fn value(digits: &[(char, u64)], radix: u32) -> Option<u32> {
    digits.iter().try_fold(0_u32, |value, (c, _)| value.checked_mul(radix)?.checked_add(c.to_digit(radix)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(text: &str) -> String {
        let mut reader = Unescaper::default();
        let mut out = String::new();
        for (place, c) in text.chars().enumerate() {
            reader.take(c, place as u64, |c, _| out.push(c));
        }
        out.extend(reader.pending.iter().map(|(c, _)| *c));
        out
    }

    #[test]
    fn each_way_to_spell_a_character_by_its_number_is_read() {
        for text in [
            "%6e",
            "%6E",
            "=6E",
            "%u006e",
            "\\x6e",
            "\\u006e",
            "\\u{6e}",
            "\\u{00006e}",
            "\\U0000006e",
            "\\156",
            "U+006E",
            "&#110;",
            "&#0000110;",
            "&#x6e;",
            "&#X00006E;",
        ] {
            assert_eq!(read_all(&format!("a{text}b")), "anb", "{text}");
        }
    }

    #[test]
    fn what_is_no_escape_is_given_as_it_was_written() {
        for text in [
            "100% of",
            "a & b",
            "&amp;",
            "&#;",
            "&#x;",
            "&#12345678;",
            "\\x6",
            "\\u{}",
            "\\u{1234567}",
            "\\n",
            "%%",
            "%6",
            "U+",
            "UU",
            "&&#",
            "\\ud800",
            "=",
            "\\U1234567g",
        ] {
            assert_eq!(read_all(text), text, "{text}");
        }
        assert_eq!(read_all("%%6e&&#110;\\\\x6eUU+006E%\\x6e"), "%n&n\\nUn%n");
    }

    #[test]
    fn an_escape_knows_where_it_is_spelled() {
        let mut reader = Unescaper::default();
        let mut places = Vec::new();
        for (place, c) in "a%6eb".chars().enumerate() {
            reader.take(c, place as u64, |c, at| places.push((c, at)));
        }
        assert_eq!(places, [('a', 0), ('n', 1), ('b', 4)]);
        assert_eq!(reader.began(), None);
    }
}

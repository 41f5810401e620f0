//! Reads bytes that are written in hexadecimal or base64, as they come, wherever one may begin.
//!
//! Where a code begins within a text cannot be told, so each two neighbouring symbols are read, in each of the ways in which
//! they may lie: two for hexadecimal, four for base64. What they say goes to the *lane* of that way: the bytes of one code
//! are all in one lane. Signs that are no symbols, such as blanks and commas, stand between two of them as anywhere
//! else; so does the `0x` before a number. What stands behind `=`, which ends a code of base64, begins anew.
//!
//! Held back: one or two symbols, where a byte that is looked for may begin with it.

use super::spelled::GAP;

/// Ways in which two digits of hexadecimal, and two symbols of base64, may lie.
pub(super) const HEX_LANES: usize = 2;
pub(super) const BASE64_LANES: usize = 4;

/// Reads hexadecimal.
#[derive(Default)]
pub(super) struct Hex {
    /// The last two digits, and where they stand. The older is none behind a gap.
    last: Option<(u8, u64)>,
    before: Option<(u8, u64)>,
    odd: bool,
    /// Whether the last character was the last digit.
    is_next: bool,
}

impl Hex {
    /// Takes the character at *place*, and gives the byte that it ends: its lane, and where it begins.
    pub(super) fn take(&mut self, c: char, place: u64, mut give: impl FnMut(usize, u8, u64)) {
        let Some(digit) = c.to_digit(16) else {
            if matches!(c, 'x' | 'X') && self.is_next && self.last.is_some_and(|(digit, _)| digit == 0) {
                (self.last, self.odd) = (self.before.take(), !self.odd);
            }
            self.is_next = false;
            return;
        };
        let digit = digit as u8;
        if let Some((high, began)) = self.last.filter(|(_, began)| place <= began + GAP) {
            give(usize::from(self.odd), high << 4 | digit, began);
        }
        (self.before, self.last) = (self.last, Some((digit, place)));
        (self.odd, self.is_next) = (!self.odd, true);
    }

    /// Where a byte has begun, if one that *begins* with such a digit may.
    pub(super) fn began(&self, now: u64, begins: impl Fn(u8) -> bool) -> Option<u64> {
        self.open(now).find(|(digit, _)| begins(*digit)).map(|(_, at)| at)
    }

    /// Where the next byte may begin, at the earliest.
    pub(super) fn pending(&self, now: u64) -> u64 {
        self.open(now).next().map_or(now, |(_, at)| at)
    }

    /// The digits that a byte may begin with. A `0` may turn out to be that of `0x`, and then the one before it is the last.
    fn open(&self, now: u64) -> impl Iterator<Item = (u8, u64)> {
        let hidden = self.last.filter(|(digit, _)| *digit == 0 && self.is_next).and(self.before);
        [hidden, self.last].into_iter().flatten().filter(move |(_, at)| now <= at + GAP)
    }
}

/// Reads base64, plain or URL-safe.
#[derive(Default)]
pub(super) struct Base64 {
    last: Option<(u8, u64)>,
    count: usize,
}

impl Base64 {
    /// Takes the character at *place*, and gives the bytes that it may end: the lane of each, and where it begins. A symbol
    /// of which a byte has four bits or fewer is not counted to it.
    pub(super) fn take(&mut self, c: char, place: u64, mut give: impl FnMut(usize, u8, u64)) {
        let Some(symbol) = sixty_fourth(c) else {
            if c == '=' {
                *self = Self::default();
            }
            return;
        };
        if let Some((last, began)) = self.last.filter(|(_, began)| place <= began + GAP) {
            for lane in 0..BASE64_LANES {
                let at = (self.count + lane) % BASE64_LANES;
                if at > 0 {
                    let byte = (u16::from(last) << (2 * at) | u16::from(symbol) >> (6 - 2 * at)) as u8;
                    give(lane, byte, if at == 1 { began } else { place });
                }
            }
        }
        (self.last, self.count) = (Some((symbol, place)), self.count.wrapping_add(1));
    }

    /// Where a byte has begun, if one that *begins* with these six bits may.
    pub(super) fn began(&self, now: u64, begins: impl Fn(u8) -> bool) -> Option<u64> {
        self.last.filter(|(symbol, at)| begins(*symbol) && now <= at + GAP).map(|(_, at)| at)
    }

    /// Where the next byte may begin, at the earliest.
    pub(super) fn pending(&self, now: u64) -> u64 {
        self.last.filter(|(_, at)| now <= at + GAP).map_or(now, |(_, at)| at)
    }
}

/// The number of a symbol of base64, plain or URL-safe.
fn sixty_fourth(c: char) -> Option<u8> {
    let byte = u8::try_from(c).ok()?;
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str, lane: usize) -> String {
        let (mut reader, mut bytes) = (Hex::default(), Vec::new());
        for (place, c) in text.chars().enumerate() {
            reader.take(c, place as u64, |of, byte, _| bytes.extend((of == lane).then_some(byte)));
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn base64(text: &str) -> Vec<String> {
        let (mut reader, mut lanes) = (Base64::default(), vec![Vec::new(); BASE64_LANES]);
        for (place, c) in text.chars().enumerate() {
            reader.take(c, place as u64, |lane, byte, _| {
                lanes.get_mut(lane).into_iter().for_each(|of| of.push(byte))
            });
        }
        lanes.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }

    #[test]
    fn hexadecimal_is_read_in_one_lane_whatever_stands_between() {
        for text in ["6869", "68 69", "6:8, 69", "0x68, 0x69", "0X68,0X69"] {
            assert_eq!(hex(text, 1), "hi", "{text}");
        }
        assert_eq!(hex("f6869", 0), "hi");
        assert_eq!(hex(&format!("6{}8", " ".repeat(64)), 1), "");
    }

    #[test]
    fn base64_is_read_in_one_lane_wherever_it_begins() {
        for text in ["aGV5", "aGV5 ", "a G-V 5".trim_end_matches('x'), "xaGV5", "xxaGV5", "xxxaGV5", "x=aGV5"]
        {
            let text = text.replace('-', "");
            assert!(base64(&text).iter().any(|lane| lane.ends_with("hey")), "{text}");
        }
        // Each letter by itself.
        assert_eq!(base64("aA== ZQ== eQ==").first().map(String::as_str), Some("hey"));
    }

    #[test]
    fn a_symbol_is_held_where_a_byte_may_begin_with_it() {
        let mut reader = Hex::default();
        for (c, place, began) in [('6', 0, Some(0)), ('0', 1, Some(0)), ('x', 2, Some(0)), ('8', 3, None)] {
            reader.take(c, place, |_, _, _| ());
            assert_eq!(reader.began(place + 1, |digit| digit == 6), began, "{c}");
        }
        assert_eq!(reader.began(100, |_| true), None);
    }
}

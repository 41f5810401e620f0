//! Finds telephone numbers.
//!
//! 1. `+`, a country's code and its national number (ITU-T E.164), with blanks, `-`, `.`, `/` and brackets between:
//!    at most fifteen digits, as many as the country's plan has, the first of them one that it uses. The plans
//!    are those of the table [`PLANS`]; of other countries' numbers only the length is known.
//! 2. Without a country's code only after a word of the row, within [`REACH`] bytes.
//! 3. In the usual national writing of a region that is selected (`US_PHONE_NUMBER`, `UK_PHONE_NUMBER`,
//!    `FR_PHONE_NUMBER`), without a word.
//!
//! Sources: ITU-T E.164 and its Annex (list of country codes, 2024), and the national numbering plans that the
//! countries file with the ITU.

use super::arithmetic::digits;
use super::everywhere::nothing;
use super::{Place, Row, closes};
use crate::redaction::Finding;

/// How far before a national number its word may stand, in bytes.
pub(super) const REACH: u8 = 24;

/// The most digits of an international number (ITU-T E.164 §6.2.1).
const MOST: usize = 15;

pub(super) const ROWS: &[Row] = &[
    Row {
        entity: "PHONE_NUMBER",
        country: "",
        forms: &[],
        check: nothing,
        words: &[
            "phone",
            "phone number",
            "telephone",
            "tel",
            "mobile",
            "mobile number",
            "cell",
            "cellphone",
            "fax",
            "call me",
            "call us",
            "sms",
            "whatsapp",
            "contact number",
            "telefon",
            "telefonnummer",
            "handy",
            "mobil",
            "rufnummer",
            "téléphone",
            "portable",
            "teléfono",
            "telefono",
            "móvil",
            "movil",
            "celular",
            "cellulare",
            "telefone",
            "telemóvel",
            "telefoon",
            "puhelin",
            "telefonszám",
            "τηλέφωνο",
            "телефон",
            "тел",
            "電話",
            "电话",
            "手机",
            "전화",
            "โทร",
            "फ़ोन",
            "تليفون",
            "هاتف",
            "טלפון",
        ],
        sample: "+44 (0)20 7946 0958",
        harmless: "UTC+0200, 5 +1234567890 and +55 512 34567",
    },
    Row {
        entity: "US_PHONE_NUMBER",
        country: "US",
        forms: &["!(999) 999-9999", "!(999)999-9999", "!999-999-9999", "!999.999.9999", "!9-999-999-9999"],
        check: north_american,
        words: &["phone", "tel", "call me", "fax", "cell", "mobile"],
        sample: "(202) 555-0143",
        harmless: "(102) 555-0143 and 202-155-0143",
    },
    Row {
        entity: "UK_PHONE_NUMBER",
        country: "GB",
        forms: &["!999 9999 9999", "!9999 999 9999", "!99999 999999", "!(999) 9999 9999", "!(9999) 999 9999"],
        check: british,
        words: &["phone", "tel", "call me", "fax", "mobile"],
        sample: "020 7946 0958",
        harmless: "020 7946 095 and 920 7946 0958",
    },
    Row {
        entity: "FR_PHONE_NUMBER",
        country: "FR",
        forms: &["!99 99 99 99 99", "!99.99.99.99.99", "!99-99-99-99-99"],
        check: |text| digits::<10>(text).is_some_and(|d| d[0] == 0 && d[1] > 0),
        words: &["téléphone", "tél", "tel", "portable", "fax"],
        sample: "01 99 00 12 34",
        harmless: "00 99 00 12 34 and 11 99 00 12 34",
    },
];

/// Area and exchange do not start with 0 or 1, nor end in 11 (North American Numbering Plan).
fn north_american(text: &[u8]) -> bool {
    let text = if text.len() == 11 { text.strip_prefix(b"1").unwrap_or(text) } else { text };
    digits::<10>(text).is_some_and(|d| d[0] > 1 && d[3] > 1 && !(d[1] == 1 && d[2] == 1))
}

/// Geographic, mobile and freephone ranges (Ofcom's National Telephone Numbering Plan).
fn british(text: &[u8]) -> bool {
    digits::<11>(text).is_some_and(|d| d[0] == 0 && matches!(d[1], 1 | 2 | 3 | 7 | 8 | 9))
}

/// A country's code, the least and the most digits after it, and the first that these may have.
type Plan = (&'static str, usize, usize, &'static [u8]);

const NOT_ZERO: &[u8] = b"123456789";

#[rustfmt::skip]
const PLANS: [Plan; 56] = [
    ("1", 10, 10, b"23456789"), ("7", 10, 10, b"3456789"), ("20", 8, 10, NOT_ZERO), ("27", 9, 9, b"12345678"),
    ("30", 10, 10, b"26789"), ("31", 9, 9, NOT_ZERO), ("32", 8, 9, NOT_ZERO), ("33", 9, 9, NOT_ZERO),
    ("34", 9, 9, b"56789"), ("36", 8, 9, NOT_ZERO), ("39", 6, 11, b"03458"), ("40", 9, 9, b"23789"),
    ("41", 9, 9, NOT_ZERO), ("43", 5, 13, NOT_ZERO), ("44", 9, 10, b"1235789"), ("45", 8, 8, NOT_ZERO),
    ("46", 7, 10, NOT_ZERO), ("47", 8, 8, NOT_ZERO), ("48", 9, 9, NOT_ZERO), ("49", 6, 12, NOT_ZERO),
    ("51", 8, 9, NOT_ZERO), ("52", 10, 10, NOT_ZERO), ("54", 10, 11, NOT_ZERO), ("55", 10, 11, NOT_ZERO),
    ("56", 9, 9, b"2345679"), ("57", 10, 10, b"36"), ("60", 8, 10, NOT_ZERO), ("61", 9, 9, b"123478"),
    ("62", 8, 12, NOT_ZERO), ("63", 8, 10, NOT_ZERO), ("64", 8, 10, b"234678"), ("65", 8, 8, b"3689"),
    ("66", 8, 9, NOT_ZERO), ("81", 9, 10, NOT_ZERO), ("82", 8, 10, NOT_ZERO), ("84", 9, 10, NOT_ZERO),
    ("86", 9, 11, NOT_ZERO), ("90", 10, 10, b"234589"), ("91", 10, 10, NOT_ZERO), ("92", 9, 10, NOT_ZERO),
    ("98", 10, 10, NOT_ZERO), ("212", 9, 9, b"5678"), ("234", 8, 10, NOT_ZERO), ("254", 9, 9, NOT_ZERO),
    ("351", 9, 9, b"23789"), ("353", 7, 9, NOT_ZERO), ("358", 5, 11, NOT_ZERO), ("380", 9, 9, NOT_ZERO),
    ("420", 9, 9, b"234567896"), ("421", 9, 9, b"24569"), ("852", 8, 8, b"2356789"), ("880", 8, 10, NOT_ZERO),
    ("886", 8, 9, NOT_ZERO), ("966", 8, 9, NOT_ZERO), ("971", 8, 9, NOT_ZERO), ("972", 8, 9, NOT_ZERO),
];

/// The other codes that are assigned, as ranges of their three digits; and codes of two digits.
const OTHERS: [(u32, u32); 20] = [
    (211, 211),
    (213, 213),
    (216, 216),
    (218, 218),
    (220, 258),
    (260, 269),
    (290, 291),
    (297, 299),
    (350, 359),
    (370, 378),
    (380, 383),
    (385, 389),
    (420, 423),
    (500, 509),
    (590, 599),
    (670, 692),
    (850, 856),
    (870, 888),
    (960, 979),
    (992, 998),
];
const OTHERS_OF_TWO: [&str; 5] = ["53", "58", "93", "94", "95"];

/// The number after the `+` at *start*; its digits start at or after *from*.
pub(super) fn international(text: &[u8], start: usize, from: usize) -> Option<Finding> {
    let groups = Groups::read(text, from, true)?;
    groups
        .ends()
        .rev()
        .find(|(count, end)| is_e164(&groups.digits[..*count]) && closes(text, *end))
        .and_then(|(_, end)| Finding::new(start, end, "PHONE_NUMBER"))
}

fn is_e164(digits: &[u8]) -> bool {
    let number = |plan: &Plan| {
        let national = digits.strip_prefix(plan.0.as_bytes())?;
        // Written with the 0 that is dialled at home only: `+49 030 …`. Italy's belongs to the number.
        let national = national.strip_prefix(b"0").filter(|_| plan.0 != "39").unwrap_or(national);
        let first = national.first()?;
        Some((plan.1..=plan.2).contains(&national.len()) && plan.3.contains(first))
    };
    if let Some(is) = PLANS.iter().find_map(number) {
        return is;
    }
    if !(8..=MOST).contains(&digits.len()) {
        return false;
    }
    let code = digits.iter().take(3).fold(0, |code, digit| code * 10 + u32::from(digit - b'0'));
    OTHERS.iter().any(|(least, most)| (*least..=*most).contains(&code))
        || OTHERS_OF_TWO.iter().any(|two| digits.starts_with(two.as_bytes()))
}

/// The number without a country's code that starts at *place*, if it is *announced*.
pub(super) fn national(place: &Place<'_>, announced: impl FnOnce() -> bool) -> Option<Finding> {
    let Place { text, start, .. } = *place;
    let groups = Groups::read(text, start, false)?;
    let fits = |count: usize, end: usize| {
        let written = &text[start..end];
        let international = groups.digits.starts_with(b"00") && count > 2;
        let right = if international { is_e164(&groups.digits[2..count]) } else { (7..=12).contains(&count) };
        right && !is_date(written) && closes(text, end)
    };
    let (_, end) = groups.ends().rev().find(|(count, end)| fits(*count, *end))?;
    if text.get(start).is_some_and(u8::is_ascii_alphabetic) || !announced() {
        return None;
    }
    Finding::new(start, end, "PHONE_NUMBER")
}

/// `2026-11-29`, `29.11.2026`, and what has a point among few digits.
fn is_date(written: &[u8]) -> bool {
    let mut groups =
        written.split(|b| !b.is_ascii_digit()).filter(|group| !group.is_empty()).map(<[u8]>::len);
    let three = (groups.next(), groups.next(), groups.next());
    let points = written.iter().filter(|b| **b == b'.').count();
    let date = matches!(three, (Some(4), Some(1 | 2), Some(1 | 2)) | (Some(1 | 2), Some(1 | 2), Some(4)));
    date || (points == 1 && written.iter().all(|b| b.is_ascii_digit() || *b == b'.'))
}

/// The digits from a place on, in groups.
struct Groups {
    digits: [u8; MOST + 2],
    /// After how many digits a group ended, and where.
    ends: [(usize, usize); 8],
    count: usize,
}

impl Groups {
    /// Reads groups of digits with single joints between, and brackets round one of them.
    fn read(text: &[u8], from: usize, international: bool) -> Option<Self> {
        let mut groups = Self { digits: [0; MOST + 2], ends: [(0, 0); 8], count: 0 };
        let (mut at, mut length, mut open) = (from, 0, false);
        loop {
            // A blank, a bracket, or both, in either order.
            for _ in 0..3 {
                match text.get(at) {
                    Some(b'(') if !open && (length == 0 || international || groups.count > 0) => {
                        // `(0)` is dialled at home only.
                        if international && text[at..].starts_with(b"(0)") {
                            at += 3;
                        } else {
                            open = true;
                            at += 1;
                        }
                    }
                    Some(b')') if open => {
                        open = false;
                        at += 1;
                    }
                    Some(b' ' | b'-' | b'.' | b'/') if length > 0 => {
                        at += 1;
                        if !matches!(text.get(at), Some(b'(')) {
                            break;
                        }
                    }
                    _ => break,
                }
            }
            let first = length;
            while let Some(digit) = text.get(at).filter(|b| b.is_ascii_digit()) {
                // One digit more than there can be: no group ends here.
                let Some(place) = groups.digits.get_mut(length) else { return groups.some() };
                *place = *digit;
                length += 1;
                at += 1;
            }
            if length == first {
                return groups.some();
            }
            let end = if open && text.get(at) == Some(&b')') { at + 1 } else { at };
            match groups.ends.get_mut(groups.count) {
                Some(place) => *place = (length, end),
                None => return groups.some(),
            }
            groups.count += 1;
        }
    }

    fn some(self) -> Option<Self> {
        (self.count > 0).then_some(self)
    }

    fn ends(&self) -> impl DoubleEndedIterator<Item = (usize, usize)> {
        self.ends[..self.count].iter().copied()
    }
}

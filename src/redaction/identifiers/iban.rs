//! Finds bank account numbers by ISO 13616: IBANs, written together or in groups of four.
//!
//! Country, length and check digits (ISO/IEC 7064 MOD 97-10) must be right: about one of ten thousand texts of the
//! same look is. The lengths are those of SWIFT's IBAN Registry, release 101.

use super::arithmetic::value;
use super::{Place, closes};
use crate::redaction::Finding;

/// The countries, by the length of their numbers.
const LENGTHS: [(usize, &str); 18] = [
    (15, "NO"),
    (16, "BE"),
    (18, "DK FI FK FO GL NL SD"),
    (19, "MK SI"),
    (20, "AT BA EE KZ LT LU MN XK"),
    (21, "CH HR LI LV"),
    (22, "BG BH CR DE GB GE IE ME RS VA"),
    (23, "AE GI IL IQ OM SO TL"),
    (24, "AD CZ ES MD PK RO SA SE SK TN VG"),
    (25, "LY PT ST"),
    (26, "IS TR"),
    (27, "BI DJ FR GR IT MC MR SM"),
    (28, "AL AZ BY CY DO GT HN HU LB NI PL SV"),
    (29, "BR EG PS QA UA"),
    (30, "JO KW MU YE"),
    (31, "MT SC"),
    (32, "LC"),
    (33, "RU"),
];

/// The account number that starts at *place*.
pub(super) fn find(place: &Place<'_>) -> Option<Finding> {
    let Place { text, start, .. } = *place;
    let head: &[u8; 4] = text.get(start..)?.first_chunk()?;
    let [a, b, tens, ones] = *head;
    if !(a.is_ascii_alphabetic() && b.is_ascii_alphabetic() && tens.is_ascii_digit() && ones.is_ascii_digit())
    {
        return None;
    }
    let country = [a.to_ascii_uppercase(), b.to_ascii_uppercase()];
    let known = |list: &str| list.split(' ').any(|name| name.as_bytes() == country);
    let (length, _) = LENGTHS.iter().find(|(_, list)| known(list))?;
    let mut digits = Checksum::default();
    let mut end = start;
    let mut count = 0;
    let mut cases = (false, false);
    let grouped = text.get(start + 4).copied().filter(|b| matches!(b, b' ' | b'-'));
    while count < *length {
        if count > 0 && count % 4 == 0 && grouped.is_some() {
            if text.get(end).copied() != grouped {
                return None;
            }
            end += 1;
        }
        let byte = *text.get(end).filter(|b| b.is_ascii_alphanumeric())?;
        cases.0 |= byte.is_ascii_lowercase();
        cases.1 |= byte.is_ascii_uppercase();
        digits.push(count, value(byte));
        count += 1;
        end += 1;
    }
    // Letters of both cases are a token's, or a base64's.
    let mixed = cases.0 && cases.1;
    (!mixed && closes(text, end) && digits.is_right())
        .then(|| Finding::new(start, end, "IBAN_CODE"))
        .flatten()
}

/// The remainder by 97 of the number that has its first four places at its end, letters as two digits.
#[derive(Default)]
struct Checksum {
    rest: u32,
    head: [u32; 4],
}

impl Checksum {
    fn push(&mut self, place: usize, value: u32) {
        match self.head.get_mut(place) {
            Some(kept) => *kept = value,
            None => self.rest = next(self.rest, value),
        }
    }

    fn is_right(&self) -> bool {
        self.head.iter().fold(self.rest, |rest, value| next(rest, *value)) == 1
    }
}

fn next(rest: u32, value: u32) -> u32 {
    (if value < 10 { rest * 10 + value } else { rest * 100 + value }) % 97
}

//! The check digits that several issuers share, and dates.
//!
//! Everything takes letters and digits without separators, and reads a bounded number of them.

/// The value of a digit, or of a letter as a base-36 digit (`A` is 10).
pub(super) fn value(byte: u8) -> u32 {
    char::from(byte).to_digit(36).unwrap_or(0)
}

/// The values of exactly `N` digits.
pub(super) fn digits<const N: usize>(text: &[u8]) -> Option<[u32; N]> {
    let exact: &[u8; N] = text.try_into().ok()?;
    exact.iter().all(u8::is_ascii_digit).then(|| exact.map(value))
}

/// The sum of the products of digits and weights, as far as both go.
pub(super) fn weighted(digits: &[u32], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(digit, weight)| digit * weight).sum()
}

/// The number that the digits are. At most 18.
pub(super) fn number(digits: &[u32]) -> u64 {
    digits.iter().take(18).fold(0, |number, digit| number * 10 + u64::from(*digit))
}

/// The remainder of a number of any length by *modulus*.
pub(super) fn remainder(digits: &[u32], modulus: u32) -> u32 {
    digits.iter().fold(0, |rest, digit| (rest * 10 + digit) % modulus)
}

/// ISO/IEC 7812-1 Annex B: from the right, each second digit doubled, the sum a multiple of ten.
pub(super) fn luhn(digits: &[u32]) -> bool {
    luhn_sum(digits, 10).is_multiple_of(10)
}

/// The sum of the same rule over another alphabet than that of ten digits.
pub(super) fn luhn_sum(values: &[u32], base: u32) -> u32 {
    let each = values.iter().rev().enumerate();
    each.map(|(i, v)| if i % 2 == 0 { *v } else { 2 * v / base + 2 * v % base }).sum()
}

/// ISO/IEC 7064 MOD 11,10: the hybrid system of one check digit.
pub(super) fn mod_11_10(digits: &[u32]) -> bool {
    let Some((check, rest)) = digits.split_last() else { return false };
    let product = rest.iter().fold(10, |product, digit| {
        let sum = (product + digit) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (product + check) % 10 == 1
}

/// Verhoeff's check over the dihedral group of ten elements (1969): the last digit is the check digit.
pub(super) fn verhoeff(digits: &[u32]) -> bool {
    let permuted = |digit: u32, times: usize| {
        (0..times % 8).fold(digit, |d, _| [1, 5, 7, 6, 2, 8, 3, 0, 9, 4][d as usize % 10])
    };
    digits.iter().rev().enumerate().fold(0, |sum, (i, digit)| dihedral(sum, permuted(*digit, i))) == 0
}

/// The product of two symmetries of the pentagon: 0 to 4 turn it, 5 to 9 turn it over first.
fn dihedral(a: u32, b: u32) -> u32 {
    match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => 5 + (a + b - 5) % 5,
        (false, true) => 5 + (a - 5 + 5 - b) % 5,
        (false, false) => (a + 5 - b) % 5,
    }
}

/// Whether there was, or will be, such a day.
pub(super) fn is_date(year: u32, month: u32, day: u32) -> bool {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(leap),
        _ => 0,
    };
    (1..=days).contains(&day)
}

/// The number that two digits are.
pub(super) fn pair(digits: &[u32], at: usize) -> u32 {
    match digits.get(at..at + 2) {
        Some([tens, ones]) => 10 * tens + ones,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn of(text: &str) -> Vec<u32> {
        text.bytes().map(value).collect()
    }

    #[test]
    fn the_shared_checks_accept_their_authors_examples_and_no_other_last_digit() {
        // ISO/IEC 7812-1's own, Verhoeff's, and a well-known number of ISO/IEC 7064 MOD 11,10.
        for (check, text) in
            [(luhn as fn(&[u32]) -> bool, "79927398713"), (verhoeff, "2363"), (mod_11_10, "86095742719")]
        {
            let mut number = of(text);
            let last = number.len() - 1;
            let right: Vec<u32> = (0..10)
                .filter(|digit| {
                    number[last] = *digit;
                    check(&number)
                })
                .collect();
            assert_eq!(right, of(&text[last..]), "{text}");
        }
        assert!(!mod_11_10(&[]));
    }

    /// The detection that the formulas are made for: every slip of one digit.
    #[test]
    fn one_wrong_digit_is_always_seen() {
        for (check, text) in
            [(luhn as fn(&[u32]) -> bool, "79927398713"), (verhoeff, "2363"), (mod_11_10, "86095742719")]
        {
            for at in 0..text.len() {
                for digit in 0..10 {
                    let mut number = of(text);
                    let same = number[at] == digit;
                    number[at] = digit;
                    assert_eq!(check(&number), same, "{text} {at} {digit}");
                }
            }
        }
    }

    #[test]
    fn a_day_is_a_day_of_the_gregorian_calendar() {
        for (year, month, day, is) in [
            (2000, 2, 29, true),
            (1900, 2, 29, false),
            (2024, 2, 29, true),
            (2023, 2, 29, false),
            (2024, 4, 31, false),
            (2024, 13, 1, false),
            (2024, 0, 1, false),
            (2024, 1, 0, false),
        ] {
            assert_eq!(is_date(year, month, day), is, "{year}-{month}-{day}");
        }
        assert_eq!(number(&of("0123")), 123);
        assert_eq!(
            remainder(&of("12345678901234567890"), 97),
            12_345_678_901_234_567_890u64.rem_euclid(97) as u32
        );
        assert_eq!(digits::<3>(b"12a"), None);
        assert_eq!(digits::<3>(b"1234"), None);
    }
}

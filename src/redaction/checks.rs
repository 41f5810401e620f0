//! What a pattern cannot say: checksums, issuer ranges, and whether a text looks random.

use std::sync::LazyLock;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::crypto;

/// The most digits a card number has (ISO/IEC 7812-1).
pub(super) const CARD_MOST: usize = 19;

/// The fewest digits one has.
pub(super) const CARD_LEAST: usize = 13;

/// Nothing to check beyond the pattern.
pub(super) fn any(_: &[u8]) -> bool {
    true
}

/// Whether a payment card's number may start with this byte.
pub(super) fn may_start_card(byte: u8) -> bool {
    matches!(byte, b'2'..=b'6' | b'8' | b'9')
}

/// Whether these digits can be a payment card's: issued by a known network, of a length it uses, and with
/// a right check digit. Nine of ten order numbers and all current timestamps fail one of these.
pub(super) fn is_card(digits: &[u8]) -> bool {
    digits.first_chunk().is_some_and(|lead| lengths(lead).contains(&digits.len())) && luhn(digits)
}

/// How many digits the numbers have that start with these.
fn lengths(lead: &[u8; 6]) -> &'static [usize] {
    let iin = lead.iter().fold(0u32, |number, digit| number * 10 + u32::from(*digit));
    match iin {
        400_000..=499_999 => &[13, 16, 18, 19],                 // Visa
        510_000..=559_999 | 222_100..=272_099 => &[16],         // Mastercard
        340_000..=349_999 | 370_000..=379_999 => &[15],         // American Express
        300_000..=305_999 | 309_500..=309_599 => &[14, 16, 19], // Diners Club
        360_000..=369_999 | 380_000..=399_999 => &[14, 15, 16, 17, 18, 19], // Diners Club
        352_800..=358_999 => &[16, 17, 18, 19],                 // JCB
        220_000..=220_499 => &[16, 17, 18, 19],                 // Mir
        979_200..=979_299 => &[16],                             // Troy
        // Thirteen digits are Visa's alone: of others, they are goods (GS1's EAN) and national numbers.
        500_000..=509_999 | 560_000..=589_999 => &[14, 15, 16, 17, 18, 19], // Maestro
        600_000..=699_999 => &[14, 15, 16, 17, 18, 19],                     // Discover, UnionPay, Maestro
        810_000..=829_999 => &[16, 17, 18, 19],                             // UnionPay, RuPay
        _ => &[],
    }
}

/// The check digit of ISO/IEC 7812-1 Annex B.
fn luhn(digits: &[u8]) -> bool {
    let doubled = |digit: u32| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, digit)| if i % 2 == 0 { u32::from(*digit) } else { doubled(u32::from(*digit)) })
        .sum();
    sum.is_multiple_of(10)
}

/// Whether base64 of `user:password`, as RFC 7617 has it: "Basic understanding" decodes to something else.
pub(super) fn is_basic_credentials(text: &[u8]) -> bool {
    // Only what is decoded before the first byte of no text counts, so that what is glued to the end changes
    // nothing.
    [(&alphabet::STANDARD, b"+/"), (&alphabet::URL_SAFE, b"-_")].into_iter().any(|(alphabet, extra)| {
        let length = text.iter().take_while(|b| b.is_ascii_alphanumeric() || extra.contains(b)).count();
        let decoded = GeneralPurpose::new(alphabet, LENIENT).decode(&text[..length / 4 * 4]);
        let decoded = decoded.unwrap_or_default();
        let readable = decoded.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        readable.chars().take_while(|c| !c.is_control()).any(|c| c == ':')
    })
}

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);

/// Whether a text has a digit, or is too long for a word.
pub(super) fn is_no_word(text: &[u8]) -> bool {
    text.len() >= 32 || text.iter().any(u8::is_ascii_digit)
}

/// Whether sixteen letters and digits stand together, one digit among them: `sk-learn-contrib-2024` has not.
pub(super) fn has_random_run(text: &[u8]) -> bool {
    const LENGTH: usize = 16;
    let mut from = 0;
    // Backwards from where a run would end that starts here: what is in between need not be looked at.
    while let Some(window) = text.get(from..from + LENGTH) {
        match window.iter().rposition(|b| !b.is_ascii_alphanumeric()) {
            Some(joint) => from += joint + 1,
            None => {
                let run = &text[from..];
                let end = run.iter().position(|b| !b.is_ascii_alphanumeric()).unwrap_or(run.len());
                if run[..end].iter().any(u8::is_ascii_digit) {
                    return true;
                }
                from += end;
            }
        }
    }
    false
}

/// Whether a text looks as if a machine had drawn it: letters and digits, none too often. Shannon's entropy of at least
/// three bits for each character tells 32 drawn hexadecimal digits from words and from counters.
pub(super) fn is_random(text: &[u8]) -> bool {
    let digits = text.iter().filter(|b| b.is_ascii_digit()).count();
    let letters = text.iter().filter(|b| b.is_ascii_alphabetic()).count();
    let mut counts = [0u8; 256];
    let mut repeated = 0.0;
    for byte in text.iter().take(ORDERS.len() - 1) {
        let count = &mut counts[usize::from(*byte)];
        repeated += ORDERS[usize::from(*count) + 1] - ORDERS[usize::from(*count)];
        *count += 1;
    }
    let all = ORDERS[text.len().min(ORDERS.len() - 1)];
    digits >= 2 && letters >= 2 && all - repeated >= 3.0 * text.len() as f32
}

/// By n: n times the logarithm of n to the base 2.
static ORDERS: LazyLock<[f32; 128]> =
    LazyLock::new(|| std::array::from_fn(|n| if n == 0 { 0.0 } else { n as f32 * (n as f32).log2() }));

/// Whether a Bitcoin key in wallet import format: base58 with the first four bytes of a double SHA-256.
pub(super) fn is_wallet_import_key(text: &[u8]) -> bool {
    let mut bytes = [0u8; 38];
    for letter in text {
        let Some(mut carry) = BASE58.iter().position(|b| b == letter) else { return false };
        for byte in bytes.iter_mut().rev() {
            carry += 58 * usize::from(*byte);
            *byte = (carry % 256) as u8;
            carry /= 256;
        }
        if carry != 0 {
            return false;
        }
    }
    // 0x80, 32 bytes, perhaps 1 for a compressed public key, and 4 of checksum.
    let body = if text.len() == 52 { &bytes[..34] } else { &bytes[1..34] };
    let check = &bytes[34..];
    let sum = crypto::sha256(&crypto::sha256(body));
    body.first() == Some(&0x80) && sum[..4] == *check
}

const BASE58: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// Whether a Stellar secret seed (SEP-23): base32 of a version byte, 32 bytes and a CRC-16 (XMODEM).
pub(super) fn is_stellar_seed(text: &[u8]) -> bool {
    let (mut bits, mut held, mut bytes) = (0u32, 0u32, Vec::with_capacity(35));
    for letter in text {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'2'..=b'7' => letter - b'2' + 26,
            _ => return false,
        };
        bits = bits << 5 | u32::from(value);
        held += 5;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xFF) as u8);
        }
    }
    let Some((body, check)) = bytes.split_last_chunk::<2>() else { return false };
    let crc =
        body.iter().fold(0u16, |crc, byte| {
            (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 }
            })
        });
    // The version byte of a seed is what makes it start with S.
    body.len() == 33 && body[0] == 18 << 3 && crc == u16::from_le_bytes(*check)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn digits(text: &str) -> Vec<u8> {
        text.bytes().map(|b| b - b'0').collect()
    }

    #[test]
    fn the_networks_own_test_numbers_are_cards() {
        for number in [
            "4111111111111111",
            "4222222222222",
            "5555555555554444",
            "2223003122003222",
            "378282246310005",
            "30569309025904",
            "6011111111111117",
            "3566002020360505",
            "6200000000000005",
            "6759649826438453",
        ] {
            assert!(is_card(&digits(number)), "{number}");
        }
    }

    #[test]
    fn no_card_starts_with_another_digit_or_is_shorter() {
        let starts: Vec<u8> = (0..10).filter(|digit| may_start_card(b'0' + digit)).collect();
        let mut found = std::collections::BTreeSet::new();
        let mut shortest = usize::MAX;
        for iin in 0..1_000_000u32 {
            let lead: Vec<u8> = format!("{iin:06}").bytes().map(|b| b - b'0').collect();
            for length in lengths(lead.first_chunk().unwrap()) {
                found.insert(lead[0]);
                shortest = shortest.min(*length);
            }
        }
        assert_eq!(found.into_iter().collect::<Vec<_>>(), starts);
        assert_eq!(shortest, CARD_LEAST);
    }

    #[test]
    fn wrong_check_digits_and_foreign_ranges_are_not_cards() {
        for number in [
            "4111111111111112",
            "1700000000000",
            "1234567812345670",
            "0000000000000000",
            "41111111111111",
            "6711180875086",
        ] {
            assert!(!is_card(&digits(number)), "{number}");
        }
    }

    #[test]
    fn basic_credentials_are_told_from_prose() {
        assert!(is_basic_credentials(b"QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
        assert!(is_basic_credentials(b"dXNlcjpwYXNz"));
        for prose in ["understanding", "functionality", "authentication", "credentials"] {
            assert!(!is_basic_credentials(prose.as_bytes()), "{prose}");
        }
    }
}

//! The rows of western and central Europe.
//!
//! Above each row stands whose rule it is.

use super::Row;
use super::arithmetic::{digits, luhn, mod_11_10, number, pair, remainder, value, weighted};

pub(super) const ROWS: &[Row] = &[
    // NHS Data Dictionary, NHS NUMBER: weights 10 to 2, modulus 11.
    Row {
        entity: "UK_NHS",
        country: "GB",
        forms: &["999 999 9999", "999-999-9999", "9999999999"],
        check: |text| {
            digits::<10>(text)
                .is_some_and(|d| weighted(&d, &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11))
        },
        words: &["nhs", "nhs number", "nhs no", "national health service", "patient number"],
        sample: "NHS number 943 476 5919",
        harmless: "NHS number 943 476 5918",
    },
    // HMRC, National Insurance Manual NIM39110.
    Row {
        entity: "UK_NINO",
        country: "GB",
        forms: &["!AA 99 99 99 A", "!AA999999A", "AA 999999 A", "AA-99-99-99-A"],
        check: nino,
        words: &["nino", "ni number", "ni no", "national insurance", "national insurance number"],
        sample: "JG 12 13 16 A",
        harmless: "national insurance GB123456A, QQ123456C",
    },
    // Social Welfare Consolidation Act 2005 §262; Revenue, Tax and Duty Manual: weights 8 to 2, modulus 23.
    Row {
        entity: "IE_PPSN",
        country: "IE",
        forms: &["9999999A", "9999999AA"],
        check: ppsn,
        words: &["pps", "ppsn", "pps number", "pps no", "personal public service", "uimhir psp"],
        sample: "PPSN 6433435F",
        harmless: "PPSN 6433435E",
    },
    // Abgabenordnung §139b; BZSt, Steueridentifikationsnummer: ISO/IEC 7064 MOD 11,10, one digit of the first ten
    // twice or three times.
    Row {
        entity: "DE_TAX_ID",
        country: "DE",
        forms: &["99999999999", "99 999 999 999", "99/999/999/999"],
        check: german_tax,
        words: &[
            "steuer id",
            "steueridentifikationsnummer",
            "steuer identifikationsnummer",
            "steuer idnr",
            "idnr",
            "tin",
            "identifikationsnummer",
            "tax id",
            "tax identification number",
            "steuernummer",
        ],
        sample: "Steuer-ID 36 574 261 809",
        harmless: "Steuer-ID 36574261890",
    },
    // VKVV §4: the letter as its two digits, products' digits added up, modulus 10.
    Row {
        entity: "DE_SOCIAL_SECURITY",
        country: "DE",
        forms: &["!99999999A999", "!99 999999 A 999"],
        check: german_pension,
        words: &[
            "rentenversicherungsnummer",
            "sozialversicherungsnummer",
            "rvnr",
            "sv nummer",
            "versicherungsnummer",
        ],
        sample: "15070649C103",
        harmless: "15070649C104",
    },
    // SGB V §290: the letter as its two digits, and Luhn.
    Row {
        entity: "DE_HEALTH_INSURANCE",
        country: "DE",
        forms: &["A999999999", "A 999 999 999"],
        check: |text| {
            let (Some(letter), Some(d)) = (text.first(), text.get(1..).and_then(digits::<9>)) else {
                return false;
            };
            let letter = value(*letter) - 9;
            let [a, b, c, d, e, f, g, h, i] = d;
            luhn(&[letter / 10, letter % 10, a, b, c, d, e, f, g, h, i])
        },
        words: &[
            "krankenversichertennummer",
            "krankenversicherungsnummer",
            "versichertennummer",
            "kvnr",
            "egk",
        ],
        sample: "KVNR A123456780",
        harmless: "KVNR A123456781",
    },
    // UStG §27a; BZSt: ISO/IEC 7064 MOD 11,10. A sole trader's is a person's.
    Row {
        entity: "DE_VAT_ID",
        country: "DE",
        forms: &["!AA999999999", "AA 999999999", "AA 999 999 999"],
        check: |text| {
            let number = text.strip_prefix(b"DE").and_then(digits::<9>);
            number.is_some_and(|d| d[0] > 0 && mod_11_10(&d))
        },
        words: &[
            "ust id",
            "ust idnr",
            "umsatzsteuer id",
            "umsatzsteuer identifikationsnummer",
            "vat",
            "vat id",
            "vat number",
        ],
        sample: "USt-IdNr. DE136695976",
        harmless: "USt-IdNr. DE136695978",
    },
    // Décret 82-103; INSEE, numéro d'inscription au répertoire: modulus 97, Corsica's 2A and 2B as 19 and 18.
    Row {
        entity: "FR_NIR",
        country: "FR",
        forms: &["!9 99 99 9X 999 999 99", "99999 9X 999 999 99", "999999X99999999", "999999X999999 99"],
        check: nir,
        words: &[
            "nir",
            "numéro de sécurité sociale",
            "numero de securite sociale",
            "sécurité sociale",
            "securite sociale",
            "sécu",
            "insee",
            "assuré social",
            "carte vitale",
        ],
        sample: "2 55 08 14 168 025 38",
        harmless: "2 55 08 14 168 025 39",
    },
    // Wet algemene bepalingen burgerservicenummer; the test of eleven.
    Row {
        entity: "NL_BSN",
        country: "NL",
        forms: &["999999999", "9999.99.999", "9999 99 999", "999 999 999"],
        check: |text| {
            digits::<9>(text).is_some_and(|d| {
                // The last digit is subtracted: 10 is -1 by 11.
                weighted(&d, &[9, 8, 7, 6, 5, 4, 3, 2, 10]).is_multiple_of(11)
            })
        },
        words: &[
            "bsn",
            "burgerservicenummer",
            "burger service nummer",
            "sofinummer",
            "sofi nummer",
            "citizen service number",
        ],
        sample: "BSN 111222333",
        harmless: "BSN 111222334",
    },
    // Arrêté royal du 3 avril 1984; 97 less the remainder, with a 2 in front for those born since 2000.
    Row {
        entity: "BE_NN",
        country: "BE",
        forms: &["!99.99.99-999.99", "99999999999", "999999-999-99", "999999 999 99"],
        check: belgian,
        words: &[
            "rijksregisternummer",
            "rijksregister",
            "registre national",
            "numéro national",
            "numero national",
            "niss",
            "insz",
            "nationaal nummer",
            "national register number",
            "nrn",
        ],
        sample: "85.07.30-033.28",
        harmless: "85.07.30-033.29",
    },
    // AHVV §134bis; EAN-13 after 756, Switzerland's number in ISO 3166-1.
    Row {
        entity: "CH_AHV",
        country: "CH",
        forms: &["!999.9999.9999.99", "9999999999999", "999 9999 9999 99"],
        check: |text| {
            digits::<13>(text).is_some_and(|d| {
                text.starts_with(b"756")
                    && weighted(&d, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]).is_multiple_of(10)
            })
        },
        words: &["ahv", "avs", "ahv nummer", "numéro avs", "sozialversicherungsnummer", "navs", "numero avs"],
        sample: "756.9217.0769.85",
        harmless: "756.9217.0769.84",
    },
    // ASVG §31; Dachverband, Versicherungsnummer: the fourth digit checks the others, modulus 11.
    Row {
        entity: "AT_SVNR",
        country: "AT",
        forms: &["9999999999", "9999 999999", "9999-999999"],
        check: |text| {
            digits::<10>(text)
                .is_some_and(|d| d[0] > 0 && weighted(&d, &[3, 7, 9, 0, 5, 8, 4, 2, 1, 6]) % 11 == d[3])
        },
        words: &["svnr", "sv nummer", "sozialversicherungsnummer", "versicherungsnummer", "vsnr"],
        sample: "SVNR 1237 010180",
        harmless: "SVNR 2237 010180",
    },
];

fn nino(text: &[u8]) -> bool {
    let Some(&[a, b, .., suffix]) = text.first_chunk::<9>() else { return false };
    let first = !b"DFIQUV".contains(&a);
    let second = !b"DFIOQUV".contains(&b);
    let unused = [b"BG", b"GB", b"KN", b"NK", b"NT", b"TN", b"ZZ"].contains(&&[a, b]);
    text.len() == 9 && first && second && !unused && matches!(suffix, b'A'..=b'D')
}

fn ppsn(text: &[u8]) -> bool {
    let Some(d) = text.get(..7).and_then(digits::<7>) else { return false };
    let (Some(check), second) = (text.get(7), text.get(8).copied()) else { return false };
    // A second letter counts nine times its place in the alphabet; the old ones, W and T, count nothing.
    let extra = match second {
        Some(b'W' | b'T' | b'X') | None => 0,
        Some(letter @ (b'A' | b'B' | b'H')) => 9 * u32::from(letter - b'A' + 1),
        Some(_) => return false,
    };
    let rest = (weighted(&d, &[8, 7, 6, 5, 4, 3, 2]) + extra) % 23;
    b"WABCDEFGHIJKLMNOPQRSTUV".get(rest as usize) == Some(check)
}

fn german_tax(text: &[u8]) -> bool {
    let Some(d) = digits::<11>(text) else { return false };
    let mut times = [0; 10];
    for digit in &d[..10] {
        times[*digit as usize % 10] += 1;
    }
    let repeated = times.iter().filter(|n| **n > 1).count();
    let most = times.iter().max().copied().unwrap_or(0);
    d[0] > 0 && repeated == 1 && most <= 3 && mod_11_10(&d)
}

fn german_pension(text: &[u8]) -> bool {
    let (Some(area), Some(letter), Some(serial)) =
        (text.get(..8).and_then(digits::<8>), text.get(8), text.get(9..).and_then(digits::<3>))
    else {
        return false;
    };
    let letter = value(*letter) - 9;
    let letter = [letter / 10, letter % 10];
    let all = area.iter().chain(&letter).chain(&serial[..2]).copied();
    let cross = |n: u32| n / 10 + n % 10;
    let sum: u32 = all.zip([2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1]).map(|(d, w)| cross(d * w)).sum();
    // 50 and more is added to the day where there were two of one day and letter.
    let day = pair(&area, 2);
    sum % 10 == serial[2] && (1..=12).contains(&pair(&area, 4)) && (1..=81).contains(&day)
}

fn nir(text: &[u8]) -> bool {
    let Some(written) = text.first_chunk::<15>().filter(|_| text.len() == 15) else { return false };
    let mut plain = *written;
    match &written[5..7] {
        b"2A" => plain[5..7].copy_from_slice(b"19"),
        b"2B" => plain[5..7].copy_from_slice(b"18"),
        _ => {}
    }
    let Some(d) = digits::<15>(&plain) else { return false };
    let month = pair(&d, 3);
    // 1 and 2 for a person's sex, 7 and 8 while the number is provisional; months above 12 are unknown ones.
    matches!(d[0], 1 | 2 | 3 | 4 | 7 | 8)
        && matches!(month, 1..=12 | 20..=42 | 50..=99)
        && 97 - remainder(&d[..13], 97) == pair(&d, 13)
}

fn belgian(text: &[u8]) -> bool {
    let Some(d) = digits::<11>(text) else { return false };
    // 20 or 40 is added to the month for those who are not in the register (BIS), 0 is unknown.
    let month = pair(&d, 2);
    let check = u64::from(pair(&d, 9));
    let of = |n: u64| 97 - n % 97 == check;
    month <= 52 && month % 20 <= 12 && (of(number(&d[..9])) || of(2_000_000_000 + number(&d[..9])))
}

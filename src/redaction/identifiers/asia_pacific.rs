//! The rows of Asia, Australia and Africa.
//!
//! Above each row stands whose rule it is.

use super::Row;
use super::arithmetic::{digits, is_date, luhn, luhn_sum, number, pair, value, verhoeff, weighted};

pub(super) const ROWS: &[Row] = &[
    // ABR, Format of the ABN: 1 less in the first place, weights 10 1 3 5 … 19, modulus 89.
    Row {
        entity: "AU_ABN",
        country: "AU",
        forms: &["99 999 999 999", "99999999999"],
        check: |text| {
            digits::<11>(text).is_some_and(|mut d| {
                let some = d[0] > 0;
                d[0] = d[0].saturating_sub(1);
                some && weighted(&d, &[10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]).is_multiple_of(89)
            })
        },
        words: &["abn", "australian business number", "business number"],
        sample: "ABN 51 824 753 556",
        harmless: "ABN 51 824 753 557",
    },
    // ASIC, Australian Company Number digit check: weights 8 to 1, modulus 10.
    Row {
        entity: "AU_ACN",
        country: "AU",
        forms: &["999 999 999", "999999999"],
        check: |text| {
            digits::<9>(text)
                .is_some_and(|d| (10 - weighted(&d, &[8, 7, 6, 5, 4, 3, 2, 1]) % 10) % 10 == d[8])
        },
        words: &["acn", "australian company number", "company number"],
        sample: "ACN 004 085 616",
        harmless: "ACN 004 085 617",
    },
    // ATO, TFN algorithm: weights 1 4 3 7 5 8 6 9 10, modulus 11.
    Row {
        entity: "AU_TFN",
        country: "AU",
        forms: &["999 999 999", "999999999", "99999999"],
        check: |text| {
            let weights = [1, 4, 3, 7, 5, 8, 6, 9, 10];
            digits::<9>(text).is_some_and(|d| weighted(&d, &weights).is_multiple_of(11))
                || digits::<8>(text).is_some_and(|d| weighted(&d, &weights).is_multiple_of(11))
        },
        words: &["tfn", "tax file number", "tax file no", "tax file"],
        sample: "TFN 123 456 782",
        harmless: "TFN 123 456 783",
    },
    // Services Australia, Medicare card: starts with 2 to 6; weights 1 3 7 9, modulus 10, in the ninth place.
    Row {
        entity: "AU_MEDICARE",
        country: "AU",
        forms: &["9999 99999 9", "9999999999"],
        check: |text| {
            digits::<10>(text).is_some_and(|d| {
                matches!(d[0], 2..=6) && d[9] > 0 && weighted(&d, &[1, 3, 7, 9, 1, 3, 7, 9]) % 10 == d[8]
            })
        },
        words: &["medicare", "medicare number", "medicare card", "medicare no"],
        sample: "Medicare 2123 45670 1",
        harmless: "Medicare 2123 45671 1",
    },
    // Inland Revenue, Resident withholding tax specification: two rounds of weights, modulus 11.
    Row {
        entity: "NZ_IRD",
        country: "NZ",
        forms: &["999-999-999", "99-999-999", "999999999", "99999999", "999 999 999"],
        check: ird,
        words: &["ird", "ird number", "ird no", "inland revenue"],
        sample: "IRD 49-091-850",
        harmless: "IRD 49-091-851",
    },
    // UIDAI, A UID Numbering Scheme: Verhoeff; starts with 2 to 9, and reads differently from the right.
    Row {
        entity: "IN_AADHAAR",
        country: "IN",
        forms: &["9999 9999 9999", "9999-9999-9999", "999999999999"],
        check: |text| {
            digits::<12>(text).is_some_and(|d| d[0] > 1 && !d.iter().eq(d.iter().rev()) && verhoeff(&d))
        },
        words: &["aadhaar", "aadhar", "uidai", "आधार", "uid number"],
        sample: "Aadhaar 2341 2341 2346",
        harmless: "Aadhaar 2341 2341 2347",
    },
    // Income Tax Department, PAN: the fourth letter says what the holder is. Its last letter is checked by nobody else.
    Row {
        entity: "IN_PAN",
        country: "IN",
        // A person's has a P in the fourth place. Those of companies count after a word alone.
        forms: &["!AAAPA9999A", "AAAAA9999A"],
        check: |text| pan(text),
        words: &["pan", "pan card", "pan number", "pan no", "permanent account number", "income tax"],
        sample: "PAN ACUPA7085R",
        harmless: "PAN ABMNA0000A",
    },
    // CBIC, GSTIN: the state, a PAN, an entity, Z, and Luhn over 36 signs.
    Row {
        entity: "IN_GSTIN",
        country: "IN",
        forms: &["!99AAAAA9999AXAX"],
        check: |text| {
            let state = text.get(..2).and_then(digits::<2>).map_or(0, |d| pair(&d, 0));
            let Some(signs) = text.first_chunk::<15>().filter(|_| text.len() == 15) else { return false };
            matches!(state, 1..=37)
                && pan(&text[2..12])
                && text[12] != b'0'
                && text[13] == b'Z'
                && luhn_sum(&signs.map(value), 36).is_multiple_of(36)
        },
        words: &["gstin", "gst", "gst number"],
        sample: "27AAPFU0939F1ZV",
        harmless: "27AAPFU0939F1ZO",
    },
    // ICA; the rule is not printed by the authority, but known since the 1990s: weights 2 7 6 5 4 3 2, modulus 11.
    Row {
        entity: "SG_NRIC_FIN",
        country: "SG",
        forms: &["!A9999999A"],
        check: nric,
        words: &["nric", "fin", "identity card", "nric no", "fin number"],
        sample: "S1234567D",
        harmless: "S1234567E and A1234567D",
    },
    // 주민등록법 시행규칙: weights 2 to 9 and 2 to 5, modulus 11. Numbers issued since October 2020 have no check digit.
    Row {
        entity: "KR_RRN",
        country: "KR",
        forms: &["!999999-9999999", "9999999999999"],
        check: rrn,
        words: &["rrn", "주민등록번호", "주민번호", "resident registration", "jumin"],
        sample: "971013-9019902",
        harmless: "971013-9019903",
    },
    // 総務省令第85号 (2014): weights 6 5 4 3 2 7 6 5 4 3 2, modulus 11.
    Row {
        entity: "JP_MY_NUMBER",
        country: "JP",
        forms: &["9999 9999 9999", "9999-9999-9999", "999999999999"],
        check: |text| {
            digits::<12>(text).is_some_and(|d| {
                let rest = weighted(&d, &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
                d[11] == if rest < 2 { 0 } else { 11 - rest }
            })
        },
        words: &["my number", "マイナンバー", "個人番号", "individual number"],
        sample: "マイナンバー 6214 9832 0257",
        harmless: "マイナンバー 6214 9832 0258",
    },
    // GB 11643-1999, by ISO 7064 MOD 11-2; the first two digits are a province's (GB/T 2260).
    Row {
        entity: "CN_RESIDENT_ID",
        country: "CN",
        forms: &["!99999999999999999X"],
        check: resident,
        words: &["身份证", "身份证号", "身份证号码", "公民身份号码", "resident id", "id card"],
        sample: "11010519491231002X",
        harmless: "110105194912310021",
    },
    // Ministry of the Interior, 國民身分證統一編號: the letter as two digits, weights 1 9 8 … 1 1, modulus 10.
    Row {
        entity: "TW_NATIONAL_ID",
        country: "TW",
        forms: &["A999999999"],
        check: taiwanese,
        words: &[
            "身分證",
            "身份證",
            "身分證字號",
            "身份證字號",
            "統一編號",
            "居留證",
            "national id",
            "id number",
        ],
        sample: "身分證 A123456789",
        harmless: "身分證 A123456788",
    },
    // Registration of Persons Regulations (Cap. 177A): weights 9 to 2, modulus 11, A for ten, in brackets.
    Row {
        entity: "HK_ID",
        country: "HK",
        forms: &["!A999999(X)", "!AA999999(X)", "A999999X", "AA999999X"],
        check: hong_kong,
        words: &["hkid", "hong kong identity", "hong kong id", "香港身份證", "身份證", "identity card"],
        sample: "A123456(3)",
        harmless: "A123456(4)",
    },
    // Department of Provincial Administration: weights 13 to 2, modulus 11; starts with 1 to 8.
    Row {
        entity: "TH_TNIN",
        country: "TH",
        forms: &["!9-9999-99999-99-9", "9999999999999", "9 9999 99999 99 9"],
        check: |text| {
            digits::<13>(text).is_some_and(|d| {
                let sum = weighted(&d, &[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
                matches!(d[0], 1..=8) && (11 - sum % 11) % 10 == d[12]
            })
        },
        words: &["เลขประจำตัวประชาชน", "บัตรประชาชน", "thai id", "thai national id", "tnin", "citizen id"],
        sample: "1-2345-45678-78-1",
        harmless: "1-2345-45678-78-9",
    },
    // Population and Immigration Authority, מספר זהות: Luhn over nine digits.
    Row {
        entity: "IL_ID",
        country: "IL",
        forms: &["999999999", "99999999-9"],
        check: |text| digits::<9>(text).is_some_and(|d| luhn(&d)),
        words: &["תעודת זהות", "מספר זהות", "ת.ז.", "ת\"ז", "teudat zehut", "israeli id"],
        sample: "תעודת זהות 123456782",
        harmless: "תעודת זהות 123456783",
    },
    // Identification Act 68 of 1997: the date of birth, 0 or 1 for the citizenship, and Luhn.
    Row {
        entity: "ZA_ID_NUMBER",
        country: "ZA",
        forms: &["9999999999999", "999999 9999 99 9", "999999 9999 999"],
        check: |text| {
            digits::<13>(text).is_some_and(|d| {
                luhn(&d) && d[10] < 2 && is_date(2000 + pair(&d, 0), pair(&d, 2), pair(&d, 4))
            })
        },
        words: &[
            "id number",
            "id no",
            "identity number",
            "sa id",
            "south african id",
            "rsa id",
            "identiteitsnommer",
        ],
        sample: "ID number 7503305044089",
        harmless: "ID number 8503305044089",
    },
];

fn ird(text: &[u8]) -> bool {
    let Some(all) = digits::<9>(text)
        .or_else(|| digits::<8>(text).map(|d| std::array::from_fn(|i| if i == 0 { 0 } else { d[i - 1] })))
    else {
        return false;
    };
    let check = |weights: [u32; 8]| (11 - weighted(&all, &weights) % 11) % 11;
    let first = check([3, 2, 7, 6, 5, 4, 3, 2]);
    let digit = if first < 10 { first } else { check([7, 4, 3, 2, 5, 2, 7, 6]) };
    (10_000_001..150_000_000).contains(&number(&all)) && digit == all[8]
}

fn pan(text: &[u8]) -> bool {
    let shape =
        |(i, b): (usize, &u8)| if (5..9).contains(&i) { b.is_ascii_digit() } else { b.is_ascii_uppercase() };
    text.len() == 10
        && text.iter().enumerate().all(shape)
        && b"ABCFGHJKLPT".contains(&text[3])
        && &text[5..9] != b"0000"
}

fn nric(text: &[u8]) -> bool {
    let (Some(series), Some(d), Some(check)) =
        (text.first(), text.get(1..8).and_then(digits::<7>), text.get(8))
    else {
        return false;
    };
    let sum = weighted(&d, &[2, 7, 6, 5, 4, 3, 2]);
    let (extra, letters) = match series {
        b'S' => (0, b"JZIHGFEDCBA"),
        b'T' => (4, b"JZIHGFEDCBA"),
        b'F' => (0, b"XWUTRQPNMLK"),
        b'G' => (4, b"XWUTRQPNMLK"),
        b'M' => (3, b"XWUTRQPNJLK"),
        _ => return false,
    };
    letters.get(((sum + extra) % 11) as usize) == Some(check)
}

fn rrn(text: &[u8]) -> bool {
    let Some(d) = digits::<13>(text) else { return false };
    // The seventh digit says sex and century, the next two where it was registered.
    let century = match d[6] {
        1 | 2 | 5 | 6 => 1900,
        3 | 4 | 7 | 8 => 2000,
        _ => 1800,
    };
    let sum = weighted(&d, &[2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]);
    is_date(century + pair(&d, 0), pair(&d, 2), pair(&d, 4))
        && pair(&d, 7) <= 96
        && (11 - sum % 11) % 10 == d[12]
}

fn resident(text: &[u8]) -> bool {
    let (Some(d), Some(check)) = (text.get(..17).and_then(digits::<17>), text.get(17)) else { return false };
    let province =
        matches!(pair(&d, 0), 11..=15 | 21..=23 | 31..=37 | 41..=46 | 50..=54 | 61..=65 | 71 | 81..=83 | 91);
    let sum = weighted(&d, &[7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]);
    let year = 100 * pair(&d, 6) + pair(&d, 8);
    province
        && (1850..2100).contains(&year)
        && is_date(year, pair(&d, 10), pair(&d, 12))
        && b"10X98765432".get((sum % 11) as usize) == Some(check)
}

fn taiwanese(text: &[u8]) -> bool {
    let (Some(letter), Some(d)) = (text.first(), text.get(1..).and_then(digits::<9>)) else { return false };
    let order = b"ABCDEFGHJKLMNPQRSTUVXYWZIO";
    let Some(place) = order.iter().position(|known| known == letter) else { return false };
    let place = place as u32 + 10;
    // 1 and 2 for citizens, 8 and 9 for residents since 2021.
    matches!(d[0], 1 | 2 | 8 | 9)
        && (place / 10 + 9 * (place % 10) + weighted(&d, &[8, 7, 6, 5, 4, 3, 2, 1, 1])).is_multiple_of(10)
}

fn hong_kong(text: &[u8]) -> bool {
    // One letter stands after a blank, which counts 36.
    let mut signs = [36; 9];
    let Some(written) = 9usize.checked_sub(text.len()).and_then(|from| signs.get_mut(from..)) else {
        return false;
    };
    written.iter_mut().zip(text).for_each(|(sign, byte)| *sign = value(*byte));
    text.len() >= 8 && signs[8] <= 10 && weighted(&signs, &[9, 8, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
}

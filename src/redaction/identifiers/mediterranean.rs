//! The rows of southern Europe and of Türkiye.
//!
//! Above each row stands whose rule it is.

use super::Row;
use super::arithmetic::{digits, is_date, luhn, number, pair, value, weighted};

pub(super) const ROWS: &[Row] = &[
    // Real Decreto 1553/2005, DNI: the remainder by 23 chooses a letter.
    Row {
        entity: "ES_NIF",
        country: "ES",
        forms: &["!99999999A", "!99999999-A", "99999999 A"],
        check: |text| spanish(text, b'0'),
        words: &["dni", "nif", "documento nacional de identidad", "identificación fiscal"],
        sample: "54362315K",
        harmless: "54362315Z",
    },
    // Real Decreto 557/2011, NIE: X, Y and Z are 0, 1 and 2.
    Row {
        entity: "ES_NIE",
        country: "ES",
        forms: &["!A9999999A", "!A-9999999-A", "A-9999999A", "A9999999-A"],
        check: |text| {
            text.split_first().is_some_and(|(first, rest)| {
                let prefix = b"XYZ".iter().position(|known| known == first);
                prefix.is_some_and(|i| rest.len() == 8 && spanish(rest, b'0' + i as u8))
            })
        },
        words: &["nie", "número de identidad de extranjero", "extranjero"],
        sample: "X2482300W",
        harmless: "X2482300A",
    },
    // Decreto-Lei 14/2013, NIF: weights 9 to 2, modulus 11.
    Row {
        entity: "PT_NIF",
        country: "PT",
        forms: &["999999999", "999 999 999"],
        check: |text| {
            digits::<9>(text).is_some_and(|d| {
                let rest = weighted(&d, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
                d[0] > 0 && d[8] == if rest < 2 { 0 } else { 11 - rest }
            })
        },
        words: &[
            "nif",
            "contribuinte",
            "número de contribuinte",
            "numero de contribuinte",
            "identificação fiscal",
        ],
        sample: "NIF 501964843",
        harmless: "NIF 501964842",
    },
    // Decreto ministeriale 23 dicembre 1976, codice fiscale.
    Row {
        entity: "IT_FISCAL_CODE",
        country: "IT",
        forms: &["!AAAAAAXXAXXAXXXA", "!AAA AAA XXAXX AXXXA"],
        check: fiscal_code,
        words: &["codice fiscale", "cod fisc", "cf", "fiscal code"],
        sample: "RCCMNL83S18D969H",
        harmless: "RCCMNL83S18D967H",
    },
    // DPR 633/1972 §35, partita IVA: Luhn; the office's number is in the eighth to tenth places.
    Row {
        entity: "IT_VAT_CODE",
        country: "IT",
        forms: &["99999999999", "!AA99999999999", "AA 99999999999"],
        check: |text| {
            let text = if text.len() == 13 { text.strip_prefix(b"IT").unwrap_or(text) } else { text };
            digits::<11>(text).is_some_and(|d| {
                let office = number(&d[7..10]);
                let known = matches!(office, 1..=100 | 120 | 121 | 888 | 999);
                number(&d[..7]) > 0 && known && luhn(&d)
            })
        },
        words: &["partita iva", "p iva", "piva", "p.iva", "iva"],
        sample: "partita IVA 00743110157",
        harmless: "partita IVA 00743110158",
    },
    // Law 3655/2008, ΑΜΚΑ: the date of birth, and Luhn.
    Row {
        entity: "GR_AMKA",
        country: "GR",
        forms: &["99999999999", "999999 99999", "999999-99999"],
        check: |text| {
            digits::<11>(text)
                .is_some_and(|d| luhn(&d) && is_date(2000 + pair(&d, 4), pair(&d, 2), pair(&d, 0)))
        },
        words: &["amka", "αμκα", "α.μ.κ.α"],
        sample: "AMKA 01013099997",
        harmless: "AMKA 01013099999",
    },
    // Law 5490, T.C. kimlik numarası.
    Row {
        entity: "TR_NATIONAL_ID",
        country: "TR",
        forms: &["99999999999"],
        check: turkish,
        words: &["tckn", "tc kimlik", "t.c. kimlik", "tc kimlik no", "kimlik no", "kimlik numarası", "tc no"],
        sample: "TCKN 17291716060",
        harmless: "TCKN 17291716050",
    },
];

fn spanish(text: &[u8], first: u8) -> bool {
    // A foreigner's number has seven digits after the first letter.
    let Some((letter, rest)) = text.split_last() else { return false };
    let d = match rest.len() {
        8 => digits::<8>(rest).map(|d| number(&d)),
        7 => digits::<7>(rest).map(|d| u64::from(first - b'0') * 10_000_000 + number(&d)),
        _ => None,
    };
    d.is_some_and(|n| b"TRWAGMYFPDXBNJZSQVHLCKE".get((n % 23) as usize) == Some(letter))
}

fn fiscal_code(text: &[u8]) -> bool {
    const ODD: [u32; 26] =
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    let Some(code) = text.first_chunk::<16>().filter(|_| text.len() == 16) else { return false };
    // Where two persons would have the same code, digits are written as letters.
    let digit = |i: usize| match code[i] {
        b @ b'0'..=b'9' => Some(value(b)),
        b => b"LMNPQRSTUV".iter().position(|known| *known == b).map(|d| d as u32),
    };
    let (Some(year), Some(ones), Some(tens), Some(day)) = (digit(6), digit(7), digit(9), digit(10)) else {
        return false;
    };
    let Some(month) = b"ABCDEHLMPRST".iter().position(|known| *known == code[8]) else { return false };
    if !(code[..6].iter().all(u8::is_ascii_alphabetic) && (12..15).all(|i| digit(i).is_some())) {
        return false;
    }
    // A woman's day has 40 added.
    let day = (10 * tens + day) % 40;
    let place = |b: u8| if b.is_ascii_digit() { value(b) } else { value(b) - 10 };
    let odd = |b: u8| ODD.get(place(b) as usize).copied().unwrap_or(0);
    let sum: u32 =
        code[..15].iter().enumerate().map(|(i, b)| if i % 2 == 0 { odd(*b) } else { place(*b) }).sum();
    is_date(2000 + 10 * year + ones, month as u32 + 1, day) && sum % 26 == place(code[15])
}

fn turkish(text: &[u8]) -> bool {
    let Some(d) = digits::<11>(text) else { return false };
    let odd: u32 = d[..9].iter().step_by(2).sum();
    let even: u32 = d[1..8].iter().step_by(2).sum();
    let tenth = (7 * odd + 10 * 8 - even) % 10;
    d[0] > 0 && tenth == d[9] && d[..10].iter().sum::<u32>() % 10 == d[10]
}

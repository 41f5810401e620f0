//! The rows of North and South America.
//!
//! Above each row stands whose rule it is.

use super::Row;
use super::arithmetic::{digits, is_date, luhn, luhn_sum, pair, value, weighted};

pub(super) const ROWS: &[Row] = &[
    // SSA, POMS RM 10201: areas 000, 666 and 900 to 999, group 00 and serial 0000 are not issued.
    Row {
        entity: "US_SSN",
        country: "US",
        forms: &["!999-99-9999", "999 99 9999", "999.99.9999", "999999999"],
        check: ssn,
        words: &["ssn", "social security", "social security number", "social security no", "ssns", "soc sec"],
        sample: "536-90-4399",
        harmless: "000-12-3456, 666-12-3456, 900-12-3456, 536-00-4399, 536-90-0000, 078-05-1120",
    },
    // IRS, Internal Revenue Manual 3.21.263: 9, and 50 to 65, 70 to 88, 90 to 92 or 94 to 99 in the middle.
    Row {
        entity: "US_ITIN",
        country: "US",
        forms: &["!999-99-9999", "999 99 9999", "999999999"],
        check: |text| {
            digits::<9>(text)
                .is_some_and(|d| d[0] == 9 && matches!(pair(&d, 3), 50..=65 | 70..=88 | 90..=92 | 94..=99))
        },
        words: &[
            "itin",
            "individual taxpayer",
            "individual taxpayer identification",
            "taxpayer id",
            "tax id",
        ],
        sample: "912-90-3456",
        harmless: "912-93-3456 and 812-90-3456",
    },
    // CMS, Requirements for National Provider Identifier: Luhn with 80840 in front.
    Row {
        entity: "US_NPI",
        country: "US",
        forms: &["9999999999"],
        check: |text| {
            // 80840 adds 24 to the sum.
            digits::<10>(text)
                .is_some_and(|d| matches!(d[0], 1 | 2) && (luhn_sum(&d, 10) + 24).is_multiple_of(10))
        },
        words: &[
            "npi",
            "national provider",
            "national provider identifier",
            "provider id",
            "provider identifier",
        ],
        sample: "NPI 1234567893",
        harmless: "NPI 1234567894",
    },
    // CMS, Understanding the Medicare Beneficiary Identifier Format.
    Row {
        entity: "US_MBI",
        country: "US",
        forms: &["!9AX9-AX9-AA99", "!9AX9AX9AA99"],
        check: |text| {
            // S, L, O, I, B and Z look like digits.
            text.len() == 11 && text[0] != b'0' && !text.iter().any(|b| b"SLOIBZ".contains(b))
        },
        words: &["mbi", "medicare", "medicare beneficiary", "medicare number", "beneficiary identifier"],
        sample: "1EG4-TE5-MK73",
        harmless: "1SG4-TE5-MK73 and 0EG4-TE5-MK73",
    },
    // ABA Routing Number Policy: weights 3 7 1, modulus 10; the first two digits are a Federal Reserve district's.
    Row {
        entity: "ABA_ROUTING_NUMBER",
        country: "US",
        forms: &["999999999", "9999-9999-9"],
        check: |text| {
            digits::<9>(text).is_some_and(|d| {
                matches!(pair(&d, 0), 0..=12 | 21..=32 | 61..=72 | 80)
                    && weighted(&d, &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10)
            })
        },
        words: &["aba", "routing", "routing number", "routing no", "rtn", "routing transit number"],
        sample: "routing number 111000025",
        harmless: "routing number 111000026",
    },
    // No rule but the length: banks number their accounts as they like.
    Row {
        entity: "US_BANK_NUMBER",
        country: "US",
        forms: &[
            "99999999",
            "999999999",
            "9999999999",
            "99999999999",
            "999999999999",
            "9999999999999",
            "99999999999999",
            "999999999999999",
            "9999999999999999",
            "99999999999999999",
        ],
        check: |text| text.len() >= 8,
        words: &[
            "bank account",
            "account number",
            "account no",
            "account #",
            "acct",
            "acct number",
            "acct no",
            "checking account",
            "savings account",
            "debit account",
        ],
        sample: "bank account 945456787654",
        harmless: "bank account 1234567",
    },
    // U.S. Department of State: nine digits, or a letter and eight. No check digit outside the machine's lines.
    Row {
        entity: "US_PASSPORT",
        country: "US",
        forms: &["999999999", "A99999999"],
        check: |text| text.len() == 9,
        words: &["passport", "passport number", "passport no", "passport #", "us passport", "passport card"],
        sample: "passport number A03457856",
        harmless: "passport number 03457856 and A03457856B",
    },
    // Service Canada, Social Insurance Number: Luhn; none starts with 0 or 8.
    Row {
        entity: "CA_SIN",
        country: "CA",
        forms: &["999-999-999", "999 999 999", "999999999"],
        check: |text| digits::<9>(text).is_some_and(|d| !matches!(d[0], 0 | 8) && luhn(&d)),
        words: &["sin", "social insurance", "social insurance number", "nas", "assurance sociale"],
        sample: "SIN 123-456-782",
        harmless: "SIN 123-456-781 and 046 454 286",
    },
    // Receita Federal, Instrução Normativa RFB 2.172/2024: two check digits, modulus 11.
    Row {
        entity: "BR_CPF",
        country: "BR",
        forms: &["!999.999.999-99", "999999999-99", "99999999999"],
        check: |text| {
            digits::<11>(text).is_some_and(|d| {
                check_11(&d[..9], &[10, 9, 8, 7, 6, 5, 4, 3, 2]) == d[9]
                    && check_11(&d[..10], &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2]) == d[10]
            })
        },
        words: &["cpf", "cadastro de pessoas físicas", "cadastro de pessoa física", "cpf mf"],
        sample: "390.533.447-05",
        harmless: "390.533.447-06",
    },
    // Receita Federal, Instrução Normativa RFB 2.229/2024: with letters since 2026, each worth its code less 48.
    Row {
        entity: "BR_CNPJ",
        country: "BR",
        forms: &["!XX.XXX.XXX/XXXX-99", "XXXXXXXXXXXX99", "XXXXXXXX/XXXX-99"],
        check: cnpj,
        words: &["cnpj", "cadastro nacional da pessoa jurídica", "cnpj mf"],
        sample: "16.727.230/0001-97",
        harmless: "16.727.230/0001-98",
    },
    // RENAPO, Instructivo Normativo para la Asignación de la CURP.
    Row {
        entity: "MX_CURP",
        country: "MX",
        forms: &["!AAAA999999AAAAAAX9"],
        check: curp,
        words: &["curp", "clave única", "clave unica"],
        sample: "BOXW310820HNERXN09",
        harmless: "BOXW310820HNERXN08",
    },
    // Servicio de Registro Civil, RUN/RUT: weights 2 to 7 from the right, modulus 11, K for ten.
    Row {
        entity: "CL_RUT",
        country: "CL",
        forms: &["!99.999.999-X", "!9.999.999-X", "99999999-X", "9999999-X", "99999999X", "9999999X"],
        check: rut,
        words: &["rut", "rol único nacional", "rol único", "rol unico", "cédula", "cedula"],
        sample: "12.531.909-2",
        harmless: "12.531.909-3",
    },
    // AFIP, Resolución General 10/1997, CUIT and CUIL: weights 5 4 3 2 7 6 5 4 3 2, modulus 11.
    Row {
        entity: "AR_CUIT",
        country: "AR",
        forms: &["!99-99999999-9", "99999999999"],
        check: |text| {
            digits::<11>(text).is_some_and(|d| {
                let rest = weighted(&d, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
                let check = match rest {
                    0 => 0,
                    1 => 9,
                    rest => 11 - rest,
                };
                matches!(pair(&d, 0), 20 | 23 | 24 | 27 | 30 | 33 | 34 | 50 | 51 | 55) && d[10] == check
            })
        },
        words: &["cuit", "cuil", "clave única", "clave unica"],
        sample: "20-05536168-2",
        harmless: "20-05536168-1",
    },
];

fn ssn(text: &[u8]) -> bool {
    // Printed in advertisements, and void since.
    const VOID: [&[u8]; 3] = [b"078051120", b"219099999", b"457555462"];
    digits::<9>(text).is_some_and(|d| {
        let area = 10 * pair(&d, 0) + d[2];
        let (group, serial) = (pair(&d, 3), 100 * pair(&d, 5) + pair(&d, 7));
        !matches!(area, 0 | 666 | 900..) && group > 0 && serial > 0 && !VOID.contains(&text)
    })
}

/// Eleven less the remainder by eleven, 0 for ten and eleven.
fn check_11(digits: &[u32], weights: &[u32]) -> u32 {
    match weighted(digits, weights) % 11 {
        0 | 1 => 0,
        rest => 11 - rest,
    }
}

fn cnpj(text: &[u8]) -> bool {
    let Some(all) = text.first_chunk::<14>().filter(|_| text.len() == 14) else { return false };
    let d = all.map(|b| u32::from(b.saturating_sub(48)));
    !all.starts_with(b"000000000000")
        && all[12..].iter().all(u8::is_ascii_digit)
        && check_11(&d[..12], &[5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]) == d[12]
        && check_11(&d[..13], &[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]) == d[13]
}

fn curp(text: &[u8]) -> bool {
    const STATES: &[u8] =
        b"AS BC BS CC CH CL CM CS DF DG GR GT HG JC MC MN MS NE NL NT OC PL QR QT SL SP SR TC TL TS VZ YN ZS";
    let Some(code) = text.first_chunk::<18>().filter(|_| text.len() == 18) else { return false };
    let Some(d) = digits::<6>(&code[4..10]) else { return false };
    let state = STATES.split(|b| *b == b' ').any(|state| state == &code[11..13]);
    let century = if code[16].is_ascii_digit() { 1900 } else { 2000 };
    // In the alphabet with Ñ after N.
    let place = |b: u8| if b > b'N' { value(b) + 1 } else { value(b) };
    let sum: u32 = code[..17].iter().zip((2..=18).rev()).map(|(b, weight)| place(*b) * weight).sum();
    matches!(code[10], b'H' | b'M' | b'X')
        && state
        && is_date(century + pair(&d, 0), pair(&d, 2), pair(&d, 4))
        && (10 - sum % 10) % 10 == value(code[17])
}

fn rut(text: &[u8]) -> bool {
    let Some((check, rest)) = text.split_last() else { return false };
    if !matches!(rest.len(), 7 | 8) || !rest.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let weights = (2..=7).cycle();
    let sum: u32 = rest.iter().rev().zip(weights).map(|(b, weight)| value(*b) * weight).sum();
    b"0K987654321".get((sum % 11) as usize) == Some(check)
}

//! The rows of northern, Baltic, eastern and south-eastern Europe.
//!
//! Above each row stands whose rule it is.

use super::Row;
use super::arithmetic::{digits, is_date, luhn, mod_11_10, number, pair, weighted};

pub(super) const ROWS: &[Row] = &[
    // Digital and Population Data Services Agency, henkilötunnus: the remainder by 31 chooses a sign. The sign after
    // the date says the century (Valtioneuvoston asetus 128/2010, with the letters added in 2023).
    Row {
        entity: "FI_PERSONAL_IDENTITY_CODE",
        country: "FI",
        forms: &["!999999-999A", "!999999+999A", "!999999A999X", "999999-9999", "999999+9999"],
        check: hetu,
        words: &["hetu", "henkilötunnus", "henkilotunnus", "personbeteckning", "personal identity code"],
        sample: "131052-308T",
        harmless: "131052-308U",
    },
    // Folkbokföringslagen (1991:481) §18: Luhn over the last ten digits; 60 is added to the day of a coordination number.
    Row {
        entity: "SE_PERSONNUMMER",
        country: "SE",
        forms: &["999999-9999", "999999+9999", "9999999999", "99999999-9999", "999999999999"],
        check: personnummer,
        words: &["personnummer", "personnr", "pnr", "samordningsnummer", "personal identity number"],
        sample: "personnummer 811228-9874",
        harmless: "personnummer 811228-9875",
    },
    // Skatteetaten, fødselsnummer: two check digits, modulus 11; 40 is added to the day of a D-number.
    Row {
        entity: "NO_FNR",
        country: "NO",
        forms: &["99999999999", "999999 99999"],
        check: norwegian,
        words: &["fødselsnummer", "fodselsnummer", "fnr", "personnummer", "d nummer", "dnr"],
        sample: "fnr 15108695088",
        harmless: "fnr 15108695089",
    },
    // CPR-kontoret, Personnummeret i CPR-systemet: since 2007 without a check digit, so only the date is checked.
    Row {
        entity: "DK_CPR_NUMBER",
        country: "DK",
        forms: &["999999-9999", "999999 9999", "9999999999"],
        check: danish,
        words: &["cpr", "cpr nummer", "cpr nr", "cpr number", "personnummer"],
        sample: "CPR 211062-5629",
        harmless: "CPR 311162-5629",
    },
    // Þjóðskrá, kennitala: weights 3 2 7 6 5 4 3 2, modulus 11; the last digit says the century.
    Row {
        entity: "IS_KENNITALA",
        country: "IS",
        forms: &["999999-9999", "9999999999"],
        check: kennitala,
        words: &["kennitala", "kt"],
        sample: "kennitala 120174-3399",
        harmless: "kennitala 120174-3389",
    },
    // Rahvastikuregistri seadus, isikukood (EVS 585): two rounds of weights, modulus 11.
    Row {
        entity: "EE_ISIKUKOOD",
        country: "EE",
        forms: &["99999999999"],
        check: baltic,
        words: &["isikukood", "ik", "personal code"],
        sample: "isikukood 36805280109",
        harmless: "isikukood 36805280108",
    },
    // Gyventojų registro įstatymas, asmens kodas: Estonia's rule.
    Row {
        entity: "LT_ASMENS_KODAS",
        country: "LT",
        forms: &["99999999999"],
        check: baltic,
        words: &["asmens kodas", "a. k.", "personal code"],
        sample: "asmens kodas 33309240064",
        harmless: "asmens kodas 33309240164",
    },
    // Ustawa o ewidencji ludności, PESEL: weights 1 3 7 9, modulus 10; the month says the century.
    Row {
        entity: "PL_PESEL",
        country: "PL",
        forms: &["99999999999"],
        check: pesel,
        words: &["pesel", "numer pesel", "nr pesel"],
        sample: "PESEL 44051401359",
        harmless: "PESEL 44051401358",
    },
    // Zákon 133/2000 Sb. §13, rodné číslo: a multiple of 11; 50 is added to a woman's month. Progress
    // is written like it (`step 710319/2745`), so it is weak.
    Row {
        entity: "CZ_BIRTH_NUMBER",
        country: "CZ",
        forms: &["999999/9999", "999999/999", "9999999999"],
        check: birth_number,
        words: &["rodné číslo", "rodne cislo", "r. č.", "rč", "birth number"],
        sample: "rodné číslo 710319/2745",
        harmless: "rodné číslo 710319/2746",
    },
    // Zákon 301/1995 Z. z.: the same rule, from the time of one state.
    Row {
        entity: "SK_BIRTH_NUMBER",
        country: "SK",
        forms: &["999999/9999", "999999/999", "9999999999"],
        check: birth_number,
        words: &["rodné číslo", "rodne cislo", "r. č.", "rč", "birth number"],
        sample: "rodné číslo 710319/2745",
        harmless: "rodné číslo 710319/2746",
    },
    // Legea 105/1996, cod numeric personal: weights 279146358279, modulus 11.
    Row {
        entity: "RO_CNP",
        country: "RO",
        forms: &["9999999999999"],
        check: cnp,
        words: &["cnp", "cod numeric personal", "codul numeric personal"],
        sample: "CNP 1630615123457",
        harmless: "CNP 1630615123458",
    },
    // ГРАО, ЕГН: weights 2 4 8 5 10 9 7 3 6, modulus 11; the month says the century.
    Row {
        entity: "BG_EGN",
        country: "BG",
        forms: &["9999999999"],
        check: egn,
        words: &["egn", "егн", "единен граждански номер"],
        sample: "ЕГН 7523169263",
        harmless: "ЕГН 7523169264",
    },
    // Zakon o osobnom identifikacijskom broju: ISO/IEC 7064 MOD 11,10.
    Row {
        entity: "HR_OIB",
        country: "HR",
        forms: &["99999999999"],
        check: |text| digits::<11>(text).is_some_and(|d| mod_11_10(&d)),
        words: &["oib", "osobni identifikacijski broj"],
        sample: "OIB 33392005961",
        harmless: "OIB 33392005962",
    },
    // Zakon o centralnem registru prebivalstva, EMŠO (JMBG): weights 7 to 2 twice, modulus 11.
    Row {
        entity: "SI_EMSO",
        country: "SI",
        forms: &["9999999999999"],
        check: emso,
        words: &["emšo", "emso", "jmbg", "matična številka", "matični broj"],
        sample: "EMŠO 0101006500006",
        harmless: "EMŠO 0101006500007",
    },
];

fn hetu(text: &[u8]) -> bool {
    // The sign is gone if it was no letter.
    let (date, rest) = match text.len() {
        10 => text.split_at(6),
        11 if b"ABCDEFYXWVU".contains(&text[6]) => (&text[..6], &text[7..]),
        _ => return false,
    };
    let (Some(d), Some(serial)) = (digits::<6>(date), rest.get(..3).and_then(digits::<3>)) else {
        return false;
    };
    let all = number(&d) * 1000 + number(&serial);
    let check = b"0123456789ABCDEFHJKLMNPRSTUVWXY".get((all % 31) as usize);
    // 002 is the first to be issued, 900 and above are temporary.
    (2..900).contains(&number(&serial)) && is_day(&d) && check == rest.last()
}

/// Day, month and year in two digits each, of either century.
fn is_day(d: &[u32]) -> bool {
    is_date(2000 + pair(d, 4), pair(d, 2), pair(d, 0))
}

fn personnummer(text: &[u8]) -> bool {
    let (century, text) = if text.len() == 12 { text.split_at(2) } else { text.split_at(0) };
    let Some(d) = digits::<10>(text) else { return false };
    let year = match digits::<2>(century).map(|d| 100 * pair(&d, 0)) {
        Some(century @ (1800 | 1900 | 2000)) => century + pair(&d, 0),
        Some(_) => return false,
        None => 2000 + pair(&d, 0),
    };
    let day = pair(&d, 4);
    is_date(year, pair(&d, 2), if day > 60 { day - 60 } else { day }) && luhn(&d)
}

fn norwegian(text: &[u8]) -> bool {
    let Some(d) = digits::<11>(text) else { return false };
    let lower = |n: u32| if n > 40 { n - 40 } else { n };
    let year = pair(&d, 4);
    // Which centuries a serial number can stand for.
    let born = match number(&d[6..9]) {
        0..=499 => 1900 + year,
        500..=749 if year >= 54 => 1800 + year,
        500..=999 if year < 40 => 2000 + year,
        900..=999 => 1900 + year,
        _ => return false,
    };
    // 40 is added to the month of a number that is no person's own, 80 in test data.
    is_date(born, lower(pair(&d, 2)), lower(pair(&d, 0)))
        && weighted(&d, &[3, 7, 6, 1, 8, 9, 4, 5, 2, 1]).is_multiple_of(11)
        && weighted(&d, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
}

fn danish(text: &[u8]) -> bool {
    let Some(d) = digits::<10>(text) else { return false };
    // The seventh digit says the century.
    let year = pair(&d, 4);
    let century = match d[6] {
        5..=8 if year >= 58 => 1800,
        0..=3 => 1900,
        4 | 9 if year >= 37 => 1900,
        _ => 2000,
    };
    is_date(century + year, pair(&d, 2), pair(&d, 0))
}

fn kennitala(text: &[u8]) -> bool {
    let Some(d) = digits::<10>(text) else { return false };
    let century = match d[9] {
        9 => 1900,
        0 => 2000,
        _ => return false,
    };
    // 40 is added to the day of a firm.
    let day = pair(&d, 0);
    is_date(century + pair(&d, 4), pair(&d, 2), if day > 40 { day - 40 } else { day })
        && weighted(&d, &[3, 2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
}

fn baltic(text: &[u8]) -> bool {
    let Some(d) = digits::<11>(text) else { return false };
    let century = match d[0] {
        1 | 2 => 1800,
        3 | 4 => 1900,
        5 | 6 => 2000,
        7 | 8 => 2100,
        _ => return false,
    };
    let first = weighted(&d, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 1]) % 11;
    let second = weighted(&d, &[3, 4, 5, 6, 7, 8, 9, 1, 2, 3]) % 11;
    let check = if first < 10 { first } else { second % 10 };
    is_date(century + pair(&d, 1), pair(&d, 3), pair(&d, 5)) && check == d[10]
}

fn pesel(text: &[u8]) -> bool {
    let Some(d) = digits::<11>(text) else { return false };
    let month = pair(&d, 2);
    let century = match month / 20 {
        0 => 1900,
        1 => 2000,
        2 => 2100,
        3 => 2200,
        _ => 1800,
    };
    is_date(century + pair(&d, 0), month % 20, pair(&d, 4))
        && weighted(&d, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]).is_multiple_of(10)
}

fn birth_number(text: &[u8]) -> bool {
    let Some(d) = text.get(..6).and_then(digits::<6>) else { return false };
    let year = pair(&d, 0);
    // 20 is added where the numbers of a day were used up (since 2004).
    let is_day = |year: u32| is_date(year, pair(&d, 2) % 50 % 20, pair(&d, 4));
    match (digits::<10>(text), digits::<9>(text)) {
        // Without a check digit until 1953.
        (_, Some(_)) => year <= 53 && is_day(1900 + year) || year >= 80 && is_day(1800 + year),
        (Some(all), _) => {
            let check = (number(&all[..9]) % 11 % 10) as u32;
            is_day(if year < 54 { 2000 + year } else { 1900 + year }) && check == all[9]
        }
        _ => false,
    }
}

fn cnp(text: &[u8]) -> bool {
    let Some(d) = digits::<13>(text) else { return false };
    let century = match d[0] {
        0 => return false,
        3 | 4 => 1800,
        5 | 6 => 2000,
        _ => 1900,
    };
    let county = matches!(pair(&d, 7), 1..=48 | 51 | 52 | 70 | 80..=83);
    let rest = weighted(&d, &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11;
    county
        && is_date(century + pair(&d, 1), pair(&d, 3), pair(&d, 5))
        && d[12] == if rest == 10 { 1 } else { rest }
}

fn egn(text: &[u8]) -> bool {
    let Some(d) = digits::<10>(text) else { return false };
    let (century, month) = match pair(&d, 2) {
        month @ 41.. => (2000, month - 40),
        month @ 21..=40 => (1800, month - 20),
        month => (1900, month),
    };
    let rest = weighted(&d, &[2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11 % 10;
    is_date(century + pair(&d, 0), month, pair(&d, 4)) && rest == d[9]
}

fn emso(text: &[u8]) -> bool {
    let Some(d) = digits::<13>(text) else { return false };
    let year = 10 * pair(&d, 4) + d[6];
    let year = if year < 800 { 2000 + year } else { 1000 + year };
    let rest = weighted(&d, &[7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    is_date(year, pair(&d, 2), pair(&d, 0)) && (11 - rest) % 11 % 10 == d[12]
}

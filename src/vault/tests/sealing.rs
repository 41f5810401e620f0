//! What is sealed, and what opens it.

use super::*;

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
        Some(KeyData { type_url: "x".into(), value: wire::shared(value.clone()), key_material_type: 1 });
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

//! Keysets that are sealed themselves: by a KMS, or under a passphrase.

use super::*;

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

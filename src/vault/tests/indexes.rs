//! Blind indexes.

use super::*;

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
        let key = wire::HkdfPrfKey { version: 0, params, key_value: wire::shared(key.to_vec()) };
        message.key[0].key_data.as_mut().expect("data").value =
            wire::shared(wire::encode(&key).expose().to_vec());
        Prf::new(&Keyset::from_wire(message).expect("sound"))
    };
    assert!(with(3, &[1; 32]).is_ok() && with(4, &[1; 32]).is_ok());
    assert!(with(1, &[1; 32]).expect_err("SHA-1").to_string().contains("hash"));
    assert!(with(3, &[1; 31]).expect_err("short").to_string().contains("32 bytes"));
}

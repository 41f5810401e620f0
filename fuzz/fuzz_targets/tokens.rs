//! Tokens: nothing that was not signed here is ever verified, and a second look says the same.

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use rampart::time::UnixTime;
use rampart::tokens::{Key, Keyring, Rules, Verifier};

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const NOW: UnixTime = UnixTime(1_800_000_000.0);

static KEY: LazyLock<Arc<Key>> =
    LazyLock::new(|| Arc::new(Key::from_secret(SECRET, "HS256", Some("k"), false).expect("a key")));
static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
    let ring = Keyring::new(vec![Arc::clone(&KEY)]).expect("a ring");
    Verifier::new(ring, Rules { seen: 64, ..Rules::default() }).expect("a verifier")
});

fuzz_target!(|data: &[u8]| {
    // As it stands: a forgery. It holds only if its signature is ours, which no input can have by chance.
    let first = VERIFIER.verify(data, NOW);
    assert!(first.is_err(), "a forged token was verified");
    // As claims, signed: then its form decides, and the memory of seen tokens must not change the verdict.
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(token) = KEY.sign(text, "JWT") else { return };
    let first = VERIFIER.verify(token.as_bytes(), NOW);
    let second = VERIFIER.verify(token.as_bytes(), NOW);
    match (first, second) {
        (Ok(one), Ok(two)) => assert_eq!(one.json(), two.json()),
        (Err(one), Err(two)) => assert_eq!(one, two),
        _ => panic!("two looks at one token differ"),
    }
});

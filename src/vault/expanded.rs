//! Keys of *ring*'s AEADs, which *ring* does not wipe: this does, as far as safe code can.
//!
//! 1. A key is expanded here alone. Its way into its box leaves copies on the stack, which are overwritten before anything else
//!    is done.
//! 2. A key that is dropped is overwritten by one of zeros first.
//!
//! # What it does not do
//! It does not reach registers, nor what the system has written to a swap or a core dump. *ring* spills keys of ChaCha20-Poly1305 to
//! the stack with each message: they are there until whatever is called next is.

use std::hint::black_box;
use std::ops::Deref;

use ring::aead::{Algorithm, LessSafeKey, UnboundKey};
use zeroize::Zeroize;

use crate::crypto::Failed;

/// An expanded key. Boxed: its tables are large, and where it is moved to, it leaves itself behind.
pub(super) struct RingKey(Box<LessSafeKey>);

impl RingKey {
    /// # Errors
    /// If *bytes* has another length than the keys of this algorithm.
    pub fn new(algorithm: &'static Algorithm, bytes: &[u8]) -> Result<Self, Failed> {
        let made = expanded(algorithm, bytes);
        overwrite_stack();
        made.map(Self)
    }
}

impl Deref for RingKey {
    type Target = LessSafeKey;

    fn deref(&self) -> &LessSafeKey {
        &self.0
    }
}

impl Drop for RingKey {
    fn drop(&mut self) {
        let algorithm = self.0.algorithm();
        let zeros = [0; LONGEST_KEY];
        if let Some(Ok(key)) = zeros.get(..algorithm.key_len()).map(|zeros| UnboundKey::new(algorithm, zeros))
        {
            *self.0 = LessSafeKey::new(key);
            // As if somebody looked: nobody does, and what nobody sees may be left out.
            black_box(&mut self.0);
        }
    }
}

// Not inlined, both: they are to use the same part of the stack, one after the other.
#[inline(never)]
fn expanded(algorithm: &'static Algorithm, bytes: &[u8]) -> Result<Box<LessSafeKey>, Failed> {
    let key = UnboundKey::new(algorithm, bytes).map_err(|_| Failed)?;
    Ok(black_box(Box::new(LessSafeKey::new(key))))
}

#[inline(never)]
fn overwrite_stack() {
    let mut below = [0xAA_u8; 32 * 1024];
    below.zeroize();
    black_box(&mut below);
}

const LONGEST_KEY: usize = 32;

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]

    use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, Nonce};

    use super::RingKey;

    #[test]
    fn every_algorithm_has_its_keys_and_no_other_lengths() {
        for (algorithm, length) in [(&AES_128_GCM, 16), (&AES_256_GCM, 32), (&CHACHA20_POLY1305, 32)] {
            let key = RingKey::new(algorithm, &vec![7; length]).expect("a key");
            let mut text = *b"text";
            let nonce = || Nonce::assume_unique_for_key([1; 12]);
            let tag = key.seal_in_place_separate_tag(nonce(), Aad::empty(), &mut text).expect("sealed");
            // Which key it is does not depend on where it was put.
            let again = RingKey::new(algorithm, &vec![7; length]).expect("a key");
            drop(key);
            let opened = again.open_in_place_separate_tag(nonce(), Aad::empty(), tag, &mut text, 0..);
            assert_eq!(opened.expect("opened"), b"text");
            for other in [0, length - 1, length + 1] {
                assert!(RingKey::new(algorithm, &vec![7; other]).is_err(), "{other}");
            }
        }
    }
}

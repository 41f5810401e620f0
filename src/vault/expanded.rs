//! Keys as ciphers hold them: nothing of them stays where it was made, and *ring*'s, which does not wipe them, go as well.
//!
//! 1. A key is expanded here alone. Its way into its box leaves copies on the stack, which are overwritten before anything else
//!    is done.
//! 2. What spills a key to the stack with each message is run by [`spilling`], which overwrites it: ChaCha20-Poly1305 of *ring*,
//!    all that RustCrypto does, HKDF.
//! 3. A key of *ring*'s that is dropped is overwritten by one of zeros first. RustCrypto wipes its own (`zeroize`).
//!
//! # What it does not do
//! It does not reach registers, nor what the system has written to a swap or a core dump, nor *ring*'s keys for HMAC and HKDF,
//! which are made of a keyset's key and are not it.

use std::hint::black_box;
use std::ops::Deref;

use ring::aead::{Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

use crate::crypto::Failed;

/// An expanded key. Boxed: its tables are large, and where it is moved to, it leaves itself behind.
pub(super) struct RingKey(Box<LessSafeKey>);

impl RingKey {
    /// # Errors
    /// If *bytes* has another length than the keys of this algorithm.
    pub fn new(algorithm: &'static Algorithm, bytes: &[u8]) -> Result<Self, Failed> {
        boxed(|| UnboundKey::new(algorithm, bytes).ok().map(LessSafeKey::new)).map(Self).ok_or(Failed)
    }

    /// What *work* makes of a message by this key.
    pub fn used<T>(&self, work: impl FnOnce(&LessSafeKey) -> T) -> T {
        if self.0.algorithm() != &CHACHA20_POLY1305 {
            // AES-GCM has its tables where they are, and spills nothing.
            return work(&self.0);
        }
        spilling(|| {
            let done = work(&self.0);
            // Half of the key stays in a register, and is put on the stack by whoever wants that one next.
            with_zeros();
            done
        })
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

/// A message by a key of zeros goes the way of the last one, through the same registers.
fn with_zeros() {
    if let Ok(key) = UnboundKey::new(&CHACHA20_POLY1305, &[0; LONGEST_KEY]) {
        let nonce = Nonce::assume_unique_for_key([0; 12]);
        let _ = black_box(LessSafeKey::new(key).seal_in_place_separate_tag(nonce, Aad::empty(), &mut [0]));
    }
}

/// What *make* makes, in a box, and nowhere else.
pub(super) fn boxed<T>(make: impl FnOnce() -> Option<T>) -> Option<Box<T>> {
    let made = apart(|| make().map(Box::new));
    overwrite::<DEEP>();
    made
}

/// Does *work*, which leaves keys on the stack, and overwrites them.
pub(super) fn spilling<T>(work: impl FnOnce() -> T) -> T {
    let done = apart(work);
    overwrite::<SHALLOW>();
    done
}

// Not inlined, both: they are to use the same part of the stack, one after the other.
#[inline(never)]
fn apart<T>(work: impl FnOnce() -> T) -> T {
    black_box(work())
}

#[inline(never)]
fn overwrite<const BYTES: usize>() {
    // As if somebody looked: what nobody sees may be left out.
    black_box(&mut [0_u8; BYTES]);
}

/// As far down as a key gets while it is expanded.
const DEEP: usize = 32 * 1024 * FRAMES;
/// As far down as one message gets: some 0.3 us to overwrite.
const SHALLOW: usize = 16 * 1024 * FRAMES;
/// Where nothing is optimized, whatever is moved has a place of its own in each frame.
const FRAMES: usize = if cfg!(debug_assertions) { 4 } else { 1 };
const LONGEST_KEY: usize = 32;

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]

    use ring::aead::{AES_128_GCM, AES_256_GCM};

    use super::*;

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

//! The random bytes that all who share a file hash with.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;
use siphasher::sip128::{Hasher128, SipHasher24};

/// What a store hashes with: random, and the same for every worker of the host.
#[derive(Clone, Copy)]
pub struct Seed([u8; 16]);

impl Seed {
    /// A seed of these random bytes.
    pub fn new(random: [u8; 16]) -> Self {
        Self(random)
    }

    pub(crate) fn bytes(&self) -> [u8; 16] {
        self.0
    }

    /// A hasher keyed with it (SipHash-2-4, 128 bits). Who chooses what is hashed can aim at nothing.
    pub(crate) fn hasher(&self) -> SipHasher24 {
        SipHasher24::new_with_key(&self.0)
    }

    /// A quicker one (SipHash-1-3, 64 bits), for tables whose keys no peer chooses.
    pub(crate) fn quick_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_key(&self.0)
    }

    /// A name for `data` that says nothing of it, for logs. What is counted has names with a prefix of their own.
    pub fn keyed(&self, data: &[u8]) -> u128 {
        let mut hasher = self.hasher();
        hasher.write(b"log");
        hasher.write(data);
        hasher.finish128().as_u128()
    }
}

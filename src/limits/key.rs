//! Turns a limit and a key into the numbers by which the table knows their counter.
//!
//! The hash is SipHash-2-4 with a random seed: a peer that chooses keys can neither aim at the
//! buckets of a victim nor find a second key with a victim's name, and the table names nobody. Every
//! part is preceded by its length, so `("a/b", "c")` and `("a", "b/c")` are two counters.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher24};

use crate::shared::Seed;

use super::quota::{Quota, Rule};

/// A limit, hashed once: what remains is to hash the key.
#[derive(Clone)]
pub(crate) struct LimitKey {
    /// Of the scope, so that a key is hashed once for all quotas of an entry.
    hasher: SipHasher24,
    /// Tells its quotas apart: a keyed hash of this one.
    quota: u64,
    tag: u64,
    /// Overflow counters for the limit.
    stripes: u64,
}

impl LimitKey {
    /// Equal quotas under one scope and kind share counters, in every process with the same seed.
    pub fn new(seed: Seed, scope: &str, quota: &Quota, kind: u8) -> Self {
        let mut hasher = seed.hasher();
        hasher.write(b"counter");
        hasher.write(&(scope.len() as u64).to_le_bytes());
        hasher.write(scope.as_bytes());
        hasher.write(&[kind]);
        let mut quotas = hasher;
        quotas.write(b"quota");
        quotas.write(&quota.count().to_le_bytes());
        quotas.write(&quota.burst().to_le_bytes());
        quotas.write(&quota.period().to_le_bytes());
        match quota.rule() {
            Rule::Rate => {}
            Rule::Sliding => quotas.write(b"sliding"),
            Rule::Concurrent => quotas.write(b"concurrent"),
            Rule::Fixed(span) => {
                quotas.write(b"fixed");
                quotas.write(&span.every.to_le_bytes());
                for part in [span.unit, &span.zone] {
                    quotas.write(&(part.len() as u64).to_le_bytes());
                    quotas.write(part.as_bytes());
                }
            }
        }
        let (quota, tag) = quotas.finish128().as_u64();
        Self { hasher, quota, tag, stripes: STRIPES }
    }

    /// With so many overflow counters. All processes that share a table must say the same.
    pub fn striped(self, stripes: u32) -> Self {
        Self { stripes: u64::from(stripes).max(1), ..self }
    }

    /// For what is no quota: words that are named for a purpose.
    pub fn of(seed: Seed, purpose: &str) -> Self {
        let mut hasher = seed.hasher();
        hasher.write(b"purpose");
        hasher.write(&(purpose.len() as u64).to_le_bytes());
        hasher.write(purpose.as_bytes());
        let tag = hasher.finish128().as_u64().0;
        Self { hasher, quota: 0, tag, stripes: STRIPES }
    }

    pub fn counter(&self, key: &[u8]) -> CounterKey {
        self.named(&self.hashing(key))
    }

    /// Hashes a key that says what is hashed of it, its length first: for [`of_hash`](Self::of_hash) of any limit of the same entry.
    #[inline(always)]
    pub fn hash_of(&self, feed: impl FnOnce(&mut SipHasher24)) -> KeyHash {
        let mut hasher = self.hasher;
        feed(&mut hasher);
        let (name, place) = hasher.finish128().as_u64();
        KeyHash { name, place }
    }

    /// The counter of a key that was hashed before. All of an entry have the same buckets, so that they are in cache together.
    #[inline(always)]
    pub fn of_hash(&self, KeyHash { name, place }: KeyHash) -> CounterKey {
        let name = name ^ self.quota;
        let stripe = name % self.stripes;
        CounterKey {
            // Zero means "nobody".
            name: (name & !GENERATION).max(GENERATION + 1),
            first: place as u32,
            second: (place >> 32) as u32,
            spill: self.tag.wrapping_add(stripe.wrapping_mul(0x9E37_79B9_7F4A_7C15)) | 1,
        }
    }

    /// The places of a key, of which each is a counter.
    pub fn places(&self, key: &[u8]) -> Places {
        Places(Self { hasher: self.hashing(key), ..*self })
    }

    /// What a store elsewhere calls the counter: 128 bits that say nothing of the key.
    pub fn name(&self, key: &[u8]) -> u128 {
        let mut hasher = self.hashing(key);
        hasher.write_u64(self.quota.to_le());
        hasher.finish128().as_u128()
    }

    /// One of several counters of a key: of a window, or of a place.
    pub fn counter_at(&self, key: &[u8], index: u64) -> CounterKey {
        let mut hasher = self.hashing(key);
        hasher.write_u64(index.to_le());
        self.named(&hasher)
    }

    fn hashing(&self, key: &[u8]) -> SipHasher24 {
        let mut hasher = self.hasher;
        feed(&mut hasher, key);
        hasher
    }

    fn named(&self, hasher: &SipHasher24) -> CounterKey {
        let (name, place) = hasher.finish128().as_u64();
        self.of_hash(KeyHash { name, place })
    }
}

/// A key under the scope of an entry, hashed.
#[derive(Clone, Copy)]
pub(crate) struct KeyHash {
    name: u64,
    place: u64,
}

/// Hashes a key, its length first.
#[inline]
pub(crate) fn feed(hasher: &mut SipHasher24, key: &[u8]) {
    hasher.write_u64((key.len() as u64).to_le());
    hasher.write(key);
}

/// A limit and a key, hashed once: what remains is the number of a place.
#[derive(Clone)]
pub(crate) struct Places(LimitKey);

impl Places {
    pub fn at(&self, index: u64) -> CounterKey {
        let mut hasher = self.0.hasher;
        hasher.write_u64(index.to_le());
        self.0.named(&hasher)
    }
}

/// By which a store knows a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CounterKey {
    /// 48 bits of the hash; with the bucket's 16 or so, 64 tell two keys apart. The low bits are zero, for [`GENERATION`].
    pub name: u64,
    /// The home bucket, before reduction to the table's size.
    pub first: u32,
    /// The other bucket.
    pub second: u32,
    /// The limit and a stripe of its keys: by which the overflow counter is found. Never zero.
    pub spill: u64,
}

impl CounterKey {
    /// No key's.
    pub const NOBODY: Self = Self { name: GENERATION + 1, first: 0, second: 0, spill: 1 };

    /// The name of another word that belongs to this one: in the same buckets, so that whoever reads both waits for memory once.
    pub fn sibling(&self) -> Self {
        Self { name: (self.name ^ SIBLING).max(GENERATION + 1), ..*self }
    }

    /// 64 bits of the hash in one word: as a hash table's key they need no further hash.
    pub fn fingerprint(&self) -> u64 {
        self.name | (u64::from(self.first) & GENERATION)
    }
}

/// The bits of a slot's name that count how often it was renamed.
pub(crate) const GENERATION: u64 = 0xFFFF;

/// Any bits of a name but those that count.
const SIBLING: u64 = 0x5AC3_96E1_3C78_0000;

/// Overflow counters for each limit, at least.
const STRIPES: u64 = 64;

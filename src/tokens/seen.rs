//! Remembers tokens whose signature and claims were checked, so that the next request with one is cheap.
//!
//! The key is the SHA-256 of the whole token, never a part of it (CVE-2026-35030 took the first 20 characters); what is
//! remembered is the result of the signature and of reading the claims, alone. Key, issuer, audience, type and
//! times are checked on every hit by [`super::verify`]. Only a token that passed everything is inserted, so what
//! a forger sends is never in here, and a refusal is never remembered.
//!
//! # Bounds
//! Entries and bytes are bounded; when full, an entry that was not used lately makes room (the clock algorithm). So a flood
//! of valid, distinct tokens displaces others, which are then verified again, but takes no more memory.
//!
//! # Locks
//! No one ever waits: a shard that is busy counts as a miss. So a process that was forked while another
//! thread held a lock is slower, not stuck.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex};

/// The SHA-256 of a token.
pub type Digest = [u8; 32];

/// A bounded map from digests to checked tokens.
pub struct Seen<T> {
    shards: Box<[Mutex<Shard<T>>]>,
}

struct Shard<T> {
    places: HashMap<Digest, usize, BuildHasherDefault<FirstBytes>>,
    slots: Vec<Slot<T>>,
    hand: usize,
    bytes: usize,
    max_entries: usize,
    max_bytes: usize,
}

struct Slot<T> {
    digest: Digest,
    value: Arc<T>,
    bytes: usize,
    used: bool,
}

/// Mean size of an entry that the bound in bytes allows for.
const BYTES_PER_ENTRY: usize = 2048;

/// Least room of a shard: one of the largest tokens fits.
const LEAST_SHARD_BYTES: usize = 128 * 1024;

impl<T> Seen<T> {
    /// Room for *entries* tokens, and for 2 KiB times that. `None` for zero.
    pub fn new(entries: usize) -> Option<Self> {
        if entries == 0 {
            return None;
        }
        let count = (entries / 64).next_power_of_two().clamp(1, 16).min(entries);
        let max_entries = entries / count;
        let max_bytes = (max_entries * BYTES_PER_ENTRY).max(LEAST_SHARD_BYTES);
        let shard = || Shard {
            places: HashMap::default(),
            slots: Vec::new(),
            hand: 0,
            bytes: 0,
            max_entries,
            max_bytes,
        };
        Some(Self { shards: (0..count).map(|_| Mutex::new(shard())).collect() })
    }

    fn shard(&self, digest: &Digest) -> &Mutex<Shard<T>> {
        // The hasher below uses the first bytes, so the last one chooses the shard.
        &self.shards[usize::from(digest[31]) % self.shards.len()]
    }

    /// What is remembered of the token with this digest.
    pub fn get(&self, digest: &Digest) -> Option<Arc<T>> {
        let mut shard = self.shard(digest).try_lock().ok()?;
        let place = *shard.places.get(digest)?;
        let slot = shard.slots.get_mut(place)?;
        slot.used = true;
        Some(Arc::clone(&slot.value))
    }

    /// Remembers *value*, which takes about *bytes*.
    pub fn insert(&self, digest: Digest, value: Arc<T>, bytes: usize) {
        let Ok(mut shard) = self.shard(&digest).try_lock() else { return };
        let displaced = shard.insert(Slot { digest, value, bytes, used: false });
        // What a value holds may run code of others when it is dropped: not under the lock.
        drop(shard);
        drop(displaced);
    }

    /// Forgets the token with this digest.
    pub fn remove(&self, digest: &Digest) {
        let Ok(mut shard) = self.shard(digest).try_lock() else { return };
        let removed = shard.places.get(digest).copied().map(|place| shard.take(place));
        drop(shard);
        drop(removed);
    }

    /// Entries and bytes held now.
    pub fn size(&self) -> (usize, usize) {
        let held = self.shards.iter().filter_map(|shard| shard.try_lock().ok());
        held.fold((0, 0), |(entries, bytes), shard| (entries + shard.slots.len(), bytes + shard.bytes))
    }
}

impl<T> Shard<T> {
    /// Makes room for *slot* and puts it in; returns what it displaced.
    fn insert(&mut self, slot: Slot<T>) -> Vec<Slot<T>> {
        let mut displaced = Vec::new();
        // A token that is checked anew, by a key that took another's place, replaces what was known of it.
        if let Some(place) = self.places.get(&slot.digest).copied() {
            displaced.push(self.take(place));
        }
        if slot.bytes > self.max_bytes {
            displaced.push(slot);
            return displaced;
        }
        while self.slots.len() >= self.max_entries || self.bytes + slot.bytes > self.max_bytes {
            displaced.push(self.evict());
        }
        self.bytes += slot.bytes;
        self.places.insert(slot.digest, self.slots.len());
        self.slots.push(slot);
        displaced
    }

    /// Takes out the next slot that was not used since the hand last passed. Ends after two rounds.
    fn evict(&mut self) -> Slot<T> {
        loop {
            if self.hand >= self.slots.len() {
                self.hand = 0;
            }
            if !std::mem::take(&mut self.slots[self.hand].used) {
                return self.take(self.hand);
            }
            self.hand += 1;
        }
    }

    fn take(&mut self, place: usize) -> Slot<T> {
        let slot = self.slots.swap_remove(place);
        self.bytes -= slot.bytes;
        self.places.remove(&slot.digest);
        if let Some(moved) = self.slots.get(place) {
            self.places.insert(moved.digest, place);
        }
        slot
    }
}

/// A SHA-256 is as good as any hash of it: its first eight bytes are the hash.
#[derive(Default)]
pub(super) struct FirstBytes(u64);

impl Hasher for FirstBytes {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }
    // An array hashes its length first; a digest has always the same.
    fn write_usize(&mut self, _: usize) {}
    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use super::{LEAST_SHARD_BYTES, Seen};
    use crate::crypto::sha256;

    fn digest(n: u32) -> super::Digest {
        sha256(&n.to_le_bytes())
    }

    #[test]
    fn a_flood_of_distinct_tokens_stays_within_entries_and_bytes() {
        for entries in [1, 2, 63, 64, 1000, 4096] {
            let seen = Seen::new(entries).unwrap();
            for n in 0..10_000 {
                seen.insert(digest(n), Arc::new(n), 1000);
            }
            let (held, bytes) = seen.size();
            assert!(held <= entries && held >= entries * 3 / 4, "{held} of {entries}");
            assert!(bytes <= 16 * LEAST_SHARD_BYTES + entries * 2048);
            assert_eq!(bytes, held * 1000);
        }
    }

    #[test]
    fn bytes_are_a_bound_of_their_own_and_one_oversized_entry_displaces_nothing() {
        let seen = Seen::new(64).unwrap();
        for n in 0..64 {
            seen.insert(digest(n), Arc::new(n), LEAST_SHARD_BYTES / 4);
        }
        assert_eq!(seen.size(), (4, LEAST_SHARD_BYTES));
        seen.insert(digest(99), Arc::new(99), LEAST_SHARD_BYTES + 1);
        assert!(seen.get(&digest(99)).is_none());
        assert_eq!(seen.size().0, 4);
    }

    #[test]
    fn what_is_used_survives_a_flood_of_what_is_not() {
        let seen = Seen::new(32).unwrap();
        seen.insert(digest(0), Arc::new(0), 10);
        for n in 1..5000 {
            assert_eq!(seen.get(&digest(0)).as_deref(), Some(&0));
            seen.insert(digest(n), Arc::new(n), 10);
        }
    }

    #[test]
    fn removal_keeps_every_other_entry_findable() {
        let seen = Seen::new(64).unwrap();
        for n in 0..60 {
            seen.insert(digest(n), Arc::new(n), 10);
        }
        for n in (0..60).step_by(3) {
            seen.remove(&digest(n));
            seen.remove(&digest(n));
        }
        for n in 0..60 {
            assert_eq!(seen.get(&digest(n)).is_some(), n % 3 != 0);
        }
        assert_eq!(seen.size(), (40, 400));
    }

    #[test]
    fn no_cache_is_no_cache() {
        assert!(Seen::<u32>::new(0).is_none());
    }

    #[test]
    fn a_busy_shard_is_a_miss_and_never_a_wait() {
        let seen = Seen::new(1).unwrap();
        seen.insert(digest(1), Arc::new(1), 10);
        let held = seen.shards[0].lock().unwrap();
        assert!(seen.get(&digest(1)).is_none());
        seen.insert(digest(2), Arc::new(2), 10);
        seen.remove(&digest(1));
        drop(held);
        assert!(seen.get(&digest(1)).is_some());
    }
}

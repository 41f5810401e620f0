//! What each word of the table means.
//!
//! ```text
//! header   one page: magic, geometry, boot, seed, checksum, state; and the ticket counter
//! buckets  of 128 bytes:    8 names, then the 8 instants that belong to them
//! spill    pairs (tag, instant): the overflow counters
//! ```
//! Names and instants are apart so that looking for a name touches one cache line for each bucket.
//!
//! - A **name** is 48 bits of a keyed hash and 16 bits that count how often the slot was renamed; hash 0 is nobody.
//! - An **instant** is GCRA's theoretical arrival time in nanoseconds since boot. In the past, the counter is
//!   full and its slot may be given to another. Its top bit marks a **claim**: a slot being given away. Then
//!   the other bits are when (40 bits, units of 65.5 µs) and a ticket (23 bits): no two claims are equal.

use std::hash::Hasher;

use siphasher::sip::SipHasher24;

use crate::error::ConfigError;
use crate::limits::key::{CounterKey, Seed};

/// Slots in a bucket.
pub(crate) const LANES: usize = 8;

/// Where things are in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Words before the first bucket.
    pub header: usize,
    /// At least 2.
    pub buckets: u32,
    /// Overflow counters.
    pub pairs: u32,
    /// The word from which claims take their tickets.
    pub tickets: usize,
}

impl Shape {
    /// The largest table within so many bytes.
    pub fn within(bytes: u64) -> Result<Self, ConfigError> {
        if !(MIN_BYTES..=MAX_BYTES).contains(&bytes) {
            return Err(ConfigError::new(format!(
                "a table of counters takes {MIN_BYTES} to {MAX_BYTES} bytes, not {bytes}. \
                 The default of 8388608 holds about 500000 callers"
            )));
        }
        let spill = (bytes / 33).max(MIN_PAIRS * 16);
        Ok(Self::of(((bytes - HEADER_BYTES - spill) / BUCKET_BYTES) as u32))
    }

    /// A table without lanes, so nothing but overflow counters: as many as a shared table with so many slots has.
    pub fn of_overflow(slots: u32) -> Self {
        let Self { pairs, .. } = Self::of(slots.div_ceil(LANES as u32));
        Self { header: 1, buckets: MIN_BUCKETS, pairs, tickets: 0 }
    }

    /// One overflow counter for 32 slots.
    fn of(buckets: u32) -> Self {
        let pairs = (buckets / 4).max(MIN_PAIRS as u32);
        Self { header: HEADER_WORDS, buckets, pairs, tickets: TICKETS }
    }

    /// All words of the table.
    pub fn words(&self, lanes: usize) -> usize {
        self.header + self.buckets as usize * 2 * lanes + self.pairs as usize * 2
    }

    pub fn bytes(&self) -> u64 {
        self.words(LANES) as u64 * 8
    }

    pub fn slots(&self) -> usize {
        self.buckets as usize * LANES
    }

    /// So many overflow counters for each limit that 16 limits do not share them.
    pub fn stripes(&self) -> u32 {
        self.pairs / 16
    }

    /// The two buckets of a key, home first.
    pub fn home(&self, key: &CounterKey) -> [u32; 2] {
        // The high half of the product is uniform below `buckets`, as the hash is below 2^32.
        let reduced = |hash: u32| ((u64::from(hash) * u64::from(self.buckets)) >> 32) as u32;
        let (first, second) = (reduced(key.first), reduced(key.second));
        [
            first,
            if first != second {
                second
            } else if first == 0 {
                1
            } else {
                first - 1
            },
        ]
    }

    pub fn slot(&self, bucket: u32, lane: usize, lanes: usize) -> Slot {
        let name = self.header + bucket as usize * 2 * lanes + lane;
        Slot { name, tat: name + lanes }
    }

    /// The word of an overflow pair's tag; the instant is the next word.
    pub fn pair(&self, index: u64, lanes: usize) -> usize {
        let pair = (index % u64::from(self.pairs)) as usize;
        self.header + self.buckets as usize * 2 * lanes + pair * 2
    }
}

/// Where a slot's two words are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot {
    pub name: usize,
    pub tat: usize,
}

/// The mark of a claim.
pub(crate) const CLAIMED: u64 = 1 << 63;

pub(crate) fn claim_mark(clock: u64, ticket: u64) -> u64 {
    CLAIMED | (clock >> STAMP_SHIFT & STAMP_MASK) << TICKET_BITS | ticket & ((1 << TICKET_BITS) - 1)
}

/// Whether a claim is so old that its owner is dead or stopped: 2 ms, where a live one needs 200 ns.
///
/// A claim from the future by over a second was made under another clock and counts as old; by less, our own
/// reading of the clock is late.
pub(crate) fn claim_is_stale(mark: u64, clock: u64) -> bool {
    let made = mark >> TICKET_BITS & STAMP_MASK;
    let age = (clock >> STAMP_SHIFT).wrapping_sub(made) & STAMP_MASK;
    let age = ((age << (64 - STAMP_BITS)) as i64) >> (64 - STAMP_BITS);
    !(-ONE_SECOND..STEAL_AFTER).contains(&age)
}

const TICKET_BITS: u32 = 23;
const STAMP_BITS: u32 = 40;
const STAMP_MASK: u64 = (1 << STAMP_BITS) - 1;
const STAMP_SHIFT: u32 = 16;
/// In units of 2^16 ns: 2.03 ms.
const STEAL_AFTER: i64 = 31;
const ONE_SECOND: i64 = 1_000_000_000 >> STAMP_SHIFT;

/// What the first page of the file says, apart from the tickets.
#[derive(Clone, Copy)]
pub(crate) struct Header {
    pub shape: Shape,
    pub boot: u64,
    pub seed: Seed,
}

impl Header {
    /// The page, complete but for [`READY`], which is written when all else is.
    pub fn encode(&self) -> [u8; HEADER_BYTES as usize] {
        let seed = self.seed.bytes();
        let (low, high) = seed.split_at(8);
        let mut fields = [
            MAGIC,
            VERSION,
            u64::from(self.shape.buckets),
            u64::from(self.shape.pairs),
            self.boot,
            le(low),
            le(high),
            0,
        ];
        fields[7] = checksum(&fields[..7]);
        let mut page = [0; HEADER_BYTES as usize];
        for (field, word) in fields.iter().zip(page.chunks_exact_mut(8)) {
            word.copy_from_slice(&field.to_le_bytes());
        }
        page
    }

    /// The header on a page, if the page is whole, ready, and of this version and machine.
    pub fn decode(page: &[u8; HEADER_BYTES as usize]) -> Option<Self> {
        let mut fields = [0; 9];
        for (field, word) in fields.iter_mut().zip(page.chunks_exact(8)) {
            *field = le(word);
        }
        let [magic, version, buckets, pairs, boot, low, high, sum, ready] = fields;
        if magic != MAGIC || version != VERSION || ready != READY || sum != checksum(&fields[..7]) {
            return None;
        }
        let buckets = u32::try_from(buckets).ok().filter(|&n| n >= MIN_BUCKETS)?;
        let shape = Shape::of(buckets);
        if u64::from(shape.pairs) != pairs || shape.bytes() > MAX_BYTES {
            return None;
        }
        let mut seed = [0; 16];
        seed[..8].copy_from_slice(&low.to_le_bytes());
        seed[8..].copy_from_slice(&high.to_le_bytes());
        Some(Self { shape, boot, seed: Seed::new(seed) })
    }
}

/// The boot's name as one word. A public key: nobody gains by a collision.
pub(crate) fn boot_word(boot: &[u8]) -> u64 {
    let mut hasher = SipHasher24::new();
    hasher.write(boot);
    hasher.finish()
}

fn checksum(fields: &[u64]) -> u64 {
    let mut hasher = SipHasher24::new();
    fields.iter().for_each(|field| hasher.write(&field.to_le_bytes()));
    hasher.finish()
}

fn le(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

pub(crate) const HEADER_BYTES: u64 = 4096;
const HEADER_WORDS: usize = HEADER_BYTES as usize / 8;
const BUCKET_BYTES: u64 = LANES as u64 * 16;
const MIN_BYTES: u64 = 32_768;
const MAX_BYTES: u64 = 1 << 36;
const MIN_BUCKETS: u32 = 8;
/// So that 16 limits do not share overflow counters even in the smallest table.
const MIN_PAIRS: u64 = 1024;
/// A cache line of its own.
const TICKETS: usize = 64;
/// Where [`READY`] is written, in bytes.
pub(crate) const READY_AT: u64 = 64;
/// Marks a header as complete: a creator that died earlier has left it out.
pub(crate) const READY: u64 = u64::from_le_bytes(*b"complete");
/// In the machine's byte order, so that a file from another kind of machine is not taken for ours.
const MAGIC: u64 = u64::from_ne_bytes(*b"RAMPLIM\0");
const VERSION: u64 = 1;

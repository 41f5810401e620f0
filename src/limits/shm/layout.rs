//! What each word of the table means.
//!
//! ```text
//! header   one page (`shared`), and in it the ticket counter
//! buckets  of 128 bytes:    8 names, then the 8 instants that belong to them
//! spill    pairs (tag, instant): the overflow counters
//! ```
//! Names and instants are apart so that looking for a name touches one cache line for each bucket.
//!
//! - A **name** is 48 bits of a keyed hash and 16 bits that count how often the slot was renamed; hash 0 is nobody.
//! - An **instant** is GCRA's theoretical arrival time in nanoseconds since boot. In the past, the counter is
//!   full and its slot may be given to another. Its top bit marks a **claim**: a slot being given away. Then
//!   the other bits are when (40 bits, units of 65.5 µs) and a ticket (23 bits): no two claims are equal.

use crate::error::ConfigError;
use crate::limits::key::CounterKey;
use crate::shared::{HEADER_BYTES, HEADER_WORDS, Layout};

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

impl Layout for Shape {
    const MAGIC: u64 = u64::from_ne_bytes(*b"RAMPLIM\0");
    const VERSION: u64 = 1;
    const WHAT: &'static str = "counters";

    fn shape(&self) -> [u64; 2] {
        [u64::from(self.buckets), u64::from(self.pairs)]
    }

    fn of_shape([buckets, pairs]: [u64; 2]) -> Option<Self> {
        let buckets = u32::try_from(buckets).ok().filter(|&n| n >= MIN_BUCKETS)?;
        let shape = Self::of(buckets);
        (u64::from(shape.pairs) == pairs && shape.words(LANES) as u64 * 8 <= MAX_BYTES).then_some(shape)
    }

    fn length(&self) -> usize {
        self.words(LANES)
    }
}

const BUCKET_BYTES: u64 = LANES as u64 * 16;
const MIN_BYTES: u64 = 32_768;
const MAX_BYTES: u64 = 1 << 36;
const MIN_BUCKETS: u32 = 8;
/// So that 16 limits do not share overflow counters even in the smallest table.
const MIN_PAIRS: u64 = 1024;
/// A cache line of its own.
const TICKETS: usize = 64;

//! What is counted of one subject by one rule, in two half windows.
//!
//! ```text
//! 0, 1     hits of the even and the odd half: its number (32 bits) and how many (32)
//! 2, 3     likewise, of all among which they are
//! 4        the half in which a finding was made (32 bits), and in which second it was answered last (32)
//! 5        when all of it is over, in seconds
//! 6        how near the threshold is, in thousandths (15 bits), whether it is kept (1), of which rule (16) and of which
//!          wide and narrow network (32) it is
//! 7        the network before: 32 bits of that of IPv4, and of IPv6
//! 8..12    what was met in the even half: 256 bits; of changes of the network, when the last was counted, and one second
//! 12..16   likewise, in the odd half
//! ```
//! Halves are numbered; a half that is not the present one or the one before it counts as empty. So time passes without
//! anybody sweeping. What comes later than the half after its own is of no window that anybody looks at: it is left out,
//! and nothing is found of it.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

use super::places::Holder;
use super::share::{Held, Party};

pub(super) const WORDS: usize = 16;
const HITS: usize = 0;
const TOTALS: usize = 2;
const FIRED: usize = 4;
const UNTIL: usize = 5;
const NEAR: usize = 6;
const BEFORE: usize = 7;
const SKETCHES: [usize; 2] = [8, 12];
const SKETCH: usize = 4;
/// A subject that has come this part of the way keeps its place,
const KEPT: f64 = 0.25;
/// and not before there are so many, or half of what is too much: to meet a name once or twice costs a flood nothing.
const LEAST: f64 = 5.0;
/// Seconds in which changes of the network are one.
const MOVING: u64 = 5;
const NEARNESS: u64 = 0x7FFF;
const IS_KEPT: u64 = 1 << 15;

/// A slot's words, at a moment.
#[derive(Clone, Copy)]
pub(super) struct Window<'a> {
    words: &'a [AtomicU64],
    /// Which half it is.
    half: u32,
}

impl<'a> Window<'a> {
    pub fn new(words: &'a [AtomicU64], at: usize, half: u32) -> Option<Self> {
        Some(Self { words: words.get(at..at + WORDS)?, half })
    }

    /// Whether the place may go to another.
    pub fn holder(words: &[AtomicU64], at: u64) -> Holder {
        let word = |index: usize| words.get(index).map_or(0, |word| word.load(Relaxed));
        match word(NEAR) {
            _ if word(UNTIL) <= at => Holder::Gone,
            near => Holder::Of(Held {
                party: Party { source: (near >> 32) as u32, rule: (near >> 16) as u16 },
                near: near & NEARNESS,
                is_kept: near & IS_KEPT != 0,
            }),
        }
    }

    /// Notes whose a new place is.
    pub fn belongs(&self, party: Party) {
        if let Some(word) = self.words.get(NEAR) {
            word.fetch_or(u64::from(party.source) << 32 | u64::from(party.rule) << 16, Relaxed);
        }
    }

    /// Counts so many, and gives how many there are; none of what comes so late that its half is a later one's.
    pub fn hit(&self, amount: u32, until: u64) -> Option<u64> {
        if self.add(HITS, amount) {
            // A half that begins: what was met two halves ago is forgotten.
            for word in self.sketch(self.half) {
                word.store(0, Relaxed);
            }
        }
        self.keep(until);
        let ours = self.counts(HITS, self.half)?;
        Some(ours + self.counts(HITS, self.half.wrapping_sub(1)).unwrap_or(0))
    }

    /// Counts one among which hits are.
    pub fn among(&self) {
        self.add(TOTALS, 1);
    }

    /// Whether hits are such a share of all among which they are: of the halves of which that is still known.
    pub fn is_share(&self, share: f64) -> bool {
        let known = |half| {
            let total = self.word(TOTALS, half);
            let is_later = (total >> 32) as u32 > half;
            (!is_later)
                .then(|| (self.counts(HITS, half).unwrap_or(0), self.counts(TOTALS, half).unwrap_or(0)))
        };
        let Some((hits, total)) = known(self.half) else { return false };
        let before = known(self.half.wrapping_sub(1)).unwrap_or_default();
        (hits + before.0) as f64 >= share * (total + before.1) as f64
    }

    /// Notes that a thing was met: whether it may be new.
    pub fn meet(&self, hash: u64) -> bool {
        let (word, bit) = ((hash >> 62) as usize, 1 << (hash >> 56 & 63));
        self.sketch(self.half).get(word).is_some_and(|word| {
            // Looked at first: most are known, and a look shares the line of memory.
            word.load(Relaxed) & bit == 0 && word.fetch_or(bit, Relaxed) & bit == 0
        })
    }

    /// How many different things were met, by linear counting.
    pub fn distinct(&self) -> f64 {
        let before = self.counts(HITS, self.half.wrapping_sub(1)).is_some();
        let zeros: u32 = (0..SKETCH)
            .map(|index| {
                let bits = |half| self.sketch(half).get(index).map_or(0, |word| word.load(Relaxed));
                (bits(self.half) | if before { bits(self.half.wrapping_sub(1)) } else { 0 }).count_zeros()
            })
            .sum();
        let size = (SKETCH * 64) as f64;
        // All bits set: it is at least what one last bit would say.
        size * (size / f64::from(zeros).max(0.5)).ln()
    }

    /// Notes from which network it came: whether the one before was another, of the same version of IP, and no change was
    /// counted just before. Who moves from one network to another has requests under way in both, which end in any order.
    pub fn switches(&self, network: u64, is_v6: bool, at: u64) -> bool {
        let shift = if is_v6 { 32 } else { 0 };
        let ours = (network >> 32).max(1);
        let Some(word) = self.words.get(BEFORE) else { return false };
        let seen = word.load(Relaxed);
        let before = seen >> shift & MASK;
        if before == ours {
            return false;
        }
        let next = seen & !(MASK << shift) | ours << shift;
        // Of two workers that note it at once, one has seen the switch.
        if word.compare_exchange(seen, next, Relaxed, Relaxed).is_err() || before == 0 {
            return false;
        }
        let last = SKETCHES.map(|index| self.words.get(index).map_or(0, |word| word.load(Relaxed)));
        if last.iter().any(|last| *last != 0 && at < last.saturating_add(MOVING - 1)) {
            return false;
        }
        // Not where the half that may begin with it is emptied.
        if let Some(word) = self.sketch(self.half.wrapping_sub(1)).first() {
            word.store(at.saturating_add(1), Relaxed);
        }
        true
    }

    /// Whether something later was counted, until after this.
    pub fn has_later(&self, until: u64) -> bool {
        self.words.get(UNTIL).is_some_and(|word| word.load(Relaxed) > until)
    }

    /// Keeps the place for a while longer.
    pub fn keep(&self, until: u64) {
        if let Some(word) = self.words.get(UNTIL)
            && word.load(Relaxed) < until
        {
            word.fetch_max(until, Relaxed);
        }
    }

    /// Notes how near the threshold is.
    pub fn near(&self, value: f64, threshold: u64) {
        if let Some(word) = self.words.get(NEAR) {
            let threshold = threshold as f64;
            let near = (value * 1000.0 / threshold).min(1000.0) as u64;
            let is_kept = value >= (threshold * KEPT).max(LEAST.min(threshold / 2.0));
            let seen = word.load(Relaxed);
            let next = seen & !(NEARNESS | IS_KEPT) | near | if is_kept { IS_KEPT } else { 0 };
            if seen != next {
                // Another worker that notes it at once knows as much.
                let _ = word.compare_exchange(seen, next, Relaxed, Relaxed);
            }
        }
    }

    /// Whether it is for the caller, of all workers, to tell of it: once in a window.
    pub fn claim(&self, now: u64) -> bool {
        let Some(word) = self.words.get(FIRED) else { return false };
        let (told, half) = (word.load(Acquire), u64::from(self.half));
        (told & MASK == 0 || half >= (told & MASK) + 2)
            && word.compare_exchange(told, now << 32 | half, AcqRel, Acquire).is_ok()
    }

    /// Whether it is for the caller to answer once more what was told of: once in a second.
    pub fn again(&self, now: u64) -> bool {
        let Some(word) = self.words.get(FIRED) else { return false };
        let told = word.load(Acquire);
        told >> 32 != now & MASK
            && word.compare_exchange(told, now << 32 | told & MASK, AcqRel, Acquire).is_ok()
    }

    /// Adds to a half's count; says whether that half began with it.
    fn add(&self, kind: usize, amount: u32) -> bool {
        match self.words.get(kind + (self.half & 1) as usize) {
            Some(word) => add(word, self.half, amount),
            None => false,
        }
    }

    fn counts(&self, kind: usize, half: u32) -> Option<u64> {
        let word = self.word(kind, half);
        ((word >> 32) as u32 == half).then_some(word & MASK)
    }

    /// What stands where a half is counted: it may be another's.
    fn word(&self, kind: usize, half: u32) -> u64 {
        self.words.get(kind + (half & 1) as usize).map_or(0, |word| word.load(Acquire))
    }

    fn sketch(&self, half: u32) -> &'a [AtomicU64] {
        let start = if half & 1 == 0 { SKETCHES[0] } else { SKETCHES[1] };
        self.words.get(start..start + SKETCH).unwrap_or_default()
    }
}

/// Adds to the count of a half, which takes the word's place if it is later; says whether it did.
pub(super) fn add(word: &AtomicU64, half: u32, amount: u32) -> bool {
    let mut seen = word.load(Acquire);
    loop {
        let begins = ((seen >> 32) as u32) < half;
        if (seen >> 32) as u32 > half {
            // It is two halves late, or more.
            return false;
        }
        let next = if begins {
            u64::from(half) << 32 | u64::from(amount)
        } else {
            seen & !MASK | ((seen & MASK) + u64::from(amount)).min(MASK)
        };
        match word.compare_exchange_weak(seen, next, AcqRel, Acquire) {
            Ok(_) => return begins,
            Err(other) => seen = other,
        }
    }
}

/// Takes the right to tell of something in this half and the next.
pub(super) fn claim(word: &AtomicU64, half: u32) -> bool {
    let told = word.load(Acquire);
    (told == 0 || u64::from(half) >= told + 2)
        && word.compare_exchange(told, u64::from(half), AcqRel, Acquire).is_ok()
}

/// The count in a word.
pub(super) const MASK: u64 = u32::MAX as u64;

//! What a principal usually does in an hour, learned, and what of this hour is unusual.
//!
//! 1. Only hours in which they were here are learned from, when they are over.
//! 2. Mean and variance are decayed: the first 168 active hours count alike, then each new one for 1/168.
//! 3. An hour is learned from as at most what would just not be unusual: so one attack does not make the next one usual.
//!    Who raises what is usual slowly, hour by hour, is not seen by this; that is what fixed thresholds are for.
//! 4. Nothing is unusual before enough was learned.
//!
//! ```text
//! 0        the hour that is counted: its number since 1970
//! 1        requests (32 bits) and errors (32) in it
//! 2        units of 256 bytes in it
//! 3, 4, 5  mean and variance (a float each) of requests, errors, units
//! 6        active hours learned (32 bits), and the first of them (32)
//! 7        the hours in which something was told, 16 bits for each quantity
//! 8..19    for each hour of the week, in how many weeks they were here: 4 bits
//! ```

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

use super::observation::{Observation, Signs};
use super::places::Holder;
use super::rule::{Quantity, Rule};

pub(super) const WORDS: usize = 20;
const HOUR: usize = 0;
const COUNTS: usize = 1;
const UNITS: usize = 2;
const USUAL: usize = 3;
const LEARNED: usize = 6;
const TOLD: usize = 7;
const WEEK: usize = 8;
const MASK: u64 = u32::MAX as u64;
/// Bytes are counted in units of so many.
pub(super) const UNIT: u64 = 256;
/// Hours after which an hour counts for 1/168.
const MEMORY: f32 = 168.0;
const HOURS_OF_WEEK: u64 = 168;
/// Hours without a request after which a profile may go to another principal: 30 days.
const FORGOTTEN: u64 = 30 * 24;
/// Requests in an hour that make it one of their hours.
const HABIT: u64 = 5;
/// Days before which no hour of the day is unusual.
const DAYS: u64 = 14;

/// A principal's words.
#[derive(Clone, Copy)]
pub(super) struct Profile<'a> {
    words: &'a [AtomicU64],
}

/// What is usual of one quantity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Usual {
    pub mean: f32,
    pub variance: f32,
}

impl Usual {
    fn read(word: u64) -> Self {
        Self { mean: f32::from_bits(word as u32), variance: f32::from_bits((word >> 32) as u32) }
    }

    fn word(self) -> u64 {
        u64::from(self.variance.to_bits()) << 32 | u64::from(self.mean.to_bits())
    }

    /// What is unusual begins here. Counts vary by chance alone (Poisson), and nobody is regular to a tenth.
    pub fn bound(self, deviations: f32) -> f32 {
        let deviation = self.variance.max(self.mean).sqrt().max(self.mean / 10.0).max(1.0);
        self.mean + deviations * deviation
    }

    /// After one more hour.
    pub fn learned(self, value: f32, hours: u32) -> Self {
        let weight = (1.0 / (hours as f32 + 1.0)).max(1.0 / MEMORY);
        let value = if hours < 8 { value } else { value.min(self.bound(CLIP)) };
        let apart = value - self.mean;
        Self {
            mean: self.mean + weight * apart,
            variance: (1.0 - weight) * (self.variance + weight * apart * apart),
        }
    }
}

/// Deviations beyond which an hour is learned from as if it had been there.
const CLIP: f32 = 6.0;

impl<'a> Profile<'a> {
    pub fn new(words: &'a [AtomicU64], at: usize) -> Option<Self> {
        Some(Self { words: words.get(at..at + WORDS)? })
    }

    /// Whether the place may go to another: who is new makes room for who is new, and not for who is known.
    pub fn holder(words: &[AtomicU64], unix: u64) -> Holder {
        let word = |index: usize| words.get(index).map_or(0, |word| word.load(Relaxed));
        let (hour, learned) = (word(HOUR), word(LEARNED) & MASK);
        match (unix / 3600).saturating_sub(hour) {
            FORGOTTEN.. => Holder::Gone,
            away if away >= 24 => Holder::Here(learned),
            _ => Holder::Kept,
        }
    }

    /// Counts a request. When an hour is over, it is learned from first.
    ///
    /// False of one that is of an hour before: what the present one is tells nothing of that.
    pub fn count(&self, observation: &Observation) -> bool {
        let hour = observation.unix / 3600;
        let seen = self.load(HOUR);
        if seen > hour + 1 {
            // It waited for so long that its hour was learned from.
            return false;
        }
        if seen < hour && self.exchange(HOUR, seen, hour) && seen != 0 {
            self.learn(seen);
        }
        let errors = u64::from(observation.signs.meets(Signs::CLIENT_ERROR));
        if let (Some(counts), Some(units)) = (self.words.get(COUNTS), self.words.get(UNITS)) {
            counts.fetch_add(errors << 32 | 1, Relaxed);
            units.fetch_add(observation.bytes.div_ceil(UNIT), Relaxed);
        }
        seen <= hour
    }

    /// Whether the hour so far is unusual by this rule: then how much it is.
    ///
    /// Of what pages had sent, `own` is what the principal does themselves: it is unusual only if it is so beside that, and
    /// it is known what is usual as soon as it is of that.
    pub fn unusual(&self, own: Option<&Self>, rule: &Rule, quantity: Quantity, unix: u64) -> Option<u64> {
        let learned = own.unwrap_or(self).load(LEARNED);
        let hours = (learned & MASK) as u32;
        if hours < rule.learned {
            return None;
        }
        let counts = self.load(COUNTS);
        let (requests, errors) = (counts & MASK, counts >> 32);
        let (value, told, usual) = match quantity {
            Quantity::Requests => (requests, requests, USUAL),
            Quantity::Errors => (errors, errors, USUAL + 1),
            Quantity::Bytes => (self.load(UNITS), self.load(UNITS).saturating_mul(UNIT), USUAL + 2),
            Quantity::Hours => {
                let first = learned >> 32;
                let is_long = (unix / 3600).saturating_sub(first) >= DAYS * 24;
                let is_new = |profile: &Self| profile.never_at(unix / 3600);
                let unusual = is_long && requests >= rule.threshold && is_new(self) && own.is_none_or(is_new);
                return unusual.then_some(requests);
            }
        };
        // Looked at first: most hours end far below it.
        if told < rule.threshold || (errors as f64) < rule.share * requests as f64 {
            return None;
        }
        let is_beyond =
            |profile: &Self| value as f32 > Usual::read(profile.load(usual)).bound(rule.deviations as f32);
        (is_beyond(self) && own.is_none_or(is_beyond)).then_some(told)
    }

    /// Whether it is for the caller, of all workers, to tell of this quantity in this hour.
    pub fn claim(&self, quantity: Quantity, unix: u64) -> bool {
        let shift = match quantity {
            Quantity::Bytes => 0,
            Quantity::Errors => 16,
            Quantity::Hours => 32,
            Quantity::Requests => 48,
        };
        // Never 0, which is no hour.
        let hour = (unix / 3600) & 0x7FFF | 0x8000;
        let told = self.load(TOLD);
        told >> shift & 0xFFFF != hour && self.exchange(TOLD, told, told & !(0xFFFF << shift) | hour << shift)
    }

    /// Learns from the hour that is over. One worker does: the one that began the next.
    fn learn(&self, hour: u64) {
        let taken = |index: usize| self.words.get(index).map_or(0, |word| word.swap(0, AcqRel));
        let (counts, units) = (taken(COUNTS), taken(UNITS));
        let learned = self.load(LEARNED);
        let hours = (learned & MASK) as u32;
        for (index, value) in [counts & MASK, counts >> 32, units].into_iter().enumerate() {
            if let Some(word) = self.words.get(USUAL + index) {
                let usual = Usual::read(word.load(Relaxed)).learned(value as f32, hours);
                word.store(usual.word(), Relaxed);
            }
        }
        let first = if hours == 0 { hour & MASK } else { learned >> 32 };
        if let Some(word) = self.words.get(LEARNED) {
            word.store(first << 32 | u64::from(hours.saturating_add(1)), Relaxed);
        }
        // A request or two at night make no habit.
        if counts & MASK >= HABIT {
            self.note(hour);
        }
    }

    /// Notes that they were here in this hour of the week.
    fn note(&self, hour: u64) {
        let (index, shift) = place(hour);
        let Some(word) = self.words.get(index) else { return };
        let seen = word.load(Relaxed);
        if seen >> shift & 15 < 15 {
            word.store(seen + (1 << shift), Relaxed);
        }
    }

    /// Whether they were never here at about this hour: of a working day, or of a weekend.
    fn never_at(&self, hour: u64) -> bool {
        let weekend = is_weekend(hour);
        (0..7).all(|day| {
            (HOURS_OF_WEEK - 1..=HOURS_OF_WEEK + 1).all(|near| {
                let other = hour + day * 24 + near;
                is_weekend(hour + day * 24) != weekend || {
                    let (index, shift) = place(other);
                    self.load(index) >> shift & 15 == 0
                }
            })
        })
    }

    fn load(&self, index: usize) -> u64 {
        self.words.get(index).map_or(0, |word| word.load(Acquire))
    }

    fn exchange(&self, index: usize, seen: u64, next: u64) -> bool {
        self.words.get(index).is_some_and(|word| word.compare_exchange(seen, next, AcqRel, Acquire).is_ok())
    }
}

/// The word and the bit where an hour of the week is.
fn place(hour: u64) -> (usize, u64) {
    let of_week = hour % HOURS_OF_WEEK;
    (WEEK + (of_week / 16) as usize, of_week % 16 * 4)
}

/// Of UTC. 1970 began on a Thursday.
fn is_weekend(hour: u64) -> bool {
    matches!((hour / 24 + 3) % 7, 5 | 6)
}

//! Where one limit counts one key at one instant, and what is done there: charge, peek, give back, overdraw.
//!
//! A rate has one counter for a key, whose arithmetic is in `gcra`; a window has one for each window, whose arithmetic
//! is in `window`. What checks several limits together (`check`) need not know which is which.

use std::hash::Hasher as _;
use std::num::NonZeroU32;

use siphasher::sip128::SipHasher24;

use crate::error::ConfigError;
use crate::time::HostTime;

use super::address::AddressKey;
use super::counters::{Counters as _, OVER, Place};
use super::gcra::{self, Outcome, instant};
use super::key::{self, CounterKey, LimitKey, Places};
use super::leases;
use super::quota::{Quota, Rule, Span};
use super::reservation::Piece;
use super::store::{Store, Stores};
use super::window::{self, Almanac, Tally, Window};
use super::{LONGEST, SECOND};

/// An instant, by both of the host's clocks.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// What counters go by.
    pub host: HostTime,
    /// Nanoseconds since 1970, which windows of the calendar go by.
    pub unix: u64,
}

impl From<HostTime> for Now {
    /// For limits without windows of the calendar.
    fn from(host: HostTime) -> Self {
        Self { host, unix: host.0 }
    }
}

/// A key as it is hashed.
#[derive(Clone, Copy)]
pub(crate) enum Key<'k> {
    Text(&'k [u8]),
    /// None is the one key of all addresses that cannot be read.
    Address(Option<AddressKey>),
}

impl Key<'_> {
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(bytes) => bytes,
            Self::Address(address) => address.as_ref().map_or(&[], |address| address.as_bytes()),
        }
    }

    /// Hashes the [`bytes`](Self::bytes), their length first.
    #[inline(always)]
    pub fn feed(&self, hasher: &mut SipHasher24) {
        match self {
            // As words, the same bytes cost half.
            Self::Address(Some(AddressKey::V4(octets))) => {
                hasher.write_u64(4_u64.to_le());
                hasher.write_u32(u32::from_ne_bytes(*octets));
            }
            key => key::feed(hasher, key.bytes()),
        }
    }
}

/// The counters of one limit for one key.
#[derive(Clone)]
pub(crate) enum Spot {
    Rate(CounterKey),
    Fixed(CounterKey, Tally),
    /// This window's, and the last one's.
    Sliding([CounterKey; 2], Tally),
    /// One for each that may be in progress.
    Concurrent(Places),
}

/// Finds the spot of `key`.
#[inline]
pub(crate) fn find(
    limit: &LimitKey,
    quota: &Quota,
    almanac: Option<&dyn Almanac>,
    key: Key<'_>,
    now: Now,
) -> Result<Spot, ConfigError> {
    match quota.rule() {
        Rule::Rate => Ok(Spot::Rate(limit.of_hash(limit.hash_of(|hasher| key.feed(hasher))))),
        Rule::Concurrent => Ok(Spot::Concurrent(limit.places(key.bytes()))),
        Rule::Fixed(span) => {
            let window = window(quota, span, almanac, now)?;
            Ok(Spot::Fixed(limit.counter_at(key.bytes(), window.start), tally(quota, window, now)))
        }
        Rule::Sliding => {
            let (tally, index) = Tally::sliding(quota.count(), quota.period(), instant(now.host));
            let counter = |index| limit.counter_at(key.bytes(), index);
            Ok(Spot::Sliding([counter(index), counter(index.wrapping_sub(1))], tally))
        }
    }
}

/// The window of the calendar that it is now.
pub(crate) fn window(
    quota: &Quota,
    span: &Span,
    almanac: Option<&dyn Almanac>,
    now: Now,
) -> Result<Window, ConfigError> {
    let unix = now.unix / SECOND;
    let window = almanac.ok_or_else(|| ConfigError::new(NO_ALMANAC))?.window(span, unix)?;
    if window.is_right(unix, quota.period()) {
        return Ok(window);
    }
    let text = quota.text();
    Err(ConfigError::new(format!("the calendar has no window of {text:?} at {unix}: {window:?}")))
}

fn tally(quota: &Quota, window: Window, now: Now) -> Tally {
    let left = window.end.saturating_mul(SECOND).saturating_sub(now.unix).clamp(1, LONGEST);
    Tally::fixed(quota.count(), quota.period(), left)
}

impl Spot {
    /// Charges `cost` cells if they are there; otherwise changes nothing. A cost of 0 is always there.
    #[inline]
    pub fn charge(
        &self,
        stores: &Stores,
        quota: &Quota,
        cost: u32,
        now: HostTime,
    ) -> Result<Outcome, ConfigError> {
        let Some(cells) = NonZeroU32::new(cost) else { return Ok(self.peek(stores, quota, cost, now)) };
        if let Self::Concurrent(places) = self {
            return begin(&stores.places, places, quota, now);
        }
        let counters = &stores.counters.counters();
        let outcome = match self {
            Self::Rate(key) => gcra::charge(counters, key, quota, cells, now),
            Self::Fixed(key, tally) => {
                bounded(quota, cost, window::charge_fixed(counters, key, *tally, cost, instant(now)))
            }
            Self::Sliding([this, last], tally) => {
                let outcome = window::charge_sliding(counters, [this, last], *tally, cost, instant(now));
                bounded(quota, cost, outcome)
            }
            Self::Concurrent(_) => Outcome::NOTHING,
        };
        Ok(self.blamed(stores, outcome))
    }

    /// What [`charge`](Self::charge) would say, charging nothing.
    pub fn peek(&self, stores: &Stores, quota: &Quota, cost: u32, now: HostTime) -> Outcome {
        let cells = NonZeroU32::new(cost).unwrap_or(NonZeroU32::MIN);
        let counters = &stores.counters.counters();
        let outcome = match self {
            Self::Rate(key) => gcra::peek(counters, key, quota, cells, now),
            Self::Fixed(key, tally) => {
                bounded(quota, cost, window::peek_fixed(counters, key, *tally, cost, instant(now)))
            }
            Self::Sliding([this, last], tally) => {
                let outcome = window::peek_sliding(counters, [this, last], *tally, cost, instant(now));
                bounded(quota, cost, outcome)
            }
            Self::Concurrent(places) => progress(leases::free(&stores.places, places, quota.count(), now)),
        };
        if cost == 0 {
            return Outcome { admitted: true, wait: 0, ..outcome };
        }
        self.blamed(stores, outcome)
    }

    /// A refusal, with whether the key has a counter of its own that says so.
    fn blamed(&self, stores: &Stores, outcome: Outcome) -> Outcome {
        if outcome.admitted || outcome.never {
            return outcome;
        }
        let counters = stores.counters.counters();
        let shared = match self {
            Self::Rate(key) | Self::Fixed(key, _) => !counters.has(key),
            Self::Sliding(keys, _) => !keys.iter().any(|key| counters.has(key)),
            Self::Concurrent(_) => false,
        };
        Outcome { shared, ..outcome }
    }

    /// Gives back `cells` of a piece that was charged here, as far as they were added and time has not repaid them.
    pub fn give_back(&self, stores: &Stores, quota: &Quota, piece: &mut Piece, cells: u32, now: HostTime) {
        let back = piece.less(cells, self.unit(quota));
        if back == 0 {
            return;
        }
        let (counters, at) = (&stores.counters.counters(), instant(now));
        match self {
            Self::Rate(key) => {
                gcra::refund(counters, key, back, now, piece.place, piece.paid);
                // What was owed for it is owed no more.
                piece.paid = piece.paid.saturating_sub(back);
            }
            // An overflow counter may have been forgotten by then, and begun anew by others.
            _ if piece.place == Place::Spill && at >= piece.paid => {}
            Self::Fixed(key, _) | Self::Sliding([key, _], _) => {
                counters.adjust(key, at, piece.place, &|word| Some(window::give_back(word, back)));
            }
            // It is no number: it ends.
            Self::Concurrent(_) => {}
        }
    }

    /// Forgets what was charged here, also in the overflow counter that is shared with others.
    pub fn clear(&self, stores: &Stores, now: HostTime) {
        let (counters, at) = (stores.counters.counters(), instant(now));
        let forget = |key: &CounterKey| {
            for place in [Place::Slot, Place::Spill] {
                counters.adjust(key, at, place, &|_| Some(OVER));
            }
        };
        match self {
            Self::Rate(key) | Self::Fixed(key, _) => forget(key),
            Self::Sliding(keys, _) => keys.iter().for_each(forget),
            Self::Concurrent(_) => {}
        }
    }

    /// Charges `cells` more, whether they are there or not; says what was added.
    pub fn overdraw(&self, stores: &Stores, quota: &Quota, cells: u32, now: HostTime) -> Piece {
        let counters = &stores.counters.counters();
        let piece = match self {
            Self::Rate(key) => gcra::overdraw(counters, key, quota, cells, now),
            Self::Fixed(key, tally) | Self::Sliding([key, _], tally) => {
                window::overdraw(counters, key, *tally, cells, instant(now))
            }
            Self::Concurrent(_) => Piece::NOTHING,
        };
        Piece { cells, ..piece }
    }

    /// What a counter is raised by for a cell: nanoseconds of a rate, one of a window.
    pub fn unit(&self, quota: &Quota) -> u64 {
        match self {
            Self::Rate(_) => quota.interval(),
            Self::Fixed(..) | Self::Sliding(..) => 1,
            Self::Concurrent(_) => 0,
        }
    }

    pub fn is_rate(&self) -> bool {
        matches!(self, Self::Rate(_))
    }

    /// Whether it is the same counter.
    pub fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Rate(one), Self::Rate(other))
            | (Self::Fixed(one, _), Self::Fixed(other, _))
            | (Self::Sliding([one, _], _), Self::Sliding([other, _], _)) => one == other,
            _ => false,
        }
    }
}

fn begin(store: &Store, places: &Places, quota: &Quota, now: HostTime) -> Result<Outcome, ConfigError> {
    let Some(lease) = leases::acquire(store, places, quota.count(), now)? else { return Ok(progress(0)) };
    let remaining = leases::free(store, places, quota.count(), now);
    Ok(Outcome { remaining, lease: Some(lease), ..progress(1) })
}

/// When another will have ended, nobody knows: a second is a guess.
fn progress(free: u32) -> Outcome {
    let wait = if free > 0 { 0 } else { SECOND };
    Outcome { admitted: free > 0, remaining: free, wait, ..Outcome::NOTHING }
}

/// A cost above all that a window holds does not pass in the next one either.
fn bounded(quota: &Quota, cost: u32, outcome: Outcome) -> Outcome {
    Outcome { never: cost > quota.count(), ..outcome }
}

const NO_ALMANAC: &str = "a quota in windows of the calendar needs an almanac";

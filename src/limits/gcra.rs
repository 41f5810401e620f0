//! governor's GCRA on our stores. No arithmetic of admission is here, only the joints.
//!
//! governor stores arrival times relative to the reading that its clock gives when the limiter is built. Two
//! workers built at different times would then misread each other's counters. Ours is built for one check, and its clock's first
//! reading is zero: the common epoch of the host.

use std::cell::Cell;
use std::num::NonZeroU32;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{NotUntil, RateLimiter};

use crate::time::HostTime;

use super::counters::{Counters, Moment, Place, Sighting};
use super::key::CounterKey;
use super::leases::Lease;
use super::quota::Quota;
use super::reservation::Piece;
use super::{LATEST, LONGEST};

/// What one limit says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub admitted: bool,
    /// Cells left, after the charge if there was one.
    pub remaining: u32,
    /// Nanoseconds until the counter is full.
    pub reset: u64,
    /// Nanoseconds until the same cost would pass; 0 if admitted. For a cost over the burst, which never
    /// passes, the time in which the counter becomes full.
    pub wait: u64,
    /// Where the charge was made.
    pub place: Place,
    /// Whether it will never pass: the cost is above what the limit can hold.
    pub never: bool,
    /// Nanoseconds since boot at which time will have repaid the charge and all before it; of a window, at which it may be forgotten.
    pub paid: u64,
    /// What was taken, of a limit on what is in progress.
    pub lease: Option<Lease>,
    /// Whether it was refused by a counter that the key shares with others.
    pub shared: bool,
}

impl Outcome {
    /// A refusal that says nothing yet.
    pub const NOTHING: Self = Self {
        admitted: false,
        remaining: 0,
        reset: 0,
        wait: 0,
        place: Place::Slot,
        never: false,
        paid: 0,
        lease: None,
        shared: false,
    };
}

/// Charges `cost` cells if they are there; otherwise changes nothing.
#[inline(always)]
pub(crate) fn charge<C: Counters>(
    counters: &C,
    key: &CounterKey,
    quota: &Quota,
    cost: NonZeroU32,
    now: HostTime,
) -> Outcome {
    let moment = Moment::new(instant(now), quota.fill());
    let seen = Seen::default();
    decide(Charging { counters, moment, seen: &seen }, key, quota, cost, moment.now, &seen)
}

/// What [`charge`] would say, charging nothing.
#[inline(always)]
pub(crate) fn peek<C: Counters>(
    counters: &C,
    key: &CounterKey,
    quota: &Quota,
    cost: NonZeroU32,
    now: HostTime,
) -> Outcome {
    let moment = Moment::new(instant(now), quota.fill());
    let seen = Seen::default();
    let mut outcome = decide(Peeking { counters, moment, seen: &seen }, key, quota, cost, moment.now, &seen);
    if outcome.admitted {
        // Charged nothing, so what is left is what was seen, not what governor would have stored.
        (outcome.remaining, outcome.reset) = left(quota, seen.before.get(), moment.now);
    }
    outcome
}

/// What [`charge`] would say, and where it would: charging nothing.
#[inline(always)]
pub(crate) fn look<C: Counters>(
    counters: &C,
    key: &CounterKey,
    quota: &Quota,
    cost: NonZeroU32,
    now: HostTime,
) -> (Outcome, Option<Sighting>) {
    let moment = Moment::new(instant(now), quota.fill());
    let (seen, at) = (Seen::default(), Cell::new(None));
    let outcome =
        decide(Looking { counters, moment, seen: &seen, at: &at }, key, quota, cost, moment.now, &seen);
    (outcome, at.get())
}

/// Gives `back` nanoseconds' worth of cells back to where they were charged, as far as time has not repaid them: at `paid` it has.
///
/// Otherwise a charge that is held until the counter is full again and then given back would be admitted twice. Of several charges that are held, each
/// knows of those before it alone, not of what is given back of them: so in an instant a burst and all but one of another are admitted at worst.
pub(crate) fn refund<C: Counters>(
    counters: &C,
    key: &CounterKey,
    back: u64,
    now: HostTime,
    place: Place,
    paid: u64,
) {
    let now = instant(now);
    let by = back.min(paid.saturating_sub(now));
    counters.adjust(key, now, place, &|tat| Some(tat.saturating_sub(by).max(now)));
}

/// Charges `cells`, whether they are there or not; says what was added. Who overdraws can owe as much as the counter holds.
pub(crate) fn overdraw<C: Counters>(
    counters: &C,
    key: &CounterKey,
    quota: &Quota,
    cells: u32,
    now: HostTime,
) -> Piece {
    let moment = Moment::new(instant(now), quota.fill());
    let by = u128::from(cells) * u128::from(quota.interval());
    let by = u64::try_from(by).unwrap_or(LONGEST).min(LONGEST);
    let raise = |tat: Option<u64>| {
        let seen = tat.unwrap_or(0).max(moment.now);
        let next = (seen + by).min(moment.deepest());
        // Lower than what is there, if our clock was read long before.
        if next > seen { Ok(((next - seen, next), next)) } else { Err(()) }
    };
    match counters.measure_and_replace(key, moment, &raise) {
        Ok(((added, paid), place)) => Piece { cells, added, place, paid },
        Err(()) => Piece::NOTHING,
    }
}

#[inline(always)]
fn decide<S: StateStore<Key = CounterKey>>(
    store: S,
    key: &CounterKey,
    quota: &Quota,
    cost: NonZeroU32,
    now: u64,
    seen: &Seen,
) -> Outcome {
    let never = Outcome { wait: quota.fill(), ..Outcome::NOTHING };
    if cost.get() > quota.burst() {
        // governor says so too, but multiplies first: at 2^32 cells of a year each that overflows.
        let _: Result<(), ()> = store.measure_and_replace(key, |_| Err(()));
        let (remaining, reset) = left(quota, seen.after.get(), now);
        return Outcome { remaining, reset, never: true, ..never };
    }
    type Limiter<S> = RateLimiter<CounterKey, S, Epoch, NoOpMiddleware<Nanos>>;
    let limiter = Limiter::new(quota.cells(), store, Epoch::before(now));
    let verdict = if cost.get() == 1 { Ok(limiter.check_key(key)) } else { limiter.check_key_n(key, cost) };
    let (remaining, reset) = left(quota, seen.after.get(), now);
    match verdict {
        Ok(Ok(())) => {
            let (place, paid) = (seen.place.get(), seen.after.get());
            Outcome { admitted: true, remaining, reset, place, paid, ..Outcome::NOTHING }
        }
        Ok(Err(refused)) => Outcome { remaining, reset, wait: wait(&refused, now), ..never },
        Err(_) => never,
    }
}

/// Cells left and nanoseconds until full, of a counter whose theoretical arrival time is `tat`.
#[inline(always)]
fn left(quota: &Quota, tat: u64, now: u64) -> (u32, u64) {
    let reset = tat.saturating_sub(now);
    ((quota.fill().saturating_sub(reset) / quota.interval()) as u32, reset)
}

fn wait(refused: &NotUntil<Nanos>, now: u64) -> u64 {
    refused.earliest_possible().as_u64().saturating_sub(now).clamp(1, LONGEST)
}

/// The instant as a store knows it: never 0, and low enough that sums with it cannot overflow.
pub(crate) fn instant(now: HostTime) -> u64 {
    now.0.clamp(1, LATEST)
}

/// A clock that reads zero once, for governor's idea of its own start, and then the instant of the check.
struct Epoch(Cell<u64>, u64);

impl Epoch {
    fn before(now: u64) -> Self {
        Self(Cell::new(0), now)
    }
}

impl Clock for Epoch {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.0.replace(self.1))
    }
}

/// What governor's closure saw and said last: the store may ask it several times.
struct Seen {
    before: Cell<u64>,
    after: Cell<u64>,
    place: Cell<Place>,
}

impl Default for Seen {
    fn default() -> Self {
        Self { before: Cell::new(0), after: Cell::new(0), place: Cell::new(Place::Slot) }
    }
}

impl Seen {
    fn note<T, E>(&self, tat: Option<u64>, decision: Result<(T, Nanos), E>) -> Result<(T, u64), E> {
        let before = tat.unwrap_or(0);
        self.before.set(before);
        match decision {
            Ok((value, next)) => {
                self.after.set(next.as_u64());
                Ok((value, next.as_u64()))
            }
            Err(refused) => {
                self.after.set(before);
                Err(refused)
            }
        }
    }
}

struct Charging<'c, C> {
    counters: &'c C,
    moment: Moment,
    seen: &'c Seen,
}

impl<C: Counters> StateStore for Charging<'_, C> {
    type Key = CounterKey;

    fn measure_and_replace<T, F, E>(&self, key: &CounterKey, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let decide = |tat: Option<u64>| self.seen.note(tat, f(tat.map(Nanos::new)));
        let (value, place) = self.counters.measure_and_replace(key, self.moment, &decide)?;
        self.seen.place.set(place);
        Ok(value)
    }
}

struct Peeking<'c, C> {
    counters: &'c C,
    moment: Moment,
    seen: &'c Seen,
}

impl<C: Counters> StateStore for Peeking<'_, C> {
    type Key = CounterKey;

    fn measure_and_replace<T, F, E>(&self, key: &CounterKey, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let tat = self.counters.read(key, self.moment);
        self.seen.note(tat, f(tat.map(Nanos::new))).map(|(value, _)| value)
    }
}

struct Looking<'c, C> {
    counters: &'c C,
    moment: Moment,
    seen: &'c Seen,
    at: &'c Cell<Option<Sighting>>,
}

impl<C: Counters> StateStore for Looking<'_, C> {
    type Key = CounterKey;

    #[inline]
    fn measure_and_replace<T, F, E>(&self, key: &CounterKey, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (tat, at) = self.counters.look(key, self.moment);
        self.at.set(at);
        self.seen.note(tat, f(tat.map(Nanos::new))).map(|(value, _)| value)
    }
}

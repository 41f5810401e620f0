//! What the arithmetic needs of a store, be it the host's (`shm`) or the process's (`local`).
//!
//! A counter is one instant. A store finds it, shows it to whoever decides, and stores what was decided if nothing came in between; it
//! knows no quota. Both stores read an instant by the rules of [`Moment`].

use super::key::CounterKey;
use super::shm::layout::Slot;
use super::{LONGEST, SECOND};

/// A store of counters.
pub(crate) trait Counters {
    /// Shows `decide` the counter's instant (none if it is full) and stores the instant that it returns.
    ///
    /// `decide` may be asked several times; only its last answer counts. It must refuse an instant of
    /// `now + fill`, an empty counter: a store that gives up shows it that.
    fn measure_and_replace<T, E>(
        &self,
        key: &CounterKey,
        moment: Moment,
        decide: &impl Fn(Option<u64>) -> Result<(T, u64), E>,
    ) -> Result<(T, Place), E>;

    /// The counter's instant, if the key has one or would inherit one. Changes nothing.
    fn read(&self, key: &CounterKey, moment: Moment) -> Option<u64>;

    /// As [`read`](Self::read), and where it was seen, if the key has a counter that may be replaced as it is.
    fn look(&self, key: &CounterKey, moment: Moment) -> (Option<u64>, Option<Sighting>) {
        (self.read(key, moment), None)
    }

    /// Replaces the instant that was seen, if it is still there and still the key's. It must not refuse.
    fn replace(&self, _seen: Sighting, _next: u64) -> bool {
        false
    }

    /// Whether the key has a counter of its own.
    fn has(&self, key: &CounterKey) -> bool;

    /// Replaces the word of a live counter by what `change` makes of it; by nothing if that is nothing.
    ///
    /// `change` may be asked several times; only its last answer counts. It must not give a word that is over at `now`, unless the
    /// counter shall end. One that is over already, or was given away meanwhile, is not changed.
    fn adjust(&self, key: &CounterKey, now: u64, place: Place, change: &impl Fn(u64) -> Option<u64>);
}

/// When a counter is looked at, and what it can hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// Nanoseconds since boot, between 1 and `LATEST`.
    pub now: u64,
    /// Nanoseconds in which an empty counter becomes full: what is later than `now + fill` is debt.
    pub fill: u64,
    /// Whether a key without a counter may be charged to one that it shares with others.
    pub spills: bool,
    /// Whether half of the room is left to others: where a counter can be made, but only in the first lanes of a bucket.
    pub modest: bool,
    /// Nanoseconds that a counter is kept longer than it counts. One that is shared with other keys is not.
    pub spare: u64,
}

impl Moment {
    pub fn new(now: u64, fill: u64) -> Self {
        Self { now, fill, spills: true, modest: false, spare: 0 }
    }

    /// For what must be the key's own or nothing: where no counter is to be had, `decide` is shown an empty one.
    pub fn alone(now: u64, fill: u64) -> Self {
        Self { spills: false, ..Self::new(now, fill) }
    }

    /// As [`alone`](Self::alone), for what others of the store go before.
    pub fn modest(now: u64, fill: u64) -> Self {
        Self { modest: true, ..Self::alone(now, fill) }
    }

    /// No honest instant is later: a cost that was known only afterwards can owe as much again as the counter holds.
    pub fn deepest(&self) -> u64 {
        self.now + self.fill.saturating_mul(2).min(LONGEST)
    }

    /// What is to be stored in a counter that is shared with other keys, where `before` was, for what is `next` in one of the key's own.
    pub fn shared(&self, before: u64, next: u64) -> u64 {
        if self.spare == 0 {
            return next;
        }
        let until = (next >> 32).saturating_sub(self.spare >> 32).max(before >> 32);
        until << 32 | next & u64::from(u32::MAX)
    }

    /// The instant of an empty counter.
    pub fn empty(&self) -> u64 {
        self.now + self.fill
    }

    /// An instant as a decision may see it. One too late is no counter of this limit, or was written by a
    /// process whose `now` is later: either way nothing is left, and no more is owed than that.
    pub fn bounded(&self, tat: u64) -> u64 {
        tat.min(self.deepest())
    }

    /// Whether no clock of this host can have written the instant. It is to be made that of an empty counter, so that it heals.
    pub fn is_foreign(&self, tat: u64) -> bool {
        tat > self.deepest() + FOREIGN
    }
}

/// The end of a counter that shall end now: over by every clock. The present is not, since the clock is read before the table, and another worker
/// may have read it a microsecond earlier.
pub(crate) const OVER: u64 = 1;

/// Whether a counter with this instant may be forgotten: it is full, or no limit can have written it.
pub(crate) fn is_over(tat: u64, now: u64) -> bool {
    tat <= now || tat > now + LONGEST + FOREIGN
}

/// Where a counter was seen, and as what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sighting {
    pub slot: Slot,
    pub name: u64,
    pub tat: u64,
}

/// Where a charge was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the key's own counter.
    Slot,
    /// In an overflow counter, shared with other keys.
    Spill,
}

/// An instant later than any honest one by over this was written under another clock. An hour: a
/// process stopped between reading its clock and writing, and woken within the hour, is still believed.
const FOREIGN: u64 = 3600 * SECOND;

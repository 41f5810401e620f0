//! The overflow counters: where a key is charged that finds no slot, because both its buckets are full of
//! live counters.
//!
//! Each limit has 64 of them or more, a sixteenth of all, and its keys are dealt out among them, so they are over-strict: what one key spends, others of its stripe
//! miss. Limits do not share, as far as there is room: a pair belongs to a limit and stripe for ever by its tag, which is
//! set once and found by probing. When eight places in a row have other owners the first is used all the same,
//! and two limits share it; the stricter then rules.
//!
//! Nothing is forgiven on the way back: a key that gets a slot begins with the instant of its overflow
//! counter. So while a stripe is exhausted its new keys are refused even where a slot is free, which under a
//! flood is from about 85 % of the slots on. And if a slot was made for the key while it was being charged here, the charge moves there.

use crate::limits::counters::{Moment, Place};
use crate::limits::key::CounterKey;

use super::table::{Table, Tried};
use super::words::Words;

impl<W: Words + ?Sized, const LANES: usize> Table<'_, W, LANES> {
    pub(super) fn spill<T, E>(
        &self,
        key: &CounterKey,
        moment: Moment,
        decide: &impl Fn(Option<u64>) -> Result<(T, u64), E>,
    ) -> Tried<Result<(T, Place), E>> {
        let at = self.own_pair(key);
        let mut tat = self.words.load(at);
        loop {
            let seen = moment.bounded(tat);
            let (value, next) = match decide((tat > 0).then_some(seen)) {
                Ok(decided) => decided,
                Err(refused) => return Tried::Done(Err(refused)),
            };
            let next = moment.shared(tat, next);
            match self.words.compare_exchange(at, tat, next) {
                Err(other) => tat = other,
                // Named now, so it may have been made before it could see this charge.
                Ok(_) if self.is_named(key) => {
                    // If others have charged it since, this charge stays: too strict for a while.
                    let _ = self.words.compare_exchange(at, next, tat);
                    return Tried::Again;
                }
                Ok(_) => return Tried::Done(Ok((value, Place::Spill))),
            }
        }
    }

    /// The instant that a new counter of this key inherits, if it is in the future.
    pub(super) fn spilled(&self, key: &CounterKey, moment: Moment) -> Option<u64> {
        if !moment.spills {
            return None;
        }
        let at = self.probe(key, |_| None)?;
        let tat = self.words.load(at);
        (tat > moment.now).then(|| moment.bounded(tat))
    }

    pub(super) fn unspill(&self, key: &CounterKey, now: u64, change: &impl Fn(u64) -> Option<u64>) {
        if let Some(at) = self.probe(key, |_| None) {
            self.lower(at, now, change);
        }
    }

    fn own_pair(&self, key: &CounterKey) -> usize {
        let take = |tag_at| match self.words.compare_exchange(tag_at, 0, key.spill) {
            Ok(_) => Some(key.spill),
            Err(owner) => Some(owner),
        };
        // With a closure that never leaves a tag empty, a place is always found.
        self.probe(key, take).unwrap_or_else(|| self.shape.pair(key.spill, LANES) + 1)
    }

    /// The word of the instant under the key's tag. An empty tag is shown to `empty`, which returns the tag
    /// that is there afterwards; if none, there is no such counter yet.
    fn probe(&self, key: &CounterKey, empty: impl Fn(usize) -> Option<u64>) -> Option<usize> {
        let start = key.spill >> 32;
        for step in 0..PROBES {
            let tag_at = self.shape.pair(start + step, LANES);
            let tag = match self.words.load(tag_at) {
                0 => empty(tag_at)?,
                owner => owner,
            };
            if tag == key.spill {
                return Some(tag_at + 1);
            }
        }
        Some(self.shape.pair(start, LANES) + 1)
    }

    fn lower(&self, at: usize, now: u64, change: &impl Fn(u64) -> Option<u64>) {
        let mut tat = self.words.load(at);
        while tat > now {
            let Some(back) = change(tat) else { return };
            match self.words.compare_exchange(at, tat, back) {
                Ok(_) => return,
                Err(other) => tat = other,
            }
        }
    }
}

const PROBES: u64 = 8;

//! Finds a key's counter and changes it.
//!
//! A key has two candidate buckets. A counter that exists costs two looks at its name and one compare-and-swap on its instant:
//! 1. read the name and the instant, and see that the name is still there, else begin again;
//! 2. decide; a refusal writes nothing;
//! 3. swap the instant, and see that the name is *still* there. If the slot was given to another key in
//!    between, the charge landed on a stranger: it is taken back, and we begin again. A stranger may
//!    be charged too much for a moment; nobody is ever charged too little.
//!
//! A key without a counter gets one from `claim`; without a free slot it is charged in `spill`.
//!
//! # What can go on for ever
//! Nothing: a swap is repeated only when another's has succeeded, and a round only `patience` times; then the answer is a
//! refusal. A process that died in the middle of `claim` costs the next
//! caller of that slot about 2 ms, once.

use crate::limits::counters::{Counters, Moment, Place, Sighting, is_over};
use crate::limits::key::{CounterKey, GENERATION};

use super::layout::{CLAIMED, Shape, Slot, claim_is_stale};
use super::words::Words;

/// The counters in `words`, `LANES` slots to a bucket.
pub(crate) struct Table<'w, W: ?Sized, const LANES: usize> {
    pub(super) words: &'w W,
    pub(super) shape: Shape,
    pub(super) patience: u32,
}

/// What came of a try.
pub(super) enum Tried<T> {
    /// An answer.
    Done(T),
    /// Another process was in the way, or was seen too late.
    Again,
}

/// What came of a swap.
enum Swapped {
    Yes,
    /// This was there instead.
    Other(u64),
    /// The slot had been given to another key.
    Gone,
}

/// What was found under a name.
pub(super) enum Sight {
    Live {
        slot: Slot,
        name: u64,
        tat: u64,
    },
    /// A slot that bears the name is being given away, or to this very key.
    Claimed,
    Absent,
}

impl<W: Words + ?Sized, const LANES: usize> Counters for Table<'_, W, LANES> {
    fn measure_and_replace<T, E>(
        &self,
        key: &CounterKey,
        moment: Moment,
        decide: &impl Fn(Option<u64>) -> Result<(T, u64), E>,
    ) -> Result<(T, Place), E> {
        let mut clock = moment.now;
        for round in 0..self.patience {
            match self.attempt(key, moment, clock, decide) {
                Tried::Done(answer) => return answer,
                Tried::Again => clock += self.words.pause(round),
            }
        }
        decide(Some(moment.empty())).map(|(value, _)| (value, Place::Slot))
    }

    fn read(&self, key: &CounterKey, moment: Moment) -> Option<u64> {
        self.look(key, moment).0
    }

    #[inline]
    fn look(&self, key: &CounterKey, moment: Moment) -> (Option<u64>, Option<Sighting>) {
        let mut clock = moment.now;
        for round in 0..self.patience {
            match self.find(key, clock) {
                Sight::Live { slot, name, tat } if self.words.load(slot.name) == name => {
                    let seen = (!moment.is_foreign(tat)).then_some(Sighting { slot, name, tat });
                    return (Some(moment.bounded(tat)), seen);
                }
                Sight::Absent => return (self.spilled(key, moment), None),
                Sight::Live { .. } | Sight::Claimed => clock += self.words.pause(round),
            }
        }
        (None, None)
    }

    #[inline]
    fn replace(&self, Sighting { slot, name, tat }: Sighting, next: u64) -> bool {
        self.words.load(slot.name) == name && matches!(self.swap(slot, name, tat, next), Swapped::Yes)
    }

    fn has(&self, key: &CounterKey) -> bool {
        self.is_named(key)
    }

    fn adjust(&self, key: &CounterKey, now: u64, place: Place, change: &impl Fn(u64) -> Option<u64>) {
        if place == Place::Spill {
            self.unspill(key, now, change);
            return;
        }
        let mut clock = now;
        for round in 0..self.patience {
            match self.attempt_adjust(key, now, clock, change) {
                Tried::Done(()) => return,
                Tried::Again => clock += self.words.pause(round),
            }
        }
    }
}

impl<'w, W: Words + ?Sized, const LANES: usize> Table<'w, W, LANES> {
    pub fn new(words: &'w W, shape: Shape) -> Self {
        Self { words, shape, patience: PATIENCE }
    }

    /// One round of [`measure_and_replace`](Counters::measure_and_replace). `clock` is `moment.now` and the time waited since.
    pub(super) fn attempt<T, E>(
        &self,
        key: &CounterKey,
        moment: Moment,
        clock: u64,
        decide: &impl Fn(Option<u64>) -> Result<(T, u64), E>,
    ) -> Tried<Result<(T, Place), E>> {
        match self.find(key, clock) {
            Sight::Live { slot, name, tat } => self.charge(slot, name, tat, moment, decide),
            Sight::Claimed => Tried::Again,
            Sight::Absent => self.insert(key, moment, clock, decide),
        }
    }

    /// One round of [`adjust`](Counters::adjust).
    pub(super) fn attempt_adjust(
        &self,
        key: &CounterKey,
        now: u64,
        clock: u64,
        change: &impl Fn(u64) -> Option<u64>,
    ) -> Tried<()> {
        let (slot, name, tat) = match self.find(key, clock) {
            Sight::Live { slot, name, tat } if tat > now => (slot, name, tat),
            Sight::Live { .. } | Sight::Absent => return Tried::Done(()),
            Sight::Claimed => return Tried::Again,
        };
        let Some(back) = change(tat) else { return Tried::Done(()) };
        // The name is seen after the instant: the instant was this key's.
        if self.words.load(slot.name) != name || self.words.compare_exchange(slot.tat, tat, back).is_err() {
            return Tried::Again;
        }
        if self.words.load(slot.name) != name {
            // It was a stranger's, with the very instant that we saw: put it back.
            let _ = self.words.compare_exchange(slot.tat, back, tat);
            return Tried::Again;
        }
        Tried::Done(())
    }

    /// How many counters are not full at `now`.
    pub fn used(&self, now: u64) -> usize {
        let slots = (0..self.shape.buckets)
            .flat_map(|bucket| (0..LANES).map(move |lane| (bucket, lane)))
            .map(|(bucket, lane)| self.words.load(self.shape.slot(bucket, lane, LANES).tat))
            .filter(|&tat| tat & CLAIMED == 0 && tat > now);
        slots.count()
    }

    /// Looks through the key's buckets, home first. A counter goes before a claim, wherever each is: the claim may
    /// be a dead process's.
    #[inline]
    pub(super) fn find(&self, key: &CounterKey, clock: u64) -> Sight {
        let mut claimed = false;
        for bucket in self.shape.home(key) {
            for lane in 0..LANES {
                let slot = self.shape.slot(bucket, lane, LANES);
                let name = self.words.load(slot.name);
                if name & !GENERATION != key.name {
                    continue;
                }
                let tat = self.words.load(slot.tat);
                if tat & CLAIMED == 0 {
                    return Sight::Live { slot, name, tat };
                }
                claimed |= !claim_is_stale(tat, clock);
            }
        }
        if claimed { Sight::Claimed } else { Sight::Absent }
    }

    fn charge<T, E>(
        &self,
        slot: Slot,
        name: u64,
        mut tat: u64,
        moment: Moment,
        decide: &impl Fn(Option<u64>) -> Result<(T, u64), E>,
    ) -> Tried<Result<(T, Place), E>> {
        loop {
            if tat & CLAIMED != 0 || self.words.load(slot.name) != name {
                return Tried::Again;
            }
            if moment.is_foreign(tat) {
                tat = self.mend(slot, tat, moment);
                continue;
            }
            let (value, next) = match decide(Some(moment.bounded(tat))) {
                Ok(decided) => decided,
                Err(refused) => return Tried::Done(Err(refused)),
            };
            match self.swap(slot, name, tat, next) {
                Swapped::Other(other) => tat = other,
                Swapped::Yes => return Tried::Done(Ok((value, Place::Slot))),
                Swapped::Gone => return Tried::Again,
            }
        }
    }

    /// Swaps the instant, and sees that the name is still there. A stranger's gets its instant back.
    #[inline]
    fn swap(&self, slot: Slot, name: u64, tat: u64, next: u64) -> Swapped {
        match self.words.compare_exchange(slot.tat, tat, next) {
            Err(other) => Swapped::Other(other),
            Ok(_) if self.words.load(slot.name) == name => Swapped::Yes,
            Ok(_) => {
                let _ = self.words.compare_exchange(slot.tat, next, tat);
                Swapped::Gone
            }
        }
    }

    /// Makes an instant that no clock of this host can have written that of an empty counter, so that it heals.
    fn mend(&self, slot: Slot, tat: u64, moment: Moment) -> u64 {
        let empty = moment.empty();
        match self.words.compare_exchange(slot.tat, tat, empty) {
            Ok(_) => empty,
            Err(other) => other,
        }
    }

    /// Whether a slot with this instant may be given away.
    pub(super) fn is_free(&self, tat: u64, now: u64) -> bool {
        tat & CLAIMED == 0 && is_over(tat, now)
    }
}

/// Rounds until a check gives up and refuses: beyond 10 ms of naps, five times what a stale claim takes to show.
const PATIENCE: u32 = 256;

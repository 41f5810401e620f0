//! Gives a slot to a new counter. The slot is its own lock, and the lock can be stolen.
//!
//! 1. **Claim**: swap the instant of a slot whose counter is full for a mark that no one else has ever written.
//! 2. **Rename**: swap the name, raising its generation.
//! 3. **Look round** the key's two buckets for rivals: other slots that bear the name.
//!    A counter, or a claim on an earlier slot: give up ours and begin again. A claim on a later slot: wait.
//! 4. **Publish**: swap the mark for the first instant.
//!
//! Why a key never gets two counters: both would have renamed a slot before looking round, so at least one saw
//! the other, and that one did not publish unless the other had gone. Why it gets one: of two claims the later yields.
//!
//! A claim over 2 ms old may be stolen, as its owner was killed, or stopped. An owner that wakes up
//! cannot publish, since its mark is gone. Nor can it rename: it read the name it would replace while the mark
//! was still its own, and whoever stole the slot has raised the generation since. It would take 65,536 changes of
//! owner during one stop to deceive it.

use crate::limits::counters::{Moment, Place};
use crate::limits::key::{CounterKey, GENERATION};

use super::layout::{CLAIMED, Slot, claim_is_stale, claim_mark};
use super::table::{Table, Tried};
use super::words::Words;

/// A slot that is ours as long as it bears the mark.
#[derive(Clone, Copy)]
struct Claim {
    slot: Slot,
    mark: u64,
}

/// What became of the free slots of a key's buckets.
enum Offer {
    Taken(Claim),
    /// There was one, and another process was faster.
    Lost,
    None,
}

/// What a look round found.
enum Rival {
    None,
    Yield,
    Wait,
}

impl<W: Words + ?Sized, const LANES: usize> Table<'_, W, LANES> {
    pub(super) fn insert<T, E>(
        &self,
        key: &CounterKey,
        moment: Moment,
        mut clock: u64,
        decide: &impl Fn(Option<u64>) -> Result<(T, u64), E>,
    ) -> Tried<Result<(T, Place), E>> {
        let claim = match self.claim(key, moment, clock) {
            Offer::Taken(claim) => claim,
            Offer::Lost => return Tried::Again,
            Offer::None if moment.spills => return self.spill(key, moment, decide),
            Offer::None => {
                return Tried::Done(decide(Some(moment.empty())).map(|(value, _)| (value, Place::Slot)));
            }
        };
        let Some(name) = self.rename(claim, key.name) else { return Tried::Again };
        for round in 0..self.patience {
            match self.look_round(key, claim.slot, clock) {
                Rival::None => break,
                Rival::Yield => {
                    self.abandon(claim, name);
                    return Tried::Again;
                }
                Rival::Wait => clock += self.words.pause(round),
            }
            if round + 1 == self.patience {
                self.abandon(claim, name);
                return Tried::Again;
            }
        }
        // What the key spent while there was no slot for it is not forgiven now that there is one.
        match decide(self.spilled(key, moment)) {
            Err(refused) => {
                self.abandon(claim, name);
                Tried::Done(Err(refused))
            }
            Ok((value, first)) => match self.words.compare_exchange(claim.slot.tat, claim.mark, first) {
                Ok(_) => Tried::Done(Ok((value, Place::Slot))),
                Err(_) => Tried::Again,
            },
        }
    }

    /// Whether any slot of the key's buckets bears its name, be it a counter, a claim or a dead claim.
    pub(super) fn is_named(&self, key: &CounterKey) -> bool {
        self.slots(key).any(|slot| self.words.load(slot.name) & !GENERATION == key.name)
    }

    fn slots(&self, key: &CounterKey) -> impl Iterator<Item = Slot> {
        let shape = self.shape;
        let lanes = move |bucket| (0..LANES).map(move |lane| shape.slot(bucket, lane, LANES));
        self.shape.home(key).into_iter().flat_map(lanes)
    }

    /// Claims a free slot in the home bucket while it is half empty, since a key is looked for there first; then in the emptier of the
    /// two, at a tie in the home bucket.
    fn claim(&self, key: &CounterKey, moment: Moment, clock: u64) -> Offer {
        let (now, lanes) = (moment.now, if moment.modest { LANES / 2 } else { LANES });
        let [home, other] = self.shape.home(key);
        let room = |bucket| (0..lanes).filter(|&lane| self.offer(bucket, lane, now, clock).is_some()).count();
        let at_home = room(home);
        let order = if at_home <= lanes / 2 && room(other) > at_home { [other, home] } else { [home, other] };
        let offers = order.into_iter().flat_map(|bucket| (0..lanes).map(move |lane| (bucket, lane)));
        let mut answer = Offer::None;
        for (bucket, lane) in offers {
            let Some((slot, seen)) = self.offer(bucket, lane, now, clock) else { continue };
            match self.take(slot, seen, clock) {
                Some(claim) => return Offer::Taken(claim),
                None => answer = Offer::Lost,
            }
        }
        answer
    }

    /// The slot and its word, if it is free or its claim is stale.
    fn offer(&self, bucket: u32, lane: usize, now: u64, clock: u64) -> Option<(Slot, u64)> {
        let slot = self.shape.slot(bucket, lane, LANES);
        let seen = self.words.load(slot.tat);
        let stale = seen & CLAIMED != 0 && claim_is_stale(seen, clock);
        (stale || self.is_free(seen, now)).then_some((slot, seen))
    }

    fn take(&self, slot: Slot, seen: u64, clock: u64) -> Option<Claim> {
        let mark = claim_mark(clock, self.words.next(self.shape.tickets));
        self.words.compare_exchange(slot.tat, seen, mark).ok().map(|_| Claim { slot, mark })
    }

    /// Gives a claimed slot a name, and returns it with its generation; nothing if the claim is lost.
    fn rename(&self, claim: Claim, name: u64) -> Option<u64> {
        loop {
            let old = self.words.load(claim.slot.name);
            // Read after the name: if the mark is still ours, the name was read while it was ours.
            if self.words.load(claim.slot.tat) != claim.mark {
                return None;
            }
            let new = name | (old.wrapping_add(1) & GENERATION);
            if self.words.compare_exchange(claim.slot.name, old, new).is_ok() {
                return Some(new);
            }
            // An owner from whom we stole renamed it at the last moment. It can do so once.
        }
    }

    fn look_round(&self, key: &CounterKey, ours: Slot, clock: u64) -> Rival {
        let mut rival = Rival::None;
        for slot in self.slots(key).filter(|slot| *slot != ours) {
            if self.words.load(slot.name) & !GENERATION != key.name {
                continue;
            }
            let tat = self.words.load(slot.tat);
            if tat & CLAIMED == 0 {
                return Rival::Yield;
            }
            if claim_is_stale(tat, clock) {
                self.evict(slot, tat, clock);
            } else if slot < ours {
                return Rival::Yield;
            }
            rival = Rival::Wait;
        }
        rival
    }

    /// Takes the name off a slot that was claimed by a process that is dead or stopped, and frees it.
    fn evict(&self, slot: Slot, seen: u64, clock: u64) {
        let Some(claim) = self.take(slot, seen, clock) else { return };
        if self.rename(claim, 0).is_some() {
            let _ = self.words.compare_exchange(slot.tat, claim.mark, 0);
        }
    }

    /// Gives up a claim: first the name, so that a free slot never bears one.
    fn abandon(&self, claim: Claim, name: u64) {
        let nobody = name.wrapping_add(1) & GENERATION;
        let _ = self.words.compare_exchange(claim.slot.name, name, nobody);
        let _ = self.words.compare_exchange(claim.slot.tat, claim.mark, 0);
    }
}

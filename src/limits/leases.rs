//! What is in progress: at most so many at once, each until it ends, or its process does.
//!
//! 1. A key with a limit of `N` has `N` places, each a counter of its own. Who comes takes a free one, beginning anywhere.
//! 2. A place's word looks like an instant, since that is all a table knows: the upper bits are when it may be forgotten (in a day, in units of 2^40 ns,
//!    18 minutes: nothing is in progress for longer), the lower 40 bits name its process and, by a ticket, this very lease.
//! 3. Who ends gives back exactly the word that it took: what was taken from it meanwhile is not its any more.
//! 4. Only when all are taken, the processes that hold them are looked at: what a dead one held is free within a tenth of a second. Who only looks how
//!    many are free, counts those of the dead as free and leaves them.
//!
//! A place is a key's own or there is none: without room in the table a request is refused. The limit holds at every instant,
//! since a place is one word that is swapped.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::ConfigError;
use crate::time::HostTime;

use crate::shared::{COUNT_BITS, COUNTS, NUMBERS, Owner};

use super::SECOND;
use super::counters::{Counters, Moment, OVER, Place};
use super::gcra::instant;
use super::key::{CounterKey, Places};
use super::store::Store;

/// A place that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lease {
    counter: CounterKey,
    word: u64,
}

/// Takes one of `most` places, if there is one.
pub(crate) fn acquire(
    store: &Store,
    places: &Places,
    most: u32,
    now: HostTime,
) -> Result<Option<Lease>, ConfigError> {
    let now = instant(now);
    let owner = store.owner(now)?;
    let ticket = TICKETS.fetch_add(1, Ordering::Relaxed);
    let word = word(now, owner, ticket);
    let first = ticket.wrapping_mul(0x9E37_79B1) % most.max(1);
    let mut seen = Vec::new();
    if let Some(lease) = try_all(store, places, most, first, word, now, &mut seen) {
        return Ok(Some(lease));
    }
    if !reclaim(store, &seen, now) {
        return Ok(None);
    }
    seen.clear();
    Ok(try_all(store, places, most, first, word, now, &mut seen))
}

/// Gives a place back.
pub(crate) fn release(store: &Store, lease: &Lease, now: HostTime) {
    let now = instant(now);
    store.counters().adjust(&lease.counter, now, Place::Slot, &|word| (word == lease.word).then_some(OVER));
}

/// How many places are free, of the first few: more than that are not told.
pub(crate) fn free(store: &Store, places: &Places, most: u32, now: HostTime) -> u32 {
    let now = instant(now);
    let counters = store.counters();
    let mut taken = Vec::new();
    let mut free = 0;
    for index in 0..most {
        if free >= TOLD {
            break;
        }
        let counter = places.at(u64::from(index));
        match counters.read(&counter, moment(now)) {
            Some(word) if word > now => taken.push((counter, word)),
            _ => free += 1,
        }
    }
    if free == 0 { dead(store, &taken, now).count() as u32 } else { free }
}

fn try_all(
    store: &Store,
    places: &Places,
    most: u32,
    first: u32,
    word: u64,
    now: u64,
    seen: &mut Vec<(CounterKey, u64)>,
) -> Option<Lease> {
    let counters = store.counters();
    for step in 0..most {
        let counter = places.at(u64::from((first + step) % most));
        let decide = |taken: Option<u64>| match taken {
            Some(taken) if taken > now => Err(taken),
            _ => Ok(((), word)),
        };
        match counters.measure_and_replace(&counter, moment(now), &decide) {
            Ok(_) => return Some(Lease { counter, word }),
            // Where there is no room for it, nobody holds it.
            Err(taken) if taken == moment(now).empty() => {}
            Err(taken) => seen.push((counter, taken)),
        }
    }
    None
}

/// Frees what dead processes hold; says whether there was any.
fn reclaim(store: &Store, seen: &[(CounterKey, u64)], now: u64) -> bool {
    let mut any = false;
    for (counter, word) in dead(store, seen, now) {
        store.counters().adjust(counter, now, Place::Slot, &|held| (held == *word).then_some(OVER));
        any = true;
    }
    any
}

/// Those that dead processes hold.
fn dead<'s>(
    store: &'s Store,
    seen: &'s [(CounterKey, u64)],
    now: u64,
) -> impl Iterator<Item = &'s (CounterKey, u64)> {
    seen.iter().filter(move |(_, word)| !store.lives(owner_of(*word), now))
}

fn moment(now: u64) -> Moment {
    // Longer than any word is kept.
    Moment::alone(now, LONGEST + 3600 * SECOND)
}

fn word(now: u64, owner: Owner, ticket: u32) -> u64 {
    let until = ((now + LONGEST) >> NAMES) + 1;
    let owner = u64::from(owner.number) << COUNT_BITS | u64::from(owner.taken);
    until << NAMES | owner << TICKET_BITS | u64::from(ticket) & ((1 << TICKET_BITS) - 1)
}

fn owner_of(word: u64) -> Owner {
    let owner = word >> TICKET_BITS;
    Owner { number: (owner >> COUNT_BITS) as u32 & (NUMBERS - 1), taken: owner as u32 & (COUNTS - 1) }
}

/// Nothing is in progress for longer than a day.
const LONGEST: u64 = 86_400 * SECOND;
const TICKET_BITS: u32 = 10;
/// The bits of a word that name who holds it.
const NAMES: u32 = 40;
/// Free places that are counted for the field.
const TOLD: u32 = 64;
/// Tells leases of this process apart.
static TICKETS: AtomicU32 = AtomicU32::new(0);

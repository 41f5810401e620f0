//! Counters of one process: a bounded [`DashMap`] from fingerprints of keys to instants.
//!
//! Each worker counts for itself: with four workers a quota admits up to four times itself. It is for
//! tests, for apps with one worker, and for when another store is away.
//!
//! 1. **A key with a counter** takes its shard's lock for reading and swaps the instant; requests for other keys, and for
//!    this one, go on beside it. Nothing can remove the counter meanwhile: that takes the lock for writing.
//! 2. **A key without one** takes its shard's lock for writing. It begins with what it was charged in overflow, so a late
//!    counter forgives nothing.
//! 3. **At most `keys` counters** exist, by an atomic number that is raised before one is inserted, and only while below the bound.
//! 4. **From seven eighths of the bound on**, every request of a key without a counter looks at the eight counters that were not looked at for
//!    longest, and removes those that are full. Since that goes round all within the last eighth, room is found as
//!    long as an eighth or so of the counters is full. A live counter is never removed.
//! 5. **Without room** the key is charged to the strict overflow counters of the shared table (`shm/spill`), under its shard's lock
//!    still: no counter for it can appear in between, with a quota of its own to spend.
//!
//! The map holds fingerprints, 64 bits of SipHash under a random seed ([`super::key`]); a keyed hash needs no other, so the
//! map's own is the identity.
//!
//! # Locks
//! A thread holds one at a time, a shard's or the rota's, and calls nothing under it but the arithmetic, never Python. So they
//! cannot be waited for in a circle. What would hold several shards (`DashMap::iter`) or stop them all (`len`, `retain`) is not used.
//!
//! # Deployment caveat
//! A lock that another thread holds at the instant of a fork stays held in the child, and its first request for that shard waits for ever. Workers
//! that fork before they serve, as those of gunicorn and uWSGI do, fork while nobody counts. A process that forks
//! while its threads serve must not check limits in the child without `exec`, unless its store is the shared one, which has no locks.

use std::collections::VecDeque;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use crate::error::ConfigError;
use crate::shared::Seed;

use super::counters::{Counters, Moment, Place, is_over};
use super::key::CounterKey;
use super::shm::layout::Shape;
use super::shm::table::Table;

/// The counters in the memory of this process.
pub struct LocalCounters {
    counters: DashMap<u64, AtomicU64, BuildHasherDefault<Itself>>,
    /// Counters in the map, and those about to be. Never above `keys`.
    held: AtomicUsize,
    keys: usize,
    /// The fingerprint of every counter once, the one to be looked at next in front.
    rota: Mutex<VecDeque<u64>>,
    overflow: Box<[AtomicU64]>,
    overflow_shape: Shape,
    seed: Seed,
}

impl LocalCounters {
    /// Room for `keys` counters. Memory is taken as they come.
    pub fn new(keys: u32, seed: Seed) -> Result<Self, ConfigError> {
        if !(1..=MAX_KEYS).contains(&keys) {
            return Err(ConfigError::new(format!(
                "a store in memory holds 1 to {MAX_KEYS} keys, not {keys}"
            )));
        }
        let overflow_shape = Shape::of_overflow(keys);
        let words = overflow_shape.words(NO_LANES);
        let keys = keys as usize;
        let shards = (keys / KEYS_PER_SHARD).next_power_of_two().clamp(MIN_SHARDS, MAX_SHARDS);
        Ok(Self {
            counters: DashMap::with_hasher_and_shard_amount(BuildHasherDefault::default(), shards),
            held: AtomicUsize::new(0),
            keys,
            rota: Mutex::default(),
            overflow: std::iter::repeat_with(|| AtomicU64::new(0)).take(words).collect(),
            overflow_shape,
            seed,
        })
    }

    pub(crate) fn capacity(&self) -> usize {
        self.keys
    }

    pub(crate) fn stripes(&self) -> u32 {
        self.overflow_shape.stripes()
    }

    pub(crate) fn seed(&self) -> Seed {
        self.seed
    }

    /// How many counters are not full at `now`. One that is being looked at by [`sweep`](Self::sweep) may be missed.
    pub(crate) fn used(&self, now: u64) -> usize {
        // A copy, so that no one waits meanwhile.
        let names = self.rota().clone();
        let live = |name: &&u64| self.counters.get(*name).is_some_and(|tat| tat.load(Relaxed) > now);
        names.iter().filter(live).count()
    }

    /// Makes room if it is scarce: removes those counters that are full of the next few.
    fn sweep(&self, moment: Moment) {
        let Moment { now, modest, .. } = moment;
        let room = if modest { self.keys.div_ceil(2) } else { self.keys };
        if self.held.load(Relaxed) < room - room / 8 {
            return;
        }
        let mut names: Vec<u64> = {
            let mut rota = self.rota();
            let next = LOOKS.min(rota.len());
            rota.drain(..next).collect()
        };
        let taken = names.len();
        // What is not in the rota no other thread looks at, so each counter is removed, and subtracted, once.
        let is_over = |_: &u64, tat: &AtomicU64| is_over(tat.load(Relaxed), now);
        names.retain(|name| self.counters.remove_if(name, is_over).is_none());
        self.held.fetch_sub(taken - names.len(), Relaxed);
        self.rota().extend(names);
    }

    /// Takes one of the first `most` places, if there is one.
    fn reserve(&self, most: usize) -> bool {
        let one_more = |held| (held < most).then_some(held + 1);
        self.held.fetch_update(Relaxed, Relaxed, one_more).is_ok()
    }

    fn overflow(&self) -> Table<'_, [AtomicU64], NO_LANES> {
        Table::new(&self.overflow, self.overflow_shape)
    }

    fn rota(&self) -> MutexGuard<'_, VecDeque<u64>> {
        // Nothing panics while holding it; and a queue of names has no state in which it could not be used.
        self.rota.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counters for LocalCounters {
    fn measure_and_replace<T, E>(
        &self,
        key: &CounterKey,
        moment: Moment,
        decide: &impl Fn(Option<u64>) -> Result<(T, u64), E>,
    ) -> Result<(T, Place), E> {
        let name = key.fingerprint();
        if let Some(tat) = self.counters.get(&name) {
            return charge(&tat, moment, decide);
        }
        self.sweep(moment);
        // From here on the shard is locked.
        let vacant = match self.counters.entry(name) {
            Entry::Occupied(found) => return charge(found.get(), moment, decide),
            Entry::Vacant(vacant) => vacant,
        };
        let (value, first) = decide(self.overflow().read(key, moment))?;
        if !self.reserve(if moment.modest { self.keys.div_ceil(2) } else { self.keys }) {
            if !moment.spills {
                return decide(Some(moment.empty())).map(|(value, _)| (value, Place::Slot));
            }
            return self.overflow().measure_and_replace(key, moment, decide);
        }
        drop(vacant.insert(AtomicU64::new(first)));
        self.rota().push_back(name);
        Ok((value, Place::Slot))
    }

    fn read(&self, key: &CounterKey, moment: Moment) -> Option<u64> {
        match self.counters.get(&key.fingerprint()) {
            Some(tat) => Some(moment.bounded(tat.load(Relaxed))),
            None => self.overflow().read(key, moment),
        }
    }

    fn has(&self, key: &CounterKey) -> bool {
        self.counters.contains_key(&key.fingerprint())
    }

    fn adjust(&self, key: &CounterKey, now: u64, place: Place, change: &impl Fn(u64) -> Option<u64>) {
        if place == Place::Spill {
            self.overflow().adjust(key, now, place, change);
        } else if let Some(tat) = self.counters.get(&key.fingerprint()) {
            // Fails if the counter is over: then there is nothing to change.
            let _ = tat.fetch_update(Relaxed, Relaxed, |tat| if tat > now { change(tat) } else { None });
        }
    }
}

/// Charges a counter that cannot be removed meanwhile. A swap is repeated only when another's has succeeded.
///
/// A decision rests on this one word, and the map's locks order its making and removal: no stronger order is needed.
fn charge<T, E>(
    counter: &AtomicU64,
    moment: Moment,
    decide: &impl Fn(Option<u64>) -> Result<(T, u64), E>,
) -> Result<(T, Place), E> {
    let mut tat = counter.load(Relaxed);
    loop {
        if moment.is_foreign(tat) {
            let mended = counter.compare_exchange(tat, moment.empty(), Relaxed, Relaxed);
            tat = mended.map_or_else(|other| other, |_| moment.empty());
            continue;
        }
        let (value, next) = decide(Some(moment.bounded(tat)))?;
        match counter.compare_exchange_weak(tat, next, Relaxed, Relaxed) {
            Ok(_) => return Ok((value, Place::Slot)),
            Err(other) => tat = other,
        }
    }
}

/// A fingerprint is a hash already.
#[derive(Default)]
struct Itself(u64);

impl Hasher for Itself {
    fn write(&mut self, bytes: &[u8]) {
        // Not reached: a fingerprint is one `u64`. Right all the same, if slow.
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, name: u64) {
        self.0 = name;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

const MAX_KEYS: u32 = 1 << 28;
/// Counters looked at for each new one: a round of all of them takes no more new ones than the last eighth has room for.
const LOOKS: usize = 8;
/// A shard that grows moves its counters under its lock: so many take some 50 µs.
const KEYS_PER_SHARD: usize = 4096;
/// So that threads seldom meet.
const MIN_SHARDS: usize = 64;
const MAX_SHARDS: usize = 1 << 16;
/// Slots of the overflow table's buckets: a key finds none there, so all it does is spill.
const NO_LANES: usize = 0;

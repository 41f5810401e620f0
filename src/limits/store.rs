//! Where counters are kept: shared by the host, or in one process.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::error::ConfigError;
use crate::shared::{Owner, Seed, SharedWords};
use crate::time::HostTime;

use super::LATEST;
use super::counters::{Counters, Moment, Place, Sighting};
use super::key::CounterKey;
use super::local::LocalCounters;
use super::shm::layout::{LANES, Shape};
use super::shm::table::Table;

/// A store of counters. Its capacity never changes.
pub struct Store(Kind);

/// The stores of a set of limits. What is in progress has one of its own, lest a flood of keys of other limits leave it no room.
#[derive(Clone)]
pub struct Stores {
    /// Of rates and windows.
    pub counters: Arc<Store>,
    /// Of what is in progress.
    pub places: Arc<Store>,
}

impl From<Arc<Store>> for Stores {
    /// One for all.
    fn from(store: Arc<Store>) -> Self {
        Self { counters: store.clone(), places: store }
    }
}

enum Kind {
    Shared(SharedWords<Shape>),
    Local(LocalCounters),
}

impl Store {
    /// The table `directory/name`, shared by every process of the host that opens it.
    ///
    /// `boot` names this boot of this host. `seed` is used if the table has to be made; else the file's is.
    pub fn shared(
        directory: &Path,
        name: &str,
        bytes: u64,
        boot: &[u8],
        seed: Seed,
    ) -> Result<Self, ConfigError> {
        SharedWords::open(directory, name, Shape::within(bytes)?, boot, seed)
            .map(|table| Self(Kind::Shared(table)))
    }

    /// The table `directory/name` as it is, whatever its size, for who only looks; none if no process has made one since the host began.
    pub fn existing(directory: &Path, name: &str, boot: &[u8]) -> Result<Option<Self>, ConfigError> {
        Ok(SharedWords::open_as_is(directory, name, boot)?.map(|table| Self(Kind::Shared(table))))
    }

    /// Counters of this process, `keys` at most.
    pub fn local(keys: u32, seed: Seed) -> Result<Self, ConfigError> {
        LocalCounters::new(keys, seed).map(|counters| Self(Kind::Local(counters)))
    }

    /// Where the shared table is; none for one of this process.
    pub fn path(&self) -> Option<&Path> {
        match &self.0 {
            Kind::Shared(table) => table.path(),
            Kind::Local(_) => None,
        }
    }

    /// How many counters have a slot of their own.
    pub fn capacity(&self) -> usize {
        match &self.0 {
            Kind::Shared(table) => table.layout().slots(),
            Kind::Local(counters) => counters.capacity(),
        }
    }

    /// How many counters are live, that is, not full. Looks at every one: for status pages.
    pub fn used(&self, now: HostTime) -> usize {
        let now = now.0.clamp(1, LATEST);
        match self.counters() {
            Held::Shared(table) => table.used(now),
            Held::Local(counters) => counters.used(now),
        }
    }

    /// Who this process is, among those that share the counters.
    pub(crate) fn owner(&self, now: u64) -> Result<Owner, ConfigError> {
        match &self.0 {
            Kind::Shared(table) => table.own(now),
            Kind::Local(_) => Ok(Owner::alone()),
        }
    }

    /// Whether a process that shares the counters lives.
    pub(crate) fn lives(&self, owner: Owner, now: u64) -> bool {
        match &self.0 {
            Kind::Shared(table) => table.lives(owner, now),
            // What a parent has begun does not end in its forked child, which has a copy of the counters.
            Kind::Local(_) => owner == Owner::alone(),
        }
    }

    /// To be called in a forked child: gives up what says that the parent lives.
    pub fn forget_parent(&self) {
        if let Kind::Shared(table) = &self.0 {
            table.forget_parent();
        }
    }

    /// Into how many overflow counters the keys of a limit are dealt.
    pub(crate) fn stripes(&self) -> u32 {
        match &self.0 {
            Kind::Shared(table) => table.layout().stripes(),
            Kind::Local(counters) => counters.stripes(),
        }
    }

    /// What keys are hashed with.
    pub fn seed(&self) -> Seed {
        match &self.0 {
            Kind::Shared(table) => table.seed(),
            Kind::Local(counters) => counters.seed(),
        }
    }

    #[inline]
    pub(crate) fn counters(&self) -> Held<'_> {
        match &self.0 {
            Kind::Shared(table) => Held::Shared(Table::new(table.words(), table.layout())),
            Kind::Local(counters) => Held::Local(counters),
        }
    }
}

/// The counters of either kind of store.
pub(crate) enum Held<'s> {
    Shared(Table<'s, [AtomicU64], LANES>),
    Local(&'s LocalCounters),
}

impl Counters for Held<'_> {
    #[inline]
    fn measure_and_replace<T, E>(
        &self,
        key: &CounterKey,
        moment: Moment,
        decide: &impl Fn(Option<u64>) -> Result<(T, u64), E>,
    ) -> Result<(T, Place), E> {
        match self {
            Self::Shared(table) => table.measure_and_replace(key, moment, decide),
            Self::Local(counters) => counters.measure_and_replace(key, moment, decide),
        }
    }

    #[inline]
    fn read(&self, key: &CounterKey, moment: Moment) -> Option<u64> {
        match self {
            Self::Shared(table) => table.read(key, moment),
            Self::Local(counters) => counters.read(key, moment),
        }
    }

    #[inline]
    fn look(&self, key: &CounterKey, moment: Moment) -> (Option<u64>, Option<Sighting>) {
        match self {
            Self::Shared(table) => table.look(key, moment),
            Self::Local(counters) => counters.look(key, moment),
        }
    }

    #[inline]
    fn replace(&self, seen: Sighting, next: u64) -> bool {
        match self {
            Self::Shared(table) => table.replace(seen, next),
            Self::Local(counters) => counters.replace(seen, next),
        }
    }

    fn has(&self, key: &CounterKey) -> bool {
        match self {
            Self::Shared(table) => table.has(key),
            Self::Local(counters) => counters.has(key),
        }
    }

    fn adjust(&self, key: &CounterKey, now: u64, place: Place, change: &impl Fn(u64) -> Option<u64>) {
        match self {
            Self::Shared(table) => table.adjust(key, now, place, change),
            Self::Local(counters) => counters.adjust(key, now, place, change),
        }
    }
}

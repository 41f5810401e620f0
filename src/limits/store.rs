//! Where counters are kept: shared by the host, or in one process.

use std::path::Path;
use std::sync::atomic::AtomicU64;

use crate::error::ConfigError;
use crate::time::HostTime;

use super::LATEST;
use super::key::Seed;
use super::local::LocalTable;
use super::shm::file::SharedTable;
use super::shm::layout::{LANES, Shape};
use super::shm::table::Table;

/// A table of counters. Its size never changes.
pub struct Store(Kind);

enum Kind {
    Shared(SharedTable),
    Local(LocalTable),
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
        SharedTable::open(directory, name, bytes, boot, seed).map(|table| Self(Kind::Shared(table)))
    }

    /// A table of this process, for at least `keys` counters.
    pub fn local(keys: u32, seed: Seed) -> Result<Self, ConfigError> {
        LocalTable::new(keys, seed).map(|table| Self(Kind::Local(table)))
    }

    /// Where the shared table is; none for one of this process.
    pub fn path(&self) -> Option<&Path> {
        match &self.0 {
            Kind::Shared(table) => Some(table.path()),
            Kind::Local(_) => None,
        }
    }

    /// How many counters have a slot of their own.
    pub fn capacity(&self) -> usize {
        self.shape().slots()
    }

    /// How many counters are live, that is, not full. Reads the whole table: for status pages.
    pub fn used(&self, now: HostTime) -> usize {
        self.table().used(now.0.clamp(1, LATEST))
    }

    /// What keys are hashed with.
    pub fn seed(&self) -> Seed {
        match &self.0 {
            Kind::Shared(table) => table.seed(),
            Kind::Local(table) => table.seed(),
        }
    }

    pub(crate) fn table(&self) -> Table<'_, [AtomicU64], LANES> {
        let words = match &self.0 {
            Kind::Shared(table) => table.words(),
            Kind::Local(table) => table.words(),
        };
        Table::new(words, self.shape())
    }

    fn shape(&self) -> Shape {
        match &self.0 {
            Kind::Shared(table) => table.shape(),
            Kind::Local(table) => table.shape(),
        }
    }
}

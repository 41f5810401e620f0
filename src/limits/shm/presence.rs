//! Which processes of the host live: for what must end when its process does, however it ends.
//!
//! 1. A process that needs to be known takes a number: the lowest whose file beside the table (`<table>.w7`) nobody holds a lock on. It holds an
//!    exclusive lock (`flock`) on that file for as long as it lives; the kernel drops the lock however the process ends.
//! 2. The file's content says how often the number was taken. A number and that count together name one process, so what a
//!    dead process left is never taken for its successor's.
//! 3. A process lives if the count is still its own and the lock cannot be had. No process id is compared between processes: containers that
//!    share the directory need not share their numbering.
//!
//! A forked child has its parent's locks, and would keep it alive for others: it gives them up when it begins ([`Presence::forget`]), and takes a
//! number of its own when it needs one. A child that is forked behind Python's back and never runs this keeps its parent's leases
//! until it ends too: too strict, never too lax.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fd::OwnedFd;
use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::error::ConfigError;

use super::place::Place;

/// A process, among those that share a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    /// Below 1,024.
    pub number: u32,
    /// How often the number was taken, below 4,096.
    pub taken: u32,
}

/// This process's number, once it has one.
pub(crate) struct Presence {
    directory: PathBuf,
    table: String,
    /// The process id that took it, and the owner; 0 before.
    own: AtomicU64,
    /// Hold the locks. Never read again.
    held: Mutex<Vec<OwnedFd>>,
}

impl Presence {
    pub fn new(directory: &Path, table: &str) -> Self {
        let held = Mutex::default();
        Self { directory: directory.into(), table: table.into(), own: AtomicU64::new(0), held }
    }

    /// Who this process is.
    pub fn own(&self) -> Result<Owner, ConfigError> {
        let own = self.own.load(Ordering::Acquire);
        let pid = u64::from(std::process::id());
        if own >> 32 == pid {
            return Ok(unpack(own));
        }
        let (owner, file) = self.take()?;
        let packed = pid << 32 | u64::from(owner.number) << 12 | u64::from(owner.taken);
        if let Err(other) = self.own.compare_exchange(own, packed, Ordering::AcqRel, Ordering::Acquire) {
            // Another thread has taken one: ours is free again when its file is closed.
            return Ok(unpack(other));
        }
        match self.held.lock() {
            Ok(mut held) => held.push(file),
            // Never closed: that is what it is for.
            Err(_) => std::mem::forget(file),
        }
        Ok(owner)
    }

    /// Whether the process lives.
    pub fn lives(&self, owner: Owner) -> bool {
        let own = self.own.load(Ordering::Acquire);
        if own >> 32 == u64::from(std::process::id()) && unpack(own) == owner {
            return true;
        }
        // Whatever cannot be looked at is taken to live: too strict, and not for ever.
        let Ok(file) = self.file(owner.number) else { return true };
        if taken(&file) != owner.taken {
            return false;
        }
        !matches!(try_lock(&file), Ok(true))
    }

    /// In a forked child: gives up what is its parent's.
    pub fn forget(&self) {
        // A thread of the parent's that held it is not there any more: then the parent's lock stays ours as well.
        if let Ok(mut held) = self.held.try_lock() {
            held.clear();
        }
    }

    fn take(&self) -> Result<(Owner, OwnedFd), ConfigError> {
        for number in 0..NUMBERS {
            let place = self.place(number)?;
            let file = place.open()?;
            let locked = try_lock(&file).map_err(|error| place.failed("lock", error))?;
            if !locked {
                continue;
            }
            let count = taken(&file).wrapping_add(1) % COUNTS;
            let count = if count == 0 { 1 } else { count };
            rustix::io::pwrite(&file, &count.to_le_bytes(), 0)
                .map_err(|error| place.failed("write", error))?;
            return Ok((Owner { number, taken: count }, file));
        }
        Err(ConfigError::new(format!("more than {NUMBERS} processes share the counters {}", self.table)))
    }

    fn file(&self, number: u32) -> Result<OwnedFd, ConfigError> {
        self.place(number)?.open()
    }

    fn place(&self, number: u32) -> Result<Place, ConfigError> {
        Place::new(&self.directory, &format!("{}.w{number}", self.table))
    }
}

fn unpack(own: u64) -> Owner {
    Owner { number: (own >> 12) as u32 & (NUMBERS - 1), taken: own as u32 & (COUNTS - 1) }
}

/// What a file says; 0 if it is new.
fn taken(file: &OwnedFd) -> u32 {
    let mut bytes = [0; 4];
    match rustix::io::pread(file, &mut bytes, 0) {
        Ok(4) => u32::from_le_bytes(bytes) & (COUNTS - 1),
        _ => 0,
    }
}

fn try_lock(file: &OwnedFd) -> Result<bool, Errno> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(false),
        Err(error) => Err(error),
    }
}

pub(crate) const NUMBERS: u32 = 1 << 10;
pub(crate) const COUNTS: u32 = 1 << 12;

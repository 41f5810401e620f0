//! Which processes of the host live: for what must end when its process does, however it ends.
//!
//! 1. A process that needs to be known takes a number: the lowest whose file beside the table (`<table>.w7`) nobody holds a lock on. It holds an
//!    exclusive lock (`flock`) on that file for as long as it lives; the kernel drops the lock however the process ends.
//! 2. The file's content says how often the number was taken. A number and that count together name one process, so what a
//!    dead process left is never taken for its successor's.
//! 3. A process is dead if its file says another count, or can be locked. Whatever else is found, it is taken to live: too strict, and a file that
//!    someone has swept away is no proof. No process id is compared between processes: containers that share the directory
//!    need not share their numbering.
//! 4. Looking makes no file. That a process lives is believed for a tenth of a second; that it is dead, not at all.
//! 5. Once an hour a process that is asked who it is touches its file, so that what sweeps old files leaves it.
//!
//! A forked child has its parent's locks, and would keep it alive for others: it gives them up when it begins ([`Presence::forget`]), and takes a
//! number of its own when it needs one. A child that is forked behind Python's back and never runs this keeps its parent's leases
//! until it ends too: too strict, never too lax.
//!
//! # Deployment caveat
//! Who removes the file of a process that lives, and starts another, makes it look dead to that one.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FlockOperation, Timespec, Timestamps, UTIME_NOW};
use rustix::io::Errno;

use crate::error::ConfigError;

use super::place::Place;

/// A process, among those that share a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    /// Below [`NUMBERS`].
    pub number: u32,
    /// How often the number was taken, below [`COUNTS`].
    pub taken: u32,
}

impl Owner {
    /// This process, of words that no other shares.
    pub fn alone() -> Self {
        let pid = std::process::id();
        Self { number: pid >> COUNT_BITS & (NUMBERS - 1), taken: pid & (COUNTS - 1) }
    }
}

/// This process's number, once it has one.
pub(crate) struct Presence {
    /// The table's. Those of the processes are beside it.
    table: Place,
    /// The process id that took it, and the owner; 0 before.
    own: AtomicU64,
    /// Hold the locks.
    held: Mutex<Vec<OwnedFd>>,
    /// When the own file was touched, in nanoseconds since boot.
    touched: AtomicU64,
    /// For each number, which process was seen to live, and when: in units of 2^20 ns. Words, as a lock could be held at a fork.
    seen: Box<[AtomicU64]>,
}

impl Presence {
    pub(super) fn new(table: Place) -> Self {
        let seen = std::iter::repeat_with(AtomicU64::default).take(NUMBERS as usize).collect();
        Self { table, own: AtomicU64::new(0), held: Mutex::default(), touched: AtomicU64::new(0), seen }
    }

    /// Who this process is.
    pub fn own(&self, now: u64) -> Result<Owner, ConfigError> {
        let own = self.own.load(Ordering::Acquire);
        let pid = u64::from(std::process::id());
        if own >> 32 == pid {
            self.touch(now);
            return Ok(unpack(own));
        }
        let (owner, file) = self.take()?;
        let packed = pid << 32 | u64::from(owner.number) << COUNT_BITS | u64::from(owner.taken);
        if let Err(other) = self.own.compare_exchange(own, packed, Ordering::AcqRel, Ordering::Acquire) {
            // Another thread has taken one: ours is free again when its file is closed.
            return Ok(unpack(other));
        }
        self.touched.store(now, Ordering::Relaxed);
        match self.held.lock() {
            Ok(mut held) => held.push(file),
            // Never closed: that is what it is for.
            Err(_) => std::mem::forget(file),
        }
        Ok(owner)
    }

    /// Whether the process lives.
    pub fn lives(&self, owner: Owner, now: u64) -> bool {
        let Some(seen) = self.seen.get(owner.number as usize) else { return true };
        let (known, at) = (seen.load(Ordering::Relaxed), now >> STAMP_SHIFT);
        if known >> STAMP_BITS == u64::from(owner.taken) && at.abs_diff(known & STAMPS) < BELIEVED {
            return true;
        }
        if !self.is_own(owner) && self.is_dead(owner) {
            return false;
        }
        seen.store(u64::from(owner.taken) << STAMP_BITS | at & STAMPS, Ordering::Relaxed);
        true
    }

    /// In a forked child: gives up what is its parent's.
    pub fn forget(&self) {
        // A process id can come again, in a child's child.
        self.own.store(0, Ordering::Release);
        // A thread of the parent's that held it is not there any more: then the parent's lock stays ours as well.
        if let Ok(mut held) = self.held.try_lock() {
            held.clear();
        }
    }

    fn is_own(&self, owner: Owner) -> bool {
        let own = self.own.load(Ordering::Acquire);
        unpack(own) == owner && own >> 32 == u64::from(std::process::id())
    }

    fn is_dead(&self, owner: Owner) -> bool {
        let Some(file) = self.table.beside(&name(owner.number)).look() else { return false };
        match taken(&file) {
            Some(taken) if taken != owner.taken => true,
            // Shared, so that two who look do not take each other for the owner.
            Some(_) => matches!(try_lock(&file, FlockOperation::NonBlockingLockShared), Ok(true)),
            None => false,
        }
    }

    fn take(&self) -> Result<(Owner, OwnedFd), ConfigError> {
        let anew = if self.table.is_gone() { Some(self.table.anew()?) } else { None };
        let table = anew.as_ref().unwrap_or(&self.table);
        for number in 0..NUMBERS {
            let place = table.beside(&name(number));
            let file = place.open()?;
            let locked = try_lock(&file, FlockOperation::NonBlockingLockExclusive)
                .map_err(|error| place.failed("lock", error))?;
            // One that was removed meanwhile is nobody's to see.
            if !locked || !place.is_current(&file) {
                continue;
            }
            let count = taken(&file).unwrap_or(0).wrapping_add(1) % COUNTS;
            let count = if count == 0 { 1 } else { count };
            rustix::io::pwrite(&file, &count.to_le_bytes(), 0)
                .map_err(|error| place.failed("write", error))?;
            return Ok((Owner { number, taken: count }, file));
        }
        let (kept, path) = (self.table.what(), self.table.path().display());
        Err(ConfigError::new(format!("more than {NUMBERS} processes share the {kept} {path}")))
    }

    fn touch(&self, now: u64) {
        let touched = self.touched.load(Ordering::Relaxed);
        if now.saturating_sub(touched) < TOUCHED
            || self.touched.compare_exchange(touched, now, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            return;
        }
        let present = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        if let Ok(held) = self.held.try_lock() {
            for file in held.iter() {
                // Whoever cannot is not worse off than before.
                let times = Timestamps { last_access: present, last_modification: present };
                let _ = rustix::fs::futimens(file, &times);
            }
        }
    }
}

fn name(number: u32) -> String {
    format!(".w{number}")
}

fn unpack(own: u64) -> Owner {
    Owner { number: (own >> COUNT_BITS) as u32 & (NUMBERS - 1), taken: own as u32 & (COUNTS - 1) }
}

/// What a file says, if it is not new.
fn taken(file: &OwnedFd) -> Option<u32> {
    let mut bytes = [0; 4];
    match rustix::io::pread(file, &mut bytes, 0) {
        Ok(4) => Some(u32::from_le_bytes(bytes) & (COUNTS - 1)),
        _ => None,
    }
}

fn try_lock(file: impl AsFd, operation: FlockOperation) -> Result<bool, Errno> {
    match rustix::fs::flock(file, operation) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(false),
        Err(error) => Err(error),
    }
}

pub(crate) const NUMBERS: u32 = 1 << 10;
/// So many that a number does not come again within the day that a lease lasts at most.
pub(crate) const COUNTS: u32 = 1 << COUNT_BITS;
pub(crate) const COUNT_BITS: u32 = 20;
const STAMP_SHIFT: u32 = 20;
const STAMP_BITS: u32 = 64 - COUNT_BITS;
const STAMPS: u64 = (1 << STAMP_BITS) - 1;
/// In units of 2^20 ns: 0.1 s.
const BELIEVED: u64 = 96;
/// In nanoseconds: an hour.
const TOUCHED: u64 = 3600 * 1_000_000_000;

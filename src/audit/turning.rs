//! What the thread of a log does: it writes and syncs, signs, changes files, and enters how far the writer has come; and how a log ends.
//!
//! Each of these may fail, and none keeps another from being done: a next file that cannot be made ends neither the checkpoints nor the syncs.
//!
//! A file is changed in this order: what waits is written, signed and durable; the next file is made complete, with the record that opens it;
//! and its name is given. Until then nothing of the writer has changed, and from then on all has. A process that is killed before leaves the old
//! file, and one that is killed after, the new. A name that somebody else has taken is passed over, and that is a record.
//!
//! The book of heads gets only what is durable in the writer's own file. What it could not be told waits.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::files::{self, Named};
use super::heads::{self, Seen, TAMPERED};
use super::log::{Shared, lock};
use super::writing::{Head, OPENED, Open};
use crate::time::UnixTime;

impl Shared {
    pub(super) fn tend(&self) -> io::Result<()> {
        let now = (self.setup.clock)();
        let mut open = lock(&self.open);
        if open.is_closed {
            return Ok(());
        }
        let put = open.put();
        let is_full = open.bytes >= open.turn_at;
        let age = now.0 - open.signed_at.0;
        // A clock that was set back must not put off the next signature.
        let is_due = !(0.0..self.setup.checkpoint.as_secs_f64()).contains(&age) && open.size() > open.signed;
        drop(open);
        let mut told = Ok(());
        let mut has_turned = false;
        if put.is_ok() && is_full {
            told = self.turn(now);
            has_turned = told.is_ok();
        } else if put.is_ok() && is_due {
            told = self.sign(now);
        }
        let settled = self.settle(now);
        let removed = if has_turned { self.remove_old().map(drop) } else { Ok(()) };
        let told = put.and(told).and(settled).and(removed);
        // Closed by another thread since this was begun.
        if lock(&self.open).is_closed { Ok(()) } else { told }
    }

    pub(super) fn checkpoint(&self) -> io::Result<()> {
        let now = (self.setup.clock)();
        self.sign(now)?;
        self.settle(now)
    }

    fn sign(&self, now: UnixTime) -> io::Result<()> {
        let seen = self.book(now);
        let mut open = lock(&self.open);
        // It may have been closed since this was begun.
        open.still()?;
        open.sign(self, &seen, now)
    }

    /// The book of heads as it is now, for a checkpoint to hold it fast. If it cannot be read, as it was seen last.
    fn book(&self, now: UnixTime) -> Seen {
        let mut seen = lock(&self.seen);
        let _ = self.heads.lock(&mut seen, now, &mut |_| {}).map(drop);
        seen.clone()
    }

    /// Makes durable what is written, and enters what the book of heads does not have yet.
    fn settle(&self, now: UnixTime) -> io::Result<()> {
        let mut open = lock(&self.open);
        let put = open.put();
        // Before the sync: what is entered must have been written, and then durable.
        let waiting = open.waiting.clone();
        drop(open);
        self.sync()?;
        put?;
        let Some((event, head)) = waiting else { return Ok(()) };
        self.enter(now, event, &head)?;
        let mut open = lock(&self.open);
        if open.waiting.as_ref().is_some_and(|(_, waiting)| waiting.size() == head.size()) {
            open.waiting = None;
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let _syncing = lock(&self.syncing);
        let mut open = lock(&self.open);
        if !open.is_dirty {
            return Ok(());
        }
        open.is_dirty = false;
        let file = Arc::clone(&open.file);
        drop(open);
        let begun = Instant::now();
        self.is_behind.store(true, Ordering::Relaxed);
        let done = file.sync_data();
        self.is_behind.store(begun.elapsed() > SLOW, Ordering::Relaxed);
        if done.is_err() {
            lock(&self.open).is_dirty = true;
        }
        done
    }

    /// Goes on in the next file.
    pub(super) fn turn(&self, now: UnixTime) -> io::Result<()> {
        // Most of it is on the disk before appends have to wait.
        self.sync()?;
        let seen = self.book(now);
        let _syncing = lock(&self.syncing);
        let mut open = lock(&self.open);
        open.still()?;
        let held = match self.next(&mut open, &seen, now) {
            Ok(held) => held,
            Err(error) => {
                // It is not tried again at once: each time costs a checkpoint.
                open.turn_at = open.bytes.saturating_add(self.setup.max_file / 8);
                return Err(error);
            }
        };
        drop(open);
        // The new file is held already. A child that was forked off may have the old descriptor as well, so closing it is not enough.
        if let Some(before) = lock(&self.held).replace(held) {
            let _ = before.unlock();
        }
        Ok(())
    }

    /// Makes the next file the one that is written, and gives its lock.
    fn next(&self, open: &mut Open, seen: &Seen, now: UnixTime) -> io::Result<File> {
        open.sign(self, seen, now)?;
        open.file.sync_data()?;
        open.is_dirty = false;
        let mut taken = Vec::new();
        let (named, chain, first, held) = loop {
            let number = open.number.saturating_add(1).saturating_add(taken.len() as u32);
            let named = Named { writer: self.writer.clone(), number };
            let (chain, first) = open.chain.begun(&self.key, &self.setup, &named, now);
            match files::create(&self.setup.directory, &named, &first) {
                Ok(held) => break (named, chain, first, held),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && taken.len() < MOST_TAKEN => {
                    taken.push(named.number);
                }
                Err(error) => return Err(error),
            }
        };
        open.turn_to(held.file, named.number, chain, &first);
        open.turn_at = self.setup.max_file;
        open.waiting = Some((OPENED, open.head()));
        for number in taken {
            let told = format!(",\"of\":\"name\",\"file\":{number}");
            // The file has changed: one that cannot be told does not undo that.
            let _ = open.add(&self.key, now, TAMPERED, told.as_bytes());
            self.notice(&Named { writer: self.writer.clone(), number }.name());
        }
        Ok(held.lock)
    }

    pub(super) fn close(&self) -> io::Result<()> {
        let now = (self.setup.clock)();
        let seen = self.book(now);
        let mut open = lock(&self.open);
        if std::mem::replace(&mut open.is_closed, true) {
            return Ok(());
        }
        open.sign(self, &seen, now)?;
        open.add(&self.key, now, "audit_writer_closed", &seen.members())?;
        open.put()?;
        open.file.sync_data()?;
        let head = open.head();
        open.waiting = None;
        drop(open);
        let entered = self.enter(now, "audit_writer_closed", &head);
        // Only now: who finds the file let go of finds the end entered, if it could be.
        if let Some(held) = lock(&self.held).take() {
            let _ = held.unlock();
        }
        entered
    }

    fn enter(&self, now: UnixTime, event: &str, head: &Head) -> io::Result<()> {
        let told = self.heads.append(&mut lock(&self.seen), now, event, &head.members(&self.writer))?;
        if told.is_news {
            self.notice(heads::FILE);
        }
        if told.was_cut {
            let mut open = lock(&self.open);
            // The book has it as well; behind the end of the log nothing can follow.
            if !open.is_closed {
                open.add(&self.key, now, TAMPERED, b",\"of\":\"heads\"")?;
                open.put()?;
            }
        }
        Ok(())
    }
}

/// A disk that takes longer to have what was written in a second has no room for more, sooner or later.
const SLOW: Duration = Duration::from_millis(200);
/// So many names that somebody took are passed over at once.
const MOST_TAKEN: usize = 16;

//! Writes the audit log: one writer for each process, with files of its own.
//!
//! 1. [`Log::append`] links a record to the one before and, if it is asked to, has the system write it before it returns. From then on a
//!    killed process does not lose it. Others wait at most [`Setup::sync`] for the next that is written.
//! 2. A thread of the process makes what is written durable every [`Setup::sync`], so a power failure loses no more than that.
//! 3. Every [`Setup::checkpoint`] it signs how far the log has come, if it has come any further, and enters it in the book of heads.
//! 4. Behind a file that has grown to [`Setup::max_file`] bytes the next takes up its chain and its tree (`turning.rs`).
//! 5. Who opens a log enters the writers that were killed, with the last whole record of each.
//!
//! A record that cannot be written (a full disk) is said to be so at once, stays in memory, in its place in the chain, and is written when
//! there is room again; beyond 1 MiB of them they are dropped, counted, and the count becomes a record.
//!
//! # What it does not do
//! It does not keep its key from the process: who can read the memory of the process can write records from then on, and sign them. What was
//! signed and sent elsewhere before stays as it was.
//!
//! # What can break it in deployment
//! After a fork the child needs a log of its own ([`Log::renewed`]): two processes that wrote one chain would fork it, which is the mistake
//! that audit logs behind several workers are known for. Its parent's is refused to it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::files::{self, Named};
use super::heads::{self, Heads, Seen, TAMPERED};
use super::identity::Origin;
use super::line::LinkKey;
use super::note::Signer;
use super::tap::{Tap, Taps};
use super::writing::{Chain, LOST, Open};
use super::{retention, survivors};
use crate::crypto::fill_random;
use crate::json;
use crate::shared::Own;
use crate::time::UnixTime;

/// What a log is made of. Shared by the writers that follow each other in a process and its children.
pub struct Setup {
    /// Where the files are.
    pub directory: PathBuf,
    /// Signs checkpoints; its name is that of the log.
    pub signer: Signer,
    /// The host's name, told in each file's first record.
    pub host: String,
    /// A file is closed when it has so many bytes.
    pub max_file: u64,
    /// A page of the book of heads is full when it has so many bytes.
    pub max_page: u64,
    /// How long a written record may be lost to a power failure.
    pub sync: Duration,
    /// How often the log is signed.
    pub checkpoint: Duration,
    /// How long a file is kept after its last record; for ever, if nothing is said.
    pub keep: Option<Duration>,
    /// Tells the time to the thread.
    pub clock: Box<dyn Fn() -> UnixTime + Send + Sync>,
}

/// When a record is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Before `append` returns.
    Now,
    /// With the next that is written now, or within `sync`.
    Soon,
}

/// Writes records. Shared by all threads of a process.
pub struct Log {
    shared: Arc<Shared>,
    own: Own,
}

pub(super) struct Shared {
    pub(super) setup: Arc<Setup>,
    pub(super) writer: String,
    /// What its checkpoints are of.
    pub(super) origin: String,
    pub(super) key: LinkKey,
    pub(super) heads: Heads,
    pub(super) open: Mutex<Open>,
    /// How far this process has read the book of heads. Never locked while `open` is.
    pub(super) seen: Mutex<Seen>,
    /// One syncs at a time, so that nobody takes for durable what another is at. Locked before `open`.
    pub(super) syncing: Mutex<()>,
    /// Whether what is written has to be waited for, as it seems: the disk is being written to, or was slow when it was last.
    pub(super) is_behind: AtomicBool,
    /// Holds the lock of the file that is written. Nothing else is done with it, so that a child can close it.
    pub(super) held: Mutex<Option<File>>,
    /// Files that somebody was seen to have changed, which nobody has been told yet.
    noticed: Mutex<Vec<String>>,
    /// Told when the log is closed.
    wake: Condvar,
    is_closed: Mutex<bool>,
}

impl Log {
    /// Begins a new writer in the directory, and enters those that were killed.
    ///
    /// # Errors
    /// If the directory cannot be used or written to.
    pub fn open(setup: Arc<Setup>) -> io::Result<Self> {
        Self::tapped(setup, Vec::new())
    }

    /// Begins a new writer whose lines go to `taps` as well.
    ///
    /// # Errors
    /// As for [`Log::open`].
    pub fn tapped(setup: Arc<Setup>, taps: Vec<Arc<Tap>>) -> io::Result<Self> {
        let mut random = [0; 16];
        fill_random(&mut random).map_err(|_| io::Error::other("the system gives no random bytes"))?;
        Self::of_writer(setup, taps, random.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Begins as this writer. Two of one name would be two chains of one key: only who forges calls it with a name that was.
    pub(super) fn of_writer(setup: Arc<Setup>, taps: Vec<Arc<Tap>>, writer: String) -> io::Result<Self> {
        files::prepare(&setup.directory)?;
        let derive = |writer: &str| LinkKey::derive(setup.signer.seed(), writer).map_err(io::Error::other);
        let key = derive(&writer)?;
        let heads = Heads::new(&setup.directory, derive(heads::WRITER)?, setup.max_page);
        let now = (setup.clock)();
        let named = Named { writer: writer.clone(), number: 1 };
        let (chain, first) = Chain::default().begun(&key, &setup, &named, now);
        let held = files::create(&setup.directory, &named, &first)?;
        let mut open = Open::new(held.file, chain, &first, &setup, now, Taps(taps.into()));
        let mut seen = Seen::default();
        let mut ended = BTreeSet::new();
        // Under one lock: of many that begin at once, one enters the writers that were killed.
        let mut book = heads.lock(&mut seen, now, &mut |line| survivors::note(&mut ended, line))?;
        let mut noticed = survivors::enter(&setup.directory, &ended, &writer, &mut book)?;
        book.add("audit_writer_opened", &open.head().members(&writer));
        let told = book.write()?;
        open.add(&key, now, "audit_writer_entered", &seen.members())?;
        if told.was_cut {
            noticed.push(heads::FILE.to_owned());
            // Who reads this writer's records alone, a sink say, is to have it too.
            open.add(&key, now, TAMPERED, b",\"of\":\"heads\"")?;
        }
        open.put()?;
        let log = seen.log().unwrap_or_default().to_owned();
        let origin = Origin { log, writer: writer.clone() }.to_text(setup.signer.verifier().name());
        let shared = Shared {
            setup,
            writer,
            origin,
            key,
            heads,
            open: Mutex::new(open),
            seen: Mutex::new(seen),
            syncing: Mutex::new(()),
            is_behind: AtomicBool::new(false),
            held: Mutex::new(Some(held.lock)),
            noticed: Mutex::new(noticed),
            wake: Condvar::new(),
            is_closed: Mutex::new(false),
        };
        // Files that cannot be removed are no reason to begin without a log.
        let _ = files::remove_unfinished(&shared.setup.directory);
        let _ = shared.remove_old();
        Ok(Self { shared: Arc::new(shared), own: Own::new() })
    }

    /// A writer for a process that was just forked off. It waits for no lock of this one's, whose threads are not there, and lets go of the
    /// file of its parent, who would seem to be alive as long as the child is. It has taps of its own: what waits in those of the parent, the
    /// parent sends.
    ///
    /// # Errors
    /// As for [`Log::open`].
    pub fn renewed(&self, taps: Vec<Arc<Tap>>) -> io::Result<Self> {
        if !self.own.is_here()
            && let Ok(mut held) = self.shared.held.try_lock()
        {
            *held = None;
        }
        Self::tapped(Arc::clone(&self.shared.setup), taps)
    }

    /// Which writer this is: 32 hexadecimal digits.
    pub fn writer(&self) -> &str {
        &self.shared.writer
    }

    /// Starts the thread that syncs and signs. It has the caller's signal mask. Where no thread can be had,
    /// [`Log::tend`] is the caller's to call. What is noticed meanwhile ([`Log::noticed`]) the thread has `tell` told, and `failed` what it
    /// could not do, each time that it tries.
    pub fn start(
        &self,
        tell: impl Fn(Vec<String>) + Send + 'static,
        failed: impl Fn(io::Error) + Send + 'static,
    ) -> bool {
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new().name("audit log".to_owned()).stack_size(STACK);
        thread.spawn(move || shared.run(&tell, &failed)).is_ok()
    }

    /// Takes the names of the files that somebody was seen to have changed since this was asked last. The first process that notices it has it, and
    /// no other of the directory; it is a record of its own (`audit_tampered`) in any case.
    pub fn noticed(&self) -> Vec<String> {
        self.shared.noticed()
    }

    /// Adds a record: `members` is empty, or JSON members on one line with a comma before each. Gives its number.
    ///
    /// # Errors
    /// If it is not written, though it should have been; if it is kept for later, or dropped. If the event begins with `audit_`, as the log's own
    /// do. In a process that was forked off from that which opened the log.
    pub fn append(&self, now: UnixTime, event: &str, members: &[u8], when: When) -> io::Result<u64> {
        self.may_be(event, members)?;
        let mut open = lock(&self.shared.open);
        open.still()?;
        open.add(&self.shared.key, now, event, members)?;
        let seq = open.size() - 1;
        if when == When::Now || open.is_batch() {
            open.put()?;
        }
        Ok(seq)
    }

    /// As [`Log::append`]. None if it would have to be waited for: for another thread, or for the system, which is to write what is
    /// much, or whose disk is behind. A few hundred bytes are in its memory in half a microsecond otherwise.
    ///
    /// # Errors
    /// As for [`Log::append`].
    pub fn append_at_once(
        &self,
        now: UnixTime,
        event: &str,
        members: &[u8],
        when: When,
    ) -> Option<io::Result<u64>> {
        if let Err(error) = self.may_be(event, members) {
            return Some(Err(error));
        }
        let mut open = self.shared.open.try_lock().ok()?;
        let is_soon_done = match when {
            When::Now => open.is_small(members.len()) && !self.shared.is_behind.load(Ordering::Relaxed),
            When::Soon => open.has_room(members.len()),
        };
        if !is_soon_done {
            return None;
        }
        let added = open.still().and_then(|()| open.add(&self.shared.key, now, event, members));
        let seq = open.size().saturating_sub(1);
        let done = added.and_then(|()| if when == When::Now { open.put() } else { Ok(()) });
        Some(done.map(|()| seq))
    }

    fn may_be(&self, event: &str, members: &[u8]) -> io::Result<()> {
        self.owned()?;
        let refused = if event.starts_with(OWN) {
            Some("events that begin with audit_ are the audit log's own")
        } else if memchr::memchr(b'\n', members).is_some() || members.len() > MAX_RECORD {
            Some("a record is one line of at most 256 KiB")
        } else {
            None
        };
        refused.map_or(Ok(()), |told| Err(io::Error::new(io::ErrorKind::InvalidInput, told)))
    }

    /// Records that so many records did not reach a sink.
    ///
    /// # Errors
    /// As for [`Log::append`].
    pub fn lost(&self, sink: &str, records: u64) -> io::Result<()> {
        self.owned()?;
        let mut members = b",\"sink\":".to_vec();
        json::string(&mut members, sink, MAX_SINK);
        members.extend_from_slice(format!(",\"records\":{records}").as_bytes());
        let now = (self.shared.setup.clock)();
        let mut open = lock(&self.shared.open);
        open.still()?;
        open.add(&self.shared.key, now, LOST, &members)?;
        open.put()
    }

    /// Does what the thread does every [`Setup::sync`]: writes, syncs, and signs and changes files when it is time.
    ///
    /// # Errors
    /// What the system said. What can be done in spite of it is done.
    pub fn tend(&self) -> io::Result<()> {
        self.owned()?;
        self.shared.tend()
    }

    /// Removes files whose time is over ([`Setup::keep`]), and gives their names. [`Log::open`] and each new file do it as well.
    ///
    /// # Errors
    /// What the system said.
    pub fn remove_old(&self) -> io::Result<Vec<String>> {
        self.owned()?;
        self.shared.remove_old()
    }

    /// Signs how far the log has come, and enters it in the book of heads.
    ///
    /// # Errors
    /// What the system said; if the log is closed.
    pub fn checkpoint(&self) -> io::Result<()> {
        self.owned()?;
        self.shared.checkpoint()
    }

    /// Signs, says that no more records follow, and enters that. What comes after is refused.
    ///
    /// # Errors
    /// What the system said. The log is closed all the same.
    pub fn close(&self) -> io::Result<()> {
        self.owned()?;
        *lock(&self.shared.is_closed) = true;
        self.shared.wake.notify_all();
        self.shared.close()
    }

    /// Ends as a killed process does: what is open is closed by the system, and nothing more is written.
    #[cfg(test)]
    pub(super) fn killed(self) {
        lock(&self.shared.open).kill();
        *lock(&self.shared.held) = None;
    }

    /// Whether this is the process that opened the log.
    fn owned(&self) -> io::Result<()> {
        if self.own.is_here() {
            return Ok(());
        }
        let told = "the audit log is of the process that this one was forked from: renew it first";
        Err(io::Error::new(io::ErrorKind::PermissionDenied, told))
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // In a forked child the locks may be held by a thread that is not there, and the records are the parent's: `close` refuses.
        let _ = self.close();
    }
}

impl Shared {
    fn run(&self, tell: &impl Fn(Vec<String>), failed: &impl Fn(io::Error)) {
        loop {
            let closed = lock(&self.is_closed);
            let (closed, _) = self
                .wake
                .wait_timeout_while(closed, self.setup.sync, |closed| !*closed)
                .unwrap_or_else(PoisonError::into_inner);
            if *closed {
                return;
            }
            drop(closed);
            // What is dirty stays so.
            if let Err(error) = self.tend() {
                failed(error);
            }
            let noticed = self.noticed();
            if !noticed.is_empty() {
                tell(noticed);
            }
        }
    }

    fn noticed(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.noticed))
    }

    /// Remembers that somebody has changed a file, for who asks.
    pub(super) fn notice(&self, file: &str) {
        let mut noticed = lock(&self.noticed);
        if noticed.len() < MOST_NOTICED && !noticed.iter().any(|name| name == file) {
            noticed.push(file.to_owned());
        }
    }

    pub(super) fn remove_old(&self) -> io::Result<Vec<String>> {
        let Some(keep) = self.setup.keep else { return Ok(Vec::new()) };
        let now = (self.setup.clock)();
        let enter = |event: &str, members: &[u8]| {
            let told = self.heads.append(&mut lock(&self.seen), now, event, members)?;
            if told.is_news {
                self.notice(heads::FILE);
            }
            Ok(())
        };
        retention::remove(&self.setup, keep, &self.heads, now, enter)
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the log's own events begin with.
const OWN: &str = "audit_";
const MAX_RECORD: usize = 256 << 10;
const MAX_SINK: usize = 64;
/// More files than these are not named.
const MOST_NOTICED: usize = 32;
/// The thread's stack, in bytes.
const STACK: usize = 256 * 1024;

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;

//! What a writer has open: its chain and tree, its file, and what waits to be written to it.
//!
//! Records are sealed in order and written in order; what the system does not take stays, from the byte on that is missing. So a record
//! that failed is not another's gap.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use rustix::process::getpid;

use super::files::Named;
use super::heads::Seen;
use super::line::{LinkKey, Place, Stamp, write_hash};
use super::log::{Setup, Shared};
use super::merkle::Frontier;
use super::note::Checkpoint;
use super::tap::Taps;
use crate::json;
use crate::time::UnixTime;

/// The records of a writer so far.
#[derive(Clone, Default)]
pub(super) struct Chain {
    place: Place,
    tree: Frontier,
    stamp: Stamp,
}

/// What is being written. All of it is behind one lock.
pub(super) struct Open {
    pub(super) file: Arc<File>,
    pub(super) number: u32,
    pub(super) bytes: u64,
    pub(super) chain: Chain,
    /// Sealed, in order, and not yet with the system. The first line may be the rest of one.
    unwritten: Vec<u8>,
    lost: u64,
    pub(super) is_dirty: bool,
    /// Up to which record, and when, the log was signed last.
    pub(super) signed: u64,
    pub(super) signed_at: UnixTime,
    /// The file is to change when it has so many bytes.
    pub(super) turn_at: u64,
    /// What the book of heads does not have yet.
    pub(super) waiting: Option<(&'static str, Head)>,
    pub(super) is_closed: bool,
    taps: Taps,
}

/// How far a writer has come, as the book of heads tells it.
#[derive(Clone)]
pub(super) struct Head {
    number: u32,
    chain: Chain,
}

impl Chain {
    fn seal(&mut self, key: &LinkKey, out: &mut Vec<u8>, now: UnixTime, event: &str, members: &[u8]) {
        let leaf = self.place.seal_at(key, out, &self.stamp.of(now), event, members);
        self.tree.push(leaf);
    }

    /// The first record of a file, which tells whose it is and the tree that it goes on with; and how the chain is after it.
    pub(super) fn begun(
        &self,
        key: &LinkKey,
        setup: &Setup,
        named: &Named,
        now: UnixTime,
    ) -> (Chain, Vec<u8>) {
        let mut members = Vec::with_capacity(512);
        for (name, text) in [
            (",\"log\":", setup.signer.verifier().name()),
            (",\"writer\":", &named.writer),
            (",\"host\":", &setup.host),
        ] {
            members.extend_from_slice(name.as_bytes());
            json::string(&mut members, text, 255);
        }
        members.extend_from_slice(b",\"file\":");
        json::number(&mut members, i64::from(named.number));
        members.extend_from_slice(b",\"pid\":");
        json::number(&mut members, i64::from(getpid().as_raw_nonzero().get()));
        members.extend_from_slice(b",\"subtrees\":[");
        for (i, root) in self.tree.roots().iter().enumerate() {
            members.extend_from_slice(if i == 0 { b"\"" } else { b",\"" });
            write_hash(&mut members, root);
            members.push(b'"');
        }
        members.push(b']');
        let (mut chain, mut first) = (self.clone(), Vec::new());
        chain.seal(key, &mut first, now, OPENED, &members);
        (chain, first)
    }
}

impl Open {
    /// Of a new writer: its chain after the `first` record of its file.
    pub(super) fn new(
        file: File,
        chain: Chain,
        first: &[u8],
        setup: &Setup,
        now: UnixTime,
        taps: Taps,
    ) -> Self {
        taps.offer(OPENED, first);
        Self {
            file: Arc::new(file),
            number: 1,
            bytes: first.len() as u64,
            chain,
            unwritten: Vec::new(),
            lost: 0,
            is_dirty: false,
            signed: 0,
            signed_at: now,
            turn_at: setup.max_file,
            waiting: None,
            is_closed: false,
            taps,
        }
    }

    /// How many records there are.
    pub(super) fn size(&self) -> u64 {
        self.chain.place.seq
    }

    /// Whether it is open still.
    pub(super) fn still(&self) -> io::Result<()> {
        if self.is_closed {
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, "the audit log is closed"));
        }
        Ok(())
    }

    /// Whether so much waits that it is to be written.
    pub(super) fn is_batch(&self) -> bool {
        self.unwritten.len() >= BATCH
    }

    /// Whether so much more can wait without anything being written.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.unwritten.len() + bytes + SEALING < BATCH
    }

    /// Whether what waits and so much more are few enough bytes that the system takes them at once, if the disk is not behind.
    pub(super) fn is_small(&self, bytes: usize) -> bool {
        self.unwritten.len() + bytes + SEALING < SMALL
    }

    /// Seals a record. What could not be kept before is told first.
    pub(super) fn add(
        &mut self,
        key: &LinkKey,
        now: UnixTime,
        event: &str,
        members: &[u8],
    ) -> io::Result<()> {
        if self.unwritten.len() + members.len() > MAX_UNWRITTEN && self.put().is_err() {
            self.lost += 1;
            return Err(io::Error::new(
                io::ErrorKind::StorageFull,
                "the audit log cannot be written, and no more can wait",
            ));
        }
        if self.lost > 0 {
            let told = format!(",\"records\":{}", std::mem::take(&mut self.lost));
            self.seal(key, now, LOST, told.as_bytes());
        }
        self.seal(key, now, event, members);
        Ok(())
    }

    fn seal(&mut self, key: &LinkKey, now: UnixTime, event: &str, members: &[u8]) {
        let start = self.unwritten.len();
        self.chain.seal(key, &mut self.unwritten, now, event, members);
        self.taps.offer(event, &self.unwritten[start..]);
    }

    /// Goes on in a new file, which begins with the record `first`.
    pub(super) fn turn_to(&mut self, file: File, number: u32, chain: Chain, first: &[u8]) {
        self.taps.offer(OPENED, first);
        self.file = Arc::new(file);
        (self.number, self.chain, self.bytes) = (number, chain, first.len() as u64);
    }

    /// Has the system write what is sealed. What it does not take stays, from the byte on that is missing.
    pub(super) fn put(&mut self) -> io::Result<()> {
        let mut done = 0;
        let mut result = Ok(());
        while done < self.unwritten.len() {
            match (&*self.file).write(&self.unwritten[done..]) {
                Ok(0) => result = Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => result = Err(error),
            }
            if result.is_err() {
                break;
            }
        }
        if done == self.unwritten.len() {
            self.unwritten.clear();
        } else {
            self.unwritten.drain(..done);
        }
        self.bytes += done as u64;
        self.is_dirty |= done > 0;
        result
    }

    /// Adds a checkpoint and has it written. The book of heads is to get it.
    pub(super) fn sign(&mut self, shared: &Shared, seen: &Seen, now: UnixTime) -> io::Result<()> {
        let signer = &shared.setup.signer;
        let origin = shared.origin.clone();
        let heads = Some((seen.tree().size(), seen.tree().root()));
        let tree = &self.chain.tree;
        let point = Checkpoint { origin, size: tree.size(), root: tree.root(), heads };
        let mut members = format!(",\"heads\":{},\"note\":", seen.tree().size()).into_bytes();
        json::string(&mut members, &signer.sign(&point.to_text()), MAX_NOTE);
        self.add(&shared.key, now, "audit_checkpoint", &members)?;
        // The checkpoint itself is no reason for the next.
        (self.signed, self.signed_at) = (self.size(), now);
        self.waiting = Some(("audit_checkpoint", self.head()));
        self.put()
    }

    pub(super) fn head(&self) -> Head {
        Head { number: self.number, chain: self.chain.clone() }
    }
}

impl Head {
    /// How many records there were.
    pub(super) fn size(&self) -> u64 {
        self.chain.place.seq
    }

    pub(super) fn members(&self, writer: &str) -> Vec<u8> {
        let mut members = b",\"writer\":".to_vec();
        json::string(&mut members, writer, 64);
        members.extend_from_slice(
            format!(",\"file\":{},\"size\":{},\"last\":\"", self.number, self.size()).as_bytes(),
        );
        write_hash(&mut members, &self.chain.place.link);
        members.extend_from_slice(b"\",\"root\":\"");
        write_hash(&mut members, &self.chain.tree.root());
        members.push(b'"');
        members
    }
}

#[cfg(test)]
impl Open {
    /// What is sealed and not written.
    pub(super) fn unwritten(&mut self) -> &mut Vec<u8> {
        &mut self.unwritten
    }

    pub(super) fn kill(&mut self) {
        self.is_closed = true;
        self.file = Arc::new(File::open("/dev/null").unwrap_or_else(|_| std::process::abort()));
    }
}

/// What was lost is told by a record of this event.
pub(super) const LOST: &str = "audit_records_lost";
/// Of the record that each file begins with.
pub(super) const OPENED: &str = "audit_file_opened";
/// Records that may wait are written when there are so many bytes of them.
const BATCH: usize = 64 * 1024;
/// So many bytes the system copies in a few microseconds.
const SMALL: usize = 16 * 1024;
/// What a record has beside its members, with one of what was lost before it: fewer bytes than these.
const SEALING: usize = 1024;
/// So many bytes are kept while nothing can be written.
pub(super) const MAX_UNWRITTEN: usize = 1 << 20;
const MAX_NOTE: usize = 4096;

//! Says whether an audit log is what was written, and if not, where it is not.
//!
//! 1. The book of heads is read and its chain followed (`book.rs`).
//! 2. Each writer's files are followed record by record: number, link, tree, checkpoints (`walk.rs`).
//! 3. What the book knows of a writer is held against its files: no file, no end of a file may be missing.
//! 4. The root over the first records is held against each checkpoint that was kept elsewhere, which is what a consistency proof shows to who has
//!    not the log (RFC 6962 section 2.1.2, RFC 9162 section 2.1.4). So a log that was written anew with its own key is seen to be another.
//!    Those of other logs of the key are counted apart, and are no fault while one is of this log: which log it has to be, [`Verify::of_log`] says.
//! 5. What the writers and their checkpoints tell of the book is held against it: how many lines it had, and their root.
//!
//! A log that is being written can be verified: what was entered before it began is held against what is there. If something
//! seems wrong and the book has grown meanwhile, all is looked at again, up to four times. An unfinished last line is
//! no fault where the writer is alive or was killed; it is one where the writer had closed its log.
//!
//! # With the public key alone
//! Links are not checked. What a right checkpoint covers is as it was signed, in the writer's files and in the book; what stands
//! behind the last one anybody could have written, but the end that goes with it. [`Told::unsigned`] and [`Report::heads_signed`] say
//! how much that is: a writer without any checkpoint is worth nothing. Links alone show that, so verify with the private key where it is.
//!
//! # What it does not see
//! - All files put back together to an earlier moment: give it a checkpoint that was kept elsewhere ([`Verify::known`]). One of any writer
//!   holds the whole book fast, and by it all that was entered then.
//! - The end of a killed writer, from its last entry in the book on, cut off before anybody has opened the log again. That is at most
//!   what it wrote in [`super::Setup::checkpoint`].

mod book;
mod faults;
mod walk;

pub(super) use book::{End, Known, enter, read as read_book};
pub(super) use faults::Faults;
pub use faults::{Fault, Kind};

#[cfg(test)]
mod anchors;
#[cfg(test)]
mod attacks;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::files::Named;
use super::heads;
use super::identity::Origin;
use super::line::LinkKey;
use super::merkle::Hash;
use super::note::{Checkpoint, Signer, Verifier};
use super::track::Step;
use crate::secret::Secret;

/// What a log is verified with.
pub struct Verify {
    verifier: Verifier,
    seed: Option<Secret>,
    known: Vec<(Origin, Checkpoint)>,
    log: Option<String>,
}

impl Verify {
    /// With the private key: everything is checked.
    pub fn with(signer: &Signer) -> Self {
        Self {
            verifier: signer.verifier().clone(),
            seed: Some(Secret::new(signer.seed().to_vec())),
            known: Vec::new(),
            log: None,
        }
    }

    /// With the public key: numbers, trees and checkpoints are checked.
    pub fn public(verifier: Verifier) -> Self {
        Self { verifier, seed: None, known: Vec::new(), log: None }
    }

    /// Which log the directory has to hold, as the origin of its checkpoints says: 32 hexadecimal digits.
    pub fn of_log(&mut self, log: &str) {
        self.log = Some(log.to_owned());
    }

    /// A checkpoint that was kept elsewhere: the log must hold it, if it is of this log. False if the key has not signed it, or not for an audit log.
    #[must_use]
    pub fn known(&mut self, note: &str) -> bool {
        let Some(point) = self.verifier.open(note).and_then(Checkpoint::parse) else { return false };
        let Some(origin) = Origin::read(&point.origin, self.verifier.name()) else { return false };
        self.known.push((origin, point));
        true
    }

    /// Verifies a log.
    ///
    /// # Errors
    /// If it cannot be read, or if there is none.
    pub fn run(&self, directory: &Path) -> io::Result<Report> {
        let length = || {
            std::fs::metadata(directory.join(heads::FILE)).map_or((0, 0), |about| (about.ino(), about.len()))
        };
        for _ in 1..ATTEMPTS {
            let before = length();
            let report = self.once(directory)?;
            // Where nobody writes, nothing will look otherwise.
            if report.is_sound() || length() == before {
                return Ok(report);
            }
        }
        self.once(directory)
    }

    fn once(&self, directory: &Path) -> io::Result<Report> {
        let key = self.key(heads::WRITER)?;
        let mut faults = Faults::default();
        let mut book = book::read(directory, key.as_ref(), &mut faults)?;
        let (files, others) = Named::all(directory)?;
        if files.is_empty() && !book.is_there {
            return Err(io::Error::new(io::ErrorKind::NotFound, "there is no audit log in this directory"));
        }
        let mut report = Report { others, ..Report::default() };
        if !book.is_there {
            faults.push(Fault::of(heads::FILE, Kind::FileMissing));
        }
        let mut writers: BTreeMap<String, Vec<Named>> = BTreeMap::new();
        for named in files {
            writers.entry(named.writer.clone()).or_default().push(named);
        }
        for writer in book.writers.keys() {
            writers.entry(writer.clone()).or_default();
        }
        let log = book.log.clone();
        let nothing = Known::default();
        let mut claims = Claims::default();
        for (writer, files) in writers {
            let known = book.writers.get(&writer).unwrap_or(&nothing);
            let told = walk::walk(
                directory,
                &writer,
                &files,
                known,
                log.as_deref(),
                self,
                &mut claims,
                &mut faults,
            )?;
            report.writers.push(told);
        }
        // The writers may have seen more of the book than was there when it was read.
        book.more(directory, key.as_ref(), &mut faults)?;
        for (origin, point) in &self.known {
            if log.as_ref().is_some_and(|log| *log != origin.log) {
                *report.elsewhere.entry(origin.log.clone()).or_default() += 1;
                continue;
            }
            if let Some((lines, root)) = point.heads {
                claims.add(lines, root, true);
            }
            if report.writers.iter().any(|told| told.writer == origin.writer) {
                continue;
            }
            if point.heads.is_some_and(|(lines, _)| lines < book.base.size()) {
                // As old as what was removed of the book, which would know of its writer.
                report.unchecked += 1;
            } else {
                faults.push(Fault::of(&point.origin, Kind::FileMissing));
            }
        }
        let is_other = match &self.log {
            Some(wanted) => book.log.as_ref() != Some(wanted),
            // All are of others: of a log in whose place this one was put, or begun.
            None => {
                !self.known.is_empty() && report.elsewhere.values().sum::<u64>() == self.known.len() as u64
            }
        };
        if is_other {
            faults.push(Fault::of(heads::FILE, Kind::OtherLog));
        }
        report.log.clone_from(&book.log);
        report.unchecked += report.writers.iter().map(|told| told.unchecked).sum::<u64>();
        book.end(directory, &mut faults)?;
        report.heads = book.size();
        report.heads_signed = claims.check(&book, &mut faults);
        (report.faults, report.more) = (faults.list, faults.more);
        Ok(report)
    }

    fn key(&self, writer: &str) -> io::Result<Option<LinkKey>> {
        let derive = |seed: &Secret| LinkKey::derive(seed.expose(), writer).map_err(io::Error::other);
        self.seed.as_ref().map(derive).transpose()
    }
}

/// What verification has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Each writer, by its name.
    pub writers: Vec<Told>,
    /// What is wrong, in the order of files and lines.
    pub faults: Vec<Fault>,
    /// Lines of the book of heads.
    pub heads: u64,
    /// Up to which of them the book is as a signed checkpoint says.
    pub heads_signed: u64,
    /// So many faults there are beside those that are told.
    pub more: u64,
    /// Checkpoints that were kept elsewhere and cannot be held against anything, since what they cover was removed after its time.
    pub unchecked: u64,
    /// Which log it is, as the origin of its checkpoints says.
    pub log: Option<String>,
    /// Of which other logs checkpoints were given, and how many: they were not held against this one.
    pub elsewhere: BTreeMap<String, u64>,
    /// Files in the directory that are none of the log's.
    pub others: Vec<String>,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }

    /// How many records there are.
    pub fn records(&self) -> u64 {
        self.writers.iter().map(|told| told.records).sum()
    }

    /// How many of them no checkpoint covers.
    pub fn unsigned(&self) -> u64 {
        self.writers.iter().map(|told| told.unsigned).sum()
    }
}

/// One writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// 32 hexadecimal digits.
    pub writer: String,
    /// How many files are there.
    pub files: u32,
    /// How many records were read.
    pub records: u64,
    /// How many signed checkpoints were right.
    pub checkpoints: u64,
    /// Up to which record the last of them reaches.
    pub signed: u64,
    /// How many records no checkpoint covers. Of a writer that has closed there are two: the checkpoint, and that no more follows.
    pub unsigned: u64,
    /// Checkpoints that were kept elsewhere, of records that were removed after their time.
    pub unchecked: u64,
    /// How it ended, if it did.
    pub state: State,
    /// Bytes of an unfinished last line.
    pub torn: u64,
}

/// How a writer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It said so.
    Closed,
    /// It was killed, and nobody has begun to write since.
    Left,
    /// It was killed, and its last record was entered.
    Lost,
    /// It has not.
    Running,
}

fn fault(step: Step) -> Option<Kind> {
    match step {
        Step::Next => None,
        Step::Changed => Some(Kind::Changed),
        Step::Missing(from, to) => Some(Kind::Missing(from, to)),
        Step::OutOfPlace => Some(Kind::OutOfPlace),
    }
}

/// What the writers tell of the book of heads: after so many lines its root was this.
#[derive(Default)]
struct Claims(Vec<(u64, Hash, bool)>);

impl Claims {
    fn add(&mut self, lines: u64, root: Hash, is_signed: bool) {
        let claim = (lines, root, is_signed);
        if self.0.last() != Some(&claim) {
            self.0.push(claim);
        }
    }

    /// Up to which line what was signed holds. Of pages that are not there, nothing can be said.
    fn check(mut self, book: &book::Book, faults: &mut Faults) -> u64 {
        self.0.sort_unstable();
        let (mut tree, mut rest, mut signed) = (book.base.clone(), book.leaves.iter(), 0);
        for (lines, root, is_signed) in self.0.iter().filter(|(lines, ..)| *lines >= book.base.size()) {
            if *lines > book.size() {
                break;
            }
            while tree.size() < *lines
                && let Some(leaf) = rest.next()
            {
                tree.push(*leaf);
            }
            if tree.root() != *root {
                let (before, file) = book.page_of(*lines);
                faults.push(Fault { file, line: Some(lines - before), kind: Kind::Rewritten });
                break;
            }
            if *is_signed {
                signed = *lines;
            }
        }
        if let Some((lines, ..)) = self.0.last().filter(|(lines, ..)| *lines > book.size()) {
            faults.push(Fault::of(heads::FILE, Kind::Truncated(lines - 1)));
        }
        signed
    }
}

const ATTEMPTS: usize = 4;

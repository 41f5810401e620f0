//! Follows one writer through its files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;

use serde_json::Value;

use super::book::{End, Known};
use super::faults::{Fault, Faults, Kind};
use super::{Claims, State, Told, Verify};
use crate::audit::files::{self, Named};
use crate::audit::heads::TAMPERED;
use crate::audit::identity::Origin;
use crate::audit::line::{Line, LinkKey, Place, read_hash};
use crate::audit::lines::{Lines, Shape, last_line};
use crate::audit::merkle::{self, Frontier, Hash};
use crate::audit::note::Checkpoint;
use crate::audit::track::{Step, Track};

/// Verifies the files of `writer`.
#[allow(clippy::too_many_arguments)] // Called from one place.
pub(super) fn walk(
    directory: &Path,
    writer: &str,
    files: &[Named],
    known: &Known,
    log: Option<&str>,
    verify: &Verify,
    claims: &mut Claims,
    faults: &mut Faults,
) -> io::Result<Told> {
    let mut points: BTreeMap<u64, Vec<Hash>> = BTreeMap::new();
    let is_here = |origin: &Origin| origin.writer == writer && log.is_none_or(|log| origin.log == log);
    for (_, point) in verify.known.iter().filter(|(origin, _)| is_here(origin)) {
        points.entry(point.size).or_default().push(point.root);
    }
    let removed = known.removed();
    // Of what was removed there is no tree to hold them against.
    let begun = known.track().place().seq;
    let unchecked: usize = points.range(..=begun).map(|(_, roots)| roots.len()).sum();
    let mut walk = Walk {
        writer,
        verify,
        known,
        key: verify.key(writer)?,
        log,
        is_elsewhere: false,
        track: known.track(),
        tree: (removed == 0).then(Frontier::default),
        points,
        told: Told {
            writer: writer.to_owned(),
            files: 0,
            records: 0,
            checkpoints: 0,
            signed: 0,
            unsigned: 0,
            unchecked: if begun > 0 { unchecked as u64 } else { 0 },
            state: State::Left,
            torn: 0,
        },
        last: Last::Other,
        claims,
        faults,
    };
    let mut next = removed.saturating_add(1);
    for named in files {
        let opened = match files::open(&named.path(directory)) {
            Ok(file) => file,
            // Removed in this moment: if on purpose, the book has grown.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                walk.faults.push(Fault::of(&named.name(), Kind::NoFile));
                continue;
            }
            Err(error) => return Err(error),
        };
        if named.number <= removed {
            walk.left_over(opened, named)?;
            continue;
        }
        let gap = (next < named.number).then(|| (next, named.number - 1));
        if opened.metadata()?.len() == 0 {
            // A file is made with its first record. So this is none of the writer's, and whether there is a gap the next says.
            walk.faults.push(Fault::of(&named.name(), Kind::Opening));
            continue;
        }
        walk.file(opened, named, gap)?;
        next = named.number.saturating_add(1);
    }
    if next <= known.newest {
        walk.missing(next, known.newest);
    }
    walk.end(directory, files)
}

struct Walk<'a> {
    writer: &'a str,
    verify: &'a Verify,
    known: &'a Known,
    key: Option<LinkKey>,
    /// Which log the book is of, if it says so.
    log: Option<&'a str>,
    /// Whether a checkpoint was of another.
    is_elsewhere: bool,
    track: Track,
    /// None where records are missing or changed, up to the next file.
    tree: Option<Frontier>,
    /// Roots of checkpoints that were kept elsewhere, by the number of records.
    points: BTreeMap<u64, Vec<Hash>>,
    told: Told,
    last: Last,
    claims: &'a mut Claims,
    faults: &'a mut Faults,
}

/// What the record was that was read last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Other,
    WriterClosed,
}

impl Walk<'_> {
    fn missing(&mut self, from: u32, to: u32) {
        let named = Named { writer: self.writer.to_owned(), number: from };
        let kind =
            if from == to { Kind::FileMissing } else { Kind::FilesMissing(u64::from(from), u64::from(to)) };
        self.faults.push(Fault::of(&named.name(), kind));
        self.track.lose();
        self.tree = None;
    }

    /// A file that was entered as removed: of a process that was killed before it removed it, or put there by somebody.
    fn left_over(&mut self, mut file: File, named: &Named) -> io::Result<()> {
        let length = file.metadata()?.len();
        let end = last_line(&mut file).ok();
        let is_right = self.known.removals.get(&named.number).is_some_and(|(seq, link)| {
            let place = Place { seq: *seq, link: *link };
            end.is_some_and(|(last, whole)| {
                last == place && (whole == length || named.number == self.known.newest)
            })
        });
        if !is_right {
            self.faults.push(Fault::of(&named.name(), Kind::OutOfPlace));
        }
        Ok(())
    }

    /// `gap` are numbers of files that are not there. Records say whether they ever were: a writer passes over a name that is taken.
    fn file(&mut self, file: File, named: &Named, mut gap: Option<(u32, u32)>) -> io::Result<()> {
        let name = named.name();
        if self.told.torn > 0 {
            // A line can be unfinished in the last file alone.
            let before = Named { number: named.number - 1, ..named.clone() };
            self.faults.push(Fault::of(&before.name(), Kind::Unreadable));
        }
        self.told.files += 1;
        self.told.torn = 0;
        let mut lines = Lines::of(file);
        while let Some(text) = lines.next()? {
            let at = text.number;
            if text.shape == Shape::Unfinished {
                self.told.torn = text.bytes.len() as u64;
                continue;
            }
            let Some(line) = Line::read(text.bytes) else {
                self.fault(&name, at, Kind::Unreadable);
                self.tree = None;
                continue;
            };
            if let Some((from, to)) = gap.take()
                && line.seq != self.track.place().seq
            {
                self.missing(from, to);
            }
            if self.last == Last::WriterClosed {
                self.fault(&name, at, Kind::Added);
            }
            let members = if line.event.starts_with(b"audit_") { line.members() } else { None };
            if at == 1 {
                self.opening(&name, named, &line, members.as_ref());
            }
            // The dearest part of all, so once for the link and the tree.
            let leaf = merkle::leaf(line.body);
            let step = self.track.step(self.key.as_ref(), &line, &leaf);
            if let Some(kind) = super::fault(step) {
                self.fault(&name, at, kind);
                if at > 1 || step == Step::Changed {
                    self.tree = None;
                }
            }
            if step == Step::OutOfPlace {
                continue;
            }
            self.told.records += 1;
            if line.event == b"audit_checkpoint" {
                self.checkpoint(&name, at, &line, members.as_ref());
            }
            if line.event == TAMPERED.as_bytes() {
                self.fault(&name, at, Kind::Noticed);
            }
            if step == Step::Next {
                self.claim(members.as_ref());
            }
            self.last = match line.event {
                b"audit_writer_closed" => Last::WriterClosed,
                _ => Last::Other,
            };
            if let Some(tree) = &mut self.tree {
                tree.push(leaf);
            }
            self.anchored(&name, at);
        }
        Ok(())
    }

    /// What a record of the log's own tells of the book of heads.
    fn claim(&mut self, members: Option<&Value>) {
        let told = members.and_then(|members| {
            Some((members["heads"].as_u64()?, members["heads_root"].as_str().and_then(read_hash)?))
        });
        if let Some((lines, root)) = told {
            self.claims.add(lines, root, false);
        }
    }

    fn fault(&mut self, file: &str, line: u64, kind: Kind) {
        self.faults.push(Fault { file: file.to_owned(), line: Some(line), kind });
    }

    /// The first record of a file says whose it is, and which trees it goes on with.
    fn opening(&mut self, name: &str, named: &Named, line: &Line<'_>, members: Option<&Value>) {
        let subtrees = members.and_then(|members| {
            let is_ours = line.event == b"audit_file_opened"
                && members["log"].as_str() == Some(self.verify.verifier.name())
                && members["writer"].as_str() == Some(self.writer)
                && members["file"].as_u64() == Some(u64::from(named.number));
            line.subtrees(members).filter(|_| is_ours)
        });
        let is_right = match (&self.tree, &subtrees) {
            (_, None) => false,
            (Some(tree), Some(subtrees)) => tree == subtrees || line.seq != tree.size(),
            (None, Some(_)) => true,
        };
        if !is_right {
            self.fault(name, 1, Kind::Opening);
        }
        self.tree = subtrees;
    }

    /// Says whether a checkpoint is signed, and of the records before it, and of this log.
    fn checkpoint(&mut self, name: &str, at: u64, line: &Line<'_>, members: Option<&Value>) {
        let note = members.and_then(|members| members["note"].as_str());
        let point = note.and_then(|note| self.verify.verifier.open(note)).and_then(Checkpoint::parse);
        let origin =
            point.as_ref().and_then(|point| Origin::read(&point.origin, self.verify.verifier.name()));
        let (Some(point), Some(origin)) = (point, origin) else {
            return self.fault(name, at, Kind::Checkpoint);
        };
        let is_right = origin.writer == self.writer
            && point.size == line.seq
            && self.tree.as_ref().is_none_or(|tree| tree.root() == point.root);
        if !is_right {
            return self.fault(name, at, Kind::Checkpoint);
        }
        // Once for a writer: a book that was begun anew is another's for all that was signed before.
        if self.log.is_some_and(|log| log != origin.log) && !std::mem::replace(&mut self.is_elsewhere, true) {
            self.fault(name, at, Kind::OtherLog);
        }
        self.told.checkpoints += 1;
        self.told.signed = point.size;
        if let Some((lines, root)) = point.heads {
            self.claims.add(lines, root, true);
        }
    }

    /// Holds what was entered, or kept elsewhere, against what is here.
    fn anchored(&mut self, name: &str, line: u64) {
        let place = self.track.place();
        if self.known.anchors.get(&place.seq).is_some_and(|link| *link != place.link) {
            self.fault(name, line, Kind::Changed);
        }
        if let (Some(roots), Some(tree)) = (self.points.get(&place.seq), &self.tree) {
            let root = tree.root();
            if roots.iter().any(|known| *known != root) {
                self.fault(name, line, Kind::Checkpoint);
            }
        }
    }

    fn end(mut self, directory: &Path, files: &[Named]) -> io::Result<Told> {
        let place = self.track.place();
        let name = files.last().map_or_else(|| self.writer.to_owned(), Named::name);
        let entered = self.known.anchors.keys().next_back().copied().unwrap_or(0);
        let kept = self.points.keys().next_back().copied().unwrap_or(0);
        let most = entered.max(kept);
        if place.seq < most {
            self.faults.push(Fault::of(&name, Kind::Truncated(most - 1)));
        }
        let is_closed = self.last == Last::WriterClosed;
        self.told.unsigned = place.seq.saturating_sub(self.told.signed).min(self.told.records);
        self.told.state = match self.known.end {
            Some(End::Lost(torn)) => {
                let is_removed = self.known.removed() >= self.known.newest;
                if place.seq > entered || (place.seq == entered && self.told.torn != torn && !is_removed) {
                    self.faults.push(Fault::of(&name, Kind::Added));
                }
                // It was killed before the book had its end.
                if is_closed { State::Closed } else { State::Lost }
            }
            Some(End::Closed) => State::Closed,
            None if is_closed => State::Closed,
            // If another file is held than the newest, somebody put that there.
            None if files.iter().rev().any(|named| files::is_held(&named.path(directory))) => State::Running,
            None => State::Left,
        };
        if is_closed && self.told.torn > 0 {
            self.faults.push(Fault::of(&name, Kind::Added));
        }
        if is_closed && self.verify.seed.is_none() && self.told.unsigned > SIGNED_END {
            self.faults.push(Fault::of(&name, Kind::Unsigned));
        }
        Ok(self.told)
    }
}

/// A writer that closes signs; behind that are the checkpoint itself and the last record.
const SIGNED_END: u64 = 2;

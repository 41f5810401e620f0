//! Follows the book of heads, and gathers what it knows of each writer.
//!
//! It takes no lock: a line that is half written is passed over, and what is appended meanwhile is read later ([`Book::more`]).

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;

use serde_json::Value;

use super::faults::{Fault, Faults, Kind};
use crate::audit::files;
use crate::audit::heads::{self, TAMPERED};
use crate::audit::identity;
use crate::audit::line::{Line, LinkKey, Place, read_hash};
use crate::audit::lines::{Lines, Shape};
use crate::audit::merkle::{self, Frontier, Hash};
use crate::audit::pages::{self, Opening};
use crate::audit::track::{Step, Track};

#[derive(Default)]
pub(in crate::audit) struct Book {
    pub(super) is_there: bool,
    /// Which log it is (`identity.rs`). None if nothing says it that can be believed; then something is wrong with the book, or it is empty.
    pub(super) log: Option<String>,
    /// The tree over the lines that are not there: of pages that were removed, or are missing.
    pub(super) base: Frontier,
    /// The leaf of each line behind these.
    pub(super) leaves: Vec<Hash>,
    /// Before how many lines of the whole book each page begins.
    pub(super) pages: Vec<(u64, u32)>,
    pub(in crate::audit) writers: BTreeMap<String, Known>,
    track: Track,
    /// The page that is read; 0 before the first.
    page: u32,
    offset: u64,
    lines: u64,
    /// Pages that are not there, from the first to the last of each gap, and the oldest page that has to be.
    missing: Vec<(u32, u32)>,
    oldest: u32,
}

/// What was entered of a writer.
#[derive(Default)]
pub(in crate::audit) struct Known {
    /// After so many records the link was this.
    pub(in crate::audit) anchors: BTreeMap<u64, Hash>,
    /// The newest file that was entered.
    pub(in crate::audit) newest: u32,
    /// Files that were removed on purpose, and the place after the last record of each.
    pub(in crate::audit) removals: BTreeMap<u32, (u64, Hash)>,
    pub(in crate::audit) end: Option<End>,
}

#[derive(Clone, Copy)]
pub(in crate::audit) enum End {
    Closed,
    /// With so many bytes of an unfinished line.
    Lost(u64),
}

impl Known {
    /// Whether it has ended, and all of its files were removed after their time.
    pub(in crate::audit) fn is_gone(&self) -> bool {
        self.end.is_some() && self.newest > 0 && self.removed() >= self.newest
    }

    /// The newest file that was removed; 0 if there is none.
    pub(super) fn removed(&self) -> u32 {
        self.removals.last_key_value().map_or(0, |(number, _)| *number)
    }

    /// Where the chain of what was not removed begins.
    pub(in crate::audit) fn track(&self) -> Track {
        match self.removals.last_key_value() {
            Some((_, (seq, link))) => Track::at(Place { seq: *seq, link: *link }),
            None => Track::default(),
        }
    }

    /// Whether the writer has ended, and here.
    pub(in crate::audit) fn ends_at(&self, place: Place) -> bool {
        let last = self.anchors.last_key_value();
        self.end.is_some() && last == Some((&place.seq, &place.link))
    }
}

pub(in crate::audit) fn read(
    directory: &Path,
    key: Option<&LinkKey>,
    faults: &mut Faults,
) -> io::Result<Book> {
    let mut book = Book::default();
    book.more(directory, key, faults)?;
    Ok(book)
}

impl Book {
    /// How many lines the book has, with those of pages that are not there.
    pub(super) fn size(&self) -> u64 {
        self.base.size() + self.leaves.len() as u64
    }

    /// The page that the last of so many lines stands on: before how many lines it begins, and its file.
    pub(super) fn page_of(&self, lines: u64) -> (u64, String) {
        let found = self.pages.iter().rev().find(|(before, _)| *before < lines.max(1));
        let (before, page) = found.copied().unwrap_or((self.base.size(), self.page));
        (before, if page == self.page { heads::FILE.to_owned() } else { pages::name(page) })
    }

    /// Reads on to the end.
    pub(super) fn more(
        &mut self,
        directory: &Path,
        key: Option<&LinkKey>,
        faults: &mut Faults,
    ) -> io::Result<()> {
        let file = match files::open(&directory.join(heads::FILE)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                if !std::mem::replace(&mut self.is_there, true) {
                    faults.push(Fault::of(heads::FILE, Kind::NoFile));
                }
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.is_there = true;
        let (current, oldest) = self.numbers(directory, &file, key)?;
        self.oldest = self.oldest.max(oldest);
        if self.page == 0 {
            self.page = oldest;
        }
        // Over what is there, never over what a line says that there is: that may be any number.
        let pages = if self.page < current { pages::all(directory)? } else { Vec::new() };
        for page in pages {
            if page < self.page || page >= current {
                continue;
            }
            self.skip_to(page);
            let name = pages::name(page);
            match files::open(&directory.join(&name)) {
                Ok(file) => self.read(file, &name, key, faults)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.missing.push((page, page)),
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    faults.push(Fault::of(&name, Kind::NoFile));
                }
                Err(error) => return Err(error),
            }
            (self.page, self.offset, self.lines) = (page + 1, 0, 0);
        }
        self.skip_to(current);
        self.read(file, heads::FILE, key, faults)
    }

    /// Passes over pages that are not there.
    fn skip_to(&mut self, page: u32) {
        if self.page < page {
            self.missing.push((self.page, page - 1));
            (self.page, self.offset, self.lines) = (page, 0, 0);
        }
    }

    /// Which page is written, and which is the oldest that has to be there: as the page itself says, if its first record is linked. Else as the
    /// names say that are there, since whoever may write to the directory may put any number into a line; that it was changed, [`Book::read`] says.
    fn numbers(&self, directory: &Path, file: &File, key: Option<&LinkKey>) -> io::Result<(u32, u32)> {
        let opening = Opening::of(file)?;
        if opening.is_linked(file, key)? {
            return Ok((opening.page, opening.oldest));
        }
        let mut pages = pages::all(directory)?;
        pages.retain(|page| {
            !pages::is_same(&directory.join(pages::name(*page)), &directory.join(heads::FILE))
        });
        let current = pages.last().map_or(1, |page| page.saturating_add(1));
        Ok((current.max(self.page), pages.first().copied().unwrap_or(current)))
    }

    /// What can be said only when all is read: pages that are missing, and were not removed after their time; and that are no pages.
    pub(super) fn end(&mut self, directory: &Path, faults: &mut Faults) -> io::Result<()> {
        for (first, last) in self.missing.iter().filter(|(_, last)| *last >= self.oldest) {
            let first = *(first.max(&self.oldest));
            let kind = match first == *last {
                true => Kind::FileMissing,
                false => Kind::FilesMissing(u64::from(first), u64::from(*last)),
            };
            faults.push(Fault::of(&pages::name(first), kind));
        }
        for page in pages::all(directory)? {
            let path = directory.join(pages::name(page));
            // A process that was killed while it turned the page leaves it with two names.
            if page >= self.page && !pages::is_same(&path, &directory.join(heads::FILE)) {
                faults.push(Fault::of(&pages::name(page), Kind::OutOfPlace));
            }
        }
        Ok(())
    }

    /// Reads on in a page.
    fn read(&mut self, file: File, name: &str, key: Option<&LinkKey>, faults: &mut Faults) -> io::Result<()> {
        let mut lines = Lines::from(file, self.offset, self.lines)?;
        while let Some(text) = lines.next()? {
            let mut fault =
                |kind| faults.push(Fault { file: name.to_owned(), line: Some(text.number), kind });
            if text.shape == Shape::Unfinished {
                // A process that was killed while it appended, or is at it: it has confirmed nothing.
                break;
            }
            (self.offset, self.lines) = (text.end, text.number);
            let Some(line) = Line::read(text.bytes) else {
                fault(Kind::Unreadable);
                continue;
            };
            if text.number == 1 && !self.begin(&line) {
                fault(Kind::Opening);
            }
            let leaf = merkle::leaf(line.body);
            let step = self.track.step(key, &line, &leaf);
            if let Some(kind) = super::fault(step) {
                fault(kind);
            }
            if step == Step::OutOfPlace {
                continue;
            }
            if self.size() == 0 && step == Step::Next {
                self.log = Some(identity::of_first(&leaf));
            }
            self.leaves.push(leaf);
            if line.event == TAMPERED.as_bytes() {
                fault(Kind::Noticed);
            }
            // What is not as it was written says nothing of anybody.
            if line.event.starts_with(b"audit_") && step == Step::Next {
                match line.members() {
                    Some(members) => {
                        enter(&mut self.writers, line.event, &members);
                        let removed = pages::removed_page(&line, &members).unwrap_or(0);
                        self.oldest = self.oldest.max(removed.saturating_add(1));
                    }
                    None => fault(Kind::Unreadable),
                }
            }
        }
        Ok(())
    }

    /// Begins a page with its first record: whether that is the one that it begins with.
    fn begin(&mut self, line: &Line<'_>) -> bool {
        let first = Opening::first();
        let opening = Opening::read(line);
        let is_right = opening.as_ref().map_or(first.page, |opening| opening.page) == self.page;
        let opening = opening.unwrap_or(first);
        // Behind a page that is not there the chain goes on from what the record says, which is linked to it.
        let is_gap = self.pages.last().is_none_or(|(_, page)| page.saturating_add(1) != self.page);
        if is_gap && is_right {
            self.track = Track::at(opening.place);
            (self.base, self.leaves) = (opening.tree.clone(), Vec::new());
        }
        let is_one = opening.log.is_none() || self.log.is_none() || opening.log == self.log;
        if opening.log.is_some() && is_right {
            self.log = opening.log;
        }
        let follows = is_gap || (opening.place == self.track.place() && opening.tree.size() == self.size());
        self.pages.push((self.size(), self.page));
        is_right && is_one && follows
    }
}

/// Takes up what a line of the book says of a writer.
pub(in crate::audit) fn enter(writers: &mut BTreeMap<String, Known>, event: &[u8], members: &Value) {
    let Some(writer) = members["writer"].as_str() else { return };
    let number = members["file"].as_u64().and_then(|number| u32::try_from(number).ok());
    let last = members["last"].as_str().and_then(read_hash);
    let (Some(number), Some(size), Some(last)) = (number, members["size"].as_u64(), last) else { return };
    let known = writers.entry(writer.to_owned()).or_default();
    known.newest = known.newest.max(number);
    known.anchors.insert(size, last);
    match event {
        b"audit_file_removed" => drop(known.removals.insert(number, (size, last))),
        b"audit_writer_closed" => known.end = Some(End::Closed),
        b"audit_writer_lost" if !matches!(known.end, Some(End::Closed)) => {
            known.end = Some(End::Lost(members["torn"].as_u64().unwrap_or(0)));
        }
        b"audit_writer_carried" => {
            let removed = members["removed"].as_u64().and_then(|number| u32::try_from(number).ok());
            let (size, last) =
                (members["removed_size"].as_u64(), members["removed_last"].as_str().and_then(read_hash));
            if let (Some(removed), Some(size), Some(last)) = (removed, size, last) {
                known.removals.insert(removed, (size, last));
            }
            match members["end"].as_str() {
                Some("closed") => known.end = Some(End::Closed),
                Some("lost") => known.end = Some(End::Lost(members["torn"].as_u64().unwrap_or(0))),
                _ => {}
            }
        }
        _ => {}
    }
}

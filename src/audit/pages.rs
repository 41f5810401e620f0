//! The pages of the book of heads: when one is full, the next takes up its chain.
//!
//! ```text
//! heads-000001.jsonl   heads-000002.jsonl   …   heads.jsonl (the page that is written)
//! ```
//!
//! 1. Each page but the first begins with a record, `audit_book_opened`: which log it is of, its number, the link before it, the trees that it goes on with, and the oldest page
//!    that has to be there. So who opens a log reads one page, and can tell that it is no other.
//! 2. Behind that stands what is known of each writer (`audit_writer_carried`): its newest file, how far it had come, how it ended, and what of
//!    it was removed. A writer that has ended, and all of whose files were removed after their time, is not carried on: the book does not grow
//!    with the number of processes that ever were.
//! 3. The page that was full gets its number as a second name; then the new one, complete and durable, takes its place in one step. A process
//!    that is killed between leaves one file with two names, which the next who turns the page undoes.
//! 4. Old pages stay, and verification follows them all: one that is missing, or was changed, is named. With the files whose time is over
//!    ([`super::Setup::keep`]) goes a page all of whose lines are as old; that is entered.
//!
//! # What can break it
//! A file system without hard links: there the book has one page, which grows.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use serde_json::Value;

use super::files;
use super::heads;
use super::identity;
use super::line::{Line, LinkKey, Place, read_hash, write_hash};
use super::lines::{Lines, Shape};
use super::merkle::{self, Frontier};
use super::note::Signer;
use super::track::{Step, Track};
use super::verify::{End, Known, enter};
use crate::json;

/// The event of the record that a page begins with.
pub(super) const OPENED: &str = "audit_book_opened";
/// The event of a record that tells what was known of a writer.
pub(super) const CARRIED: &str = "audit_writer_carried";
/// The event of a record that tells that a page was removed after its time.
pub(super) const REMOVED: &str = "audit_book_removed";

/// The name of a page that is full.
pub(super) fn name(page: u32) -> String {
    format!("heads-{page:06}.jsonl")
}

/// The number of a page, by its file's name.
pub(super) fn read_name(file: &str) -> Option<u32> {
    let page = file.strip_prefix("heads-")?.strip_suffix(".jsonl")?.parse().ok()?;
    (page > 0 && name(page) == file).then_some(page)
}

/// The pages of a directory that have numbers, in order.
pub(super) fn all(directory: &Path) -> io::Result<Vec<u32>> {
    let mut pages = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        pages.extend(entry?.file_name().to_str().and_then(read_name));
    }
    pages.sort_unstable();
    Ok(pages)
}

/// What the first record of a page says.
#[derive(Debug, Clone)]
pub(super) struct Opening {
    /// Which log this is (`identity.rs`). The first page does not say it, but by its first record.
    pub(super) log: Option<String>,
    pub(super) page: u32,
    /// The oldest page that has to be there.
    pub(super) oldest: u32,
    /// Where the chain was.
    pub(super) place: Place,
    pub(super) tree: Frontier,
}

impl Opening {
    /// Of the first page, which has no such record.
    pub(super) fn first() -> Self {
        Self { log: None, page: 1, oldest: 1, place: Place::default(), tree: Frontier::default() }
    }

    /// Reads the record; None if it is none. Whether it is linked is another question.
    pub(super) fn read(line: &Line<'_>) -> Option<Self> {
        if line.event != OPENED.as_bytes() {
            return None;
        }
        let members = line.members()?;
        let whole = |name: &str| members[name].as_u64().and_then(|number| u32::try_from(number).ok());
        Some(Self {
            log: members["id"].as_str().filter(|id| identity::is_one(id)).map(str::to_owned),
            page: whole("book").filter(|page| *page > 1)?,
            oldest: whole("oldest").filter(|page| *page > 0)?,
            place: Place { seq: line.seq, link: read_hash(members["before"].as_str()?)? },
            tree: line.subtrees(&members)?,
        })
    }

    /// Of a page. What begins with no such record is taken for the first.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let mut lines = Lines::from(file.try_clone()?, 0, 0)?;
        let text = lines.next()?.filter(|text| text.shape == Shape::Whole);
        let opening = text.and_then(|text| Self::read(&Line::read(text.bytes)?));
        Ok(opening.unwrap_or_else(Self::first))
    }

    /// Whether the first record of its page is linked to the place that it says: then its numbers are ours. Without the key that cannot be said, and
    /// is taken for so; of a page that begins with no record there is nothing to say.
    pub(super) fn is_linked(&self, file: &File, key: Option<&LinkKey>) -> io::Result<bool> {
        let mut lines = Lines::from(file.try_clone()?, 0, 0)?;
        let text = lines.next()?.filter(|text| text.shape == Shape::Whole);
        Ok(text.and_then(|text| Line::read(text.bytes)).is_none_or(|line| {
            Track::at(self.place).step(key, &line, &merkle::leaf(line.body)) == Step::Next
        }))
    }
}

/// Whether the book of a directory is of this key: another's would take all of it for tampering. So is none, and one that begins with no record.
///
/// # Errors
/// If it cannot be read.
pub fn is_of(directory: &Path, signer: &Signer) -> io::Result<bool> {
    let file = match files::open(&directory.join(heads::FILE)) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => {
            return Ok(true);
        }
        Err(error) => return Err(error),
    };
    let opening = Opening::of(&file)?;
    let key = LinkKey::derive(signer.seed(), heads::WRITER).map_err(io::Error::other)?;
    opening.is_linked(&file, Some(&key))
}

/// A page that is to take the place of the one that is full.
pub(super) struct Next {
    pub(super) lines: Vec<u8>,
    pub(super) page: u32,
    pub(super) track: Track,
    pub(super) tree: Frontier,
    /// Where the last line begins, and how many there are.
    pub(super) last: u64,
    pub(super) count: u64,
}

impl Next {
    /// The page that follows on the one in `file`, whose chain has come to `place`.
    pub(super) fn after(
        file: &File,
        key: &LinkKey,
        place: Place,
        tree: &Frontier,
        log: &str,
        now: crate::time::UnixTime,
    ) -> io::Result<Self> {
        let opening = Opening::of(file)?;
        let page = opening.page.saturating_add(1);
        let (known, removed) = gather(file, key, &opening)?;
        let oldest = opening.oldest.max(removed.saturating_add(1));
        let mut next =
            Self { lines: Vec::new(), page, track: Track::at(place), tree: tree.clone(), last: 0, count: 0 };
        let mut members =
            format!(",\"id\":\"{log}\",\"book\":{page},\"oldest\":{oldest},\"before\":\"").into_bytes();
        write_hash(&mut members, &place.link);
        members.extend_from_slice(b"\",\"subtrees\":[");
        for (i, root) in tree.roots().iter().enumerate() {
            members.extend_from_slice(if i == 0 { b"\"" } else { b",\"" });
            write_hash(&mut members, root);
            members.push(b'"');
        }
        members.push(b']');
        next.add(key, now, OPENED, &members);
        for (writer, known) in known.iter().filter(|(_, known)| !known.is_gone()) {
            if let Some(members) = carried(writer, known) {
                next.add(key, now, CARRIED, &members);
            }
        }
        Ok(next)
    }

    fn add(&mut self, key: &LinkKey, now: crate::time::UnixTime, event: &str, members: &[u8]) {
        self.last = self.lines.len() as u64;
        let mut place = self.track.place();
        let leaf = place.seal(key, &mut self.lines, now, event, members);
        self.track = Track::at(place);
        self.tree.push(leaf);
        self.count += 1;
    }

    /// Puts it in the place of the page at `path`, whose lock is held, and which gets its number for a name.
    pub(super) fn take_place(&self, path: &Path, full: u32) -> io::Result<()> {
        let directory = path.parent().unwrap_or(Path::new("."));
        let new = directory.join(format!(".new-{}-{}", "0".repeat(32), self.page));
        let old = directory.join(name(full));
        gone(std::fs::remove_file(&new))?;
        if is_same(&old, path) {
            // A process that was killed here.
            gone(std::fs::remove_file(&old))?;
        } else if old.symlink_metadata().is_ok() {
            // Another page, or what somebody put there: nothing of the past is removed to make room.
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let put = || -> io::Result<()> {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
            file.write_all(&self.lines)?;
            file.sync_all()?;
            std::fs::hard_link(path, &old)?;
            std::fs::rename(&new, path)
        };
        if let Err(error) = put() {
            let _ = std::fs::remove_file(&new);
            if is_same(&old, path) {
                let _ = std::fs::remove_file(&old);
            }
            return Err(error);
        }
        files::sync_directory(directory)
    }
}

/// What a page says of each writer, and the newest page that it says was removed; 0 if it says of none.
fn gather(file: &File, key: &LinkKey, opening: &Opening) -> io::Result<(BTreeMap<String, Known>, u32)> {
    let (mut writers, mut removed) = (BTreeMap::new(), 0);
    let mut track = Track::at(opening.place);
    let mut lines = Lines::from(file.try_clone()?, 0, 0)?;
    while let Some(text) = lines.next()? {
        let Some(line) = Line::read(text.bytes).filter(|_| text.shape == Shape::Whole) else { continue };
        if track.step(Some(key), &line, &merkle::leaf(line.body)) != Step::Next {
            continue;
        }
        if let Some(members) = line.members() {
            enter(&mut writers, line.event, &members);
            removed = removed.max(removed_page(&line, &members).unwrap_or(0));
        }
    }
    Ok((writers, removed))
}

/// Which page a record says was removed.
pub(super) fn removed_page(line: &Line<'_>, members: &Value) -> Option<u32> {
    let page = members["book"].as_u64().and_then(|page| u32::try_from(page).ok());
    page.filter(|_| line.event == REMOVED.as_bytes())
}

fn carried(writer: &str, known: &Known) -> Option<Vec<u8>> {
    let (size, link) = known.anchors.last_key_value()?;
    let mut members = b",\"writer\":".to_vec();
    json::string(&mut members, writer, 64);
    members.extend_from_slice(format!(",\"file\":{},\"size\":{size},\"last\":\"", known.newest).as_bytes());
    write_hash(&mut members, link);
    members.push(b'"');
    match known.end {
        None => {}
        Some(End::Closed) => members.extend_from_slice(b",\"end\":\"closed\""),
        Some(End::Lost(torn)) => {
            members.extend_from_slice(format!(",\"end\":\"lost\",\"torn\":{torn}").as_bytes());
        }
    }
    if let Some((file, (size, link))) = known.removals.last_key_value() {
        members.extend_from_slice(
            format!(",\"removed\":{file},\"removed_size\":{size},\"removed_last\":\"").as_bytes(),
        );
        write_hash(&mut members, link);
        members.push(b'"');
    }
    Some(members)
}

/// Removes the pages all of whose lines are older than `oldest`, the oldest first, and has each entered before.
pub(super) fn remove(
    directory: &Path,
    key: &LinkKey,
    oldest: &[u8],
    enter: &mut impl FnMut(&str, &[u8]) -> io::Result<()>,
) -> io::Result<Vec<String>> {
    let mut removed = Vec::new();
    let pages = all(directory)?;
    if pages.is_empty() {
        return Ok(removed);
    }
    let current = Opening::of(&files::open(&directory.join(heads::FILE))?)?;
    let mut pages = pages.into_iter().filter(|page| *page < current.page).peekable();
    while let Some(page) = pages.next() {
        let path = directory.join(name(page));
        let next = match pages.peek() {
            Some(next) => Opening::of(&files::open(&directory.join(name(*next)))?)?,
            None => current.clone(),
        };
        // One that was entered as removed and is still there, of a process that was killed between, goes without more.
        if page >= current.oldest {
            match is_over(&path, key, page, &next, oldest) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => break,
                Err(error) => return Err(error),
            }
            enter(REMOVED, format!(",\"book\":{page},\"size\":{}", next.place.seq).as_bytes())?;
        }
        gone(std::fs::remove_file(&path))?;
        removed.push(name(page));
    }
    Ok(removed)
}

/// Whether a page is, link by link, that which the next goes on with, and all of it is old.
fn is_over(path: &Path, key: &LinkKey, page: u32, next: &Opening, oldest: &[u8]) -> io::Result<bool> {
    let file = files::open(path)?;
    let opening = Opening::of(&file)?;
    if opening.page != page || next.page != page.saturating_add(1) {
        return Ok(false);
    }
    let mut track = Track::at(opening.place);
    let mut lines = Lines::from(file, 0, 0)?;
    while let Some(text) = lines.next()? {
        let Some(line) = Line::read(text.bytes).filter(|_| text.shape == Shape::Whole) else {
            return Ok(false);
        };
        let step = track.step(Some(key), &line, &merkle::leaf(line.body));
        if step != Step::Next || line.time >= oldest {
            return Ok(false);
        }
    }
    Ok(track.place() == next.place)
}

/// Whether two names are of one file.
pub(super) fn is_same(one: &Path, other: &Path) -> bool {
    let about = |path: &Path| std::fs::symlink_metadata(path).ok().map(|about| (about.dev(), about.ino()));
    about(one).is_some() && about(one) == about(other)
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        told => told,
    }
}

#[cfg(test)]
#[path = "pages_tests.rs"]
mod tests;

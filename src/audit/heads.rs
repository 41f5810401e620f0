//! The book of heads: which writers there are, and how far each had come when it last signed.
//!
//! Each writer has files of its own, so nobody waits for another to append a record. What holds them together is this one file, which all
//! writers of the directory append a line to, under a lock, when they begin, sign, change files and end. So a file, or the end of
//! one, that disappears is missed here.
//!
//! A line is a record (`line.rs`) of the writer `heads`. Whoever appends first reads on from where it last was: lines that do not follow
//! from those that it knows are tampering, which it enters. Over the lines stands a Merkle tree, as over a writer's records; its root is in each
//! signed checkpoint, so a book that was cut back stays one that was, however much is appended to it later.
//!
//! An unfinished last line, of a process that was killed, is cut off by the next one who appends; it was never confirmed to anybody.
//!
//! # What can break it
//! - A file system whose `flock` does not exclude (some network file systems).
//! - Somebody who holds the lock and does not let go: after 2 s the append fails with `TimedOut`, and is tried again by the next `tend`.
//! - A line of over 1 MiB: it is no record, and nobody looks for one behind it. The log can be opened in another directory only.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::files;
use super::identity;
use super::line::{Line, LinkKey, write_hash};
use super::lines::{Lines, Shape};
use super::merkle::{self, Frontier, Hash};
use super::pages::{self, Next, Opening};
use super::track::{Step, Track};
use crate::json;
use crate::time::UnixTime;

pub(super) const FILE: &str = "heads.jsonl";
/// The writer whose key links the lines.
pub(super) const WRITER: &str = "heads";
/// The event of a record that tells that somebody changed what was written.
pub(super) const TAMPERED: &str = "audit_tampered";

/// The book of a directory.
pub(super) struct Heads {
    path: PathBuf,
    key: LinkKey,
    /// A page is full when it has so many bytes.
    max_page: u64,
    patience: Duration,
}

/// How far a process has read the book.
#[derive(Clone, Default)]
pub(super) struct Seen {
    /// Which log it is (`identity.rs`); None while it has no line.
    log: Option<String>,
    /// The page that was read last; 0 if none was.
    page: u32,
    /// This page is not turned before it has so many bytes: much of it would have to be carried on.
    turn_at: u64,
    track: Track,
    tree: Frontier,
    /// Where the last line begins, and where the next will.
    last: u64,
    offset: u64,
    lines: u64,
    /// Whether there is tampering that nobody has entered yet.
    is_wrong: bool,
    /// The time of the newest line that was read or written: what is newer comes from others, and since.
    newest: Vec<u8>,
    /// Whether others have entered since that somebody changed the book.
    is_told: bool,
}

impl Seen {
    /// At the beginning of a page.
    fn at(opening: &Opening) -> Self {
        Self {
            log: opening.log.clone(),
            page: opening.page,
            track: Track::at(opening.place),
            tree: opening.tree.clone(),
            ..Self::default()
        }
    }

    /// What a writer tells of the book, so that it cannot be cut back unseen: how many lines it has, and their root.
    pub(super) fn members(&self) -> Vec<u8> {
        let mut members = format!(",\"heads\":{},\"heads_root\":\"", self.tree.size()).into_bytes();
        write_hash(&mut members, &self.tree.root());
        members.push(b'"');
        members
    }

    pub(super) fn tree(&self) -> &Frontier {
        &self.tree
    }

    /// Which log it is; None while it has no line.
    pub(super) fn log(&self) -> Option<&str> {
        self.log.as_deref()
    }

    /// At the beginning of a page, without a trace of what was there before.
    fn astray(&mut self, opening: &Opening) {
        let newest = std::mem::take(&mut self.newest);
        *self = Self { is_wrong: true, newest, ..Self::at(opening) };
    }

    fn push(&mut self, leaf: Hash) {
        if self.log.is_none() && self.tree.size() == 0 {
            self.log = Some(identity::of_first(&leaf));
        }
        self.tree.push(leaf);
    }

    /// Takes a line. `before` is the newest that was known before this reading.
    fn take(&mut self, line: &Line<'_>, leaf: Hash, end: u64, step: Step, before: &[u8]) {
        // A line from before, which is read once more, tells of another change than that which has it read again.
        let is_news = step == Step::Next && line.event == TAMPERED.as_bytes() && line.time > before;
        if is_news && is_of_book(line) {
            (self.is_wrong, self.is_told) = (false, true);
        } else if step != Step::Next {
            self.is_wrong = true;
        }
        if step == Step::Next && line.time > self.newest.as_slice() {
            self.newest = line.time.to_vec();
        }
        if step != Step::OutOfPlace {
            self.push(leaf);
        }
        (self.last, self.offset) = (self.offset, end);
    }
}

/// The book, with its lock held and read to its end.
pub(super) struct Locked<'a> {
    heads: &'a Heads,
    file: File,
    seen: &'a mut Seen,
    now: UnixTime,
    was_cut: bool,
    /// Whether nobody has entered that yet.
    is_news: bool,
    is_torn: bool,
    /// What is to be written, and how the book is then.
    lines: Vec<u8>,
    after: Seen,
}

impl Heads {
    pub(super) fn new(directory: &Path, key: LinkKey, max_page: u64) -> Self {
        Self { path: directory.join(FILE), key, max_page, patience: PATIENCE }
    }

    pub(super) fn key(&self) -> &LinkKey {
        &self.key
    }

    /// Appends a line, and makes it durable. Lines that were there before and are not any more, or that were changed, are told.
    pub(super) fn append(
        &self,
        seen: &mut Seen,
        now: UnixTime,
        event: &str,
        members: &[u8],
    ) -> io::Result<Appended> {
        let mut locked = self.lock(seen, now, &mut |_| {})?;
        locked.add(event, members);
        locked.write()
    }

    /// Locks the book, reads on to its end, and shows each line that is new.
    pub(super) fn lock<'a>(
        &'a self,
        seen: &'a mut Seen,
        now: UnixTime,
        show: &mut dyn FnMut(&Line<'_>),
    ) -> io::Result<Locked<'a>> {
        let begun = Instant::now();
        let file = loop {
            let file = files::open_book(&self.path)?;
            self.wait_for(&file, begun)?;
            // While this one waited, the page may have been turned.
            let (held, named) = (file.metadata()?, std::fs::symlink_metadata(&self.path)?);
            if (held.dev(), held.ino()) == (named.dev(), named.ino()) {
                break file;
            }
        };
        let after = Seen::default();
        let mut locked = Locked {
            heads: self,
            file,
            seen,
            now,
            was_cut: false,
            is_news: false,
            is_torn: false,
            lines: Vec::new(),
            after,
        };
        locked.read_on(show)?;
        Ok(locked)
    }

    fn wait_for(&self, file: &File, begun: Instant) -> io::Result<()> {
        while let Err(error) = file.try_lock() {
            match error {
                TryLockError::WouldBlock if begun.elapsed() < self.patience => {
                    std::thread::sleep(Duration::from_micros(500));
                }
                TryLockError::WouldBlock => {
                    let told = "somebody holds the lock of the audit log's book of heads (heads.jsonl)";
                    return Err(io::Error::new(io::ErrorKind::TimedOut, told));
                }
                TryLockError::Error(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Locked<'_> {
    fn read_on(&mut self, show: &mut dyn FnMut(&Line<'_>)) -> io::Result<()> {
        let expected = self.seen.tree.size();
        let before = self.seen.newest.clone();
        self.seen.is_told = false;
        let opening = Opening::of(&self.file)?;
        if !self.turn_to(&opening, &before)? {
            self.seen.astray(&opening);
            self.was_cut = true;
        }
        let file = self.file.try_clone()?;
        let torn = self.read_page(file, &before, show)?;
        self.after = self.seen.clone();
        self.is_torn = torn > 0;
        if self.was_cut || self.seen.is_wrong {
            self.was_cut = true;
            self.is_news = self.seen.is_wrong || !self.seen.is_told;
            let told =
                format!(",\"of\":\"heads\",\"records\":{},\"expected\":{expected}", self.seen.tree.size());
            self.add(TAMPERED, told.as_bytes());
        }
        if torn > 0 {
            self.add("audit_torn_line_cut", format!(",\"bytes\":{torn}").as_bytes());
        }
        Ok(())
    }

    /// Comes to the page that is written now, by way of those that were turned since. False if they are not as they were seen.
    fn turn_to(&mut self, opening: &Opening, before: &[u8]) -> io::Result<bool> {
        if self.seen.page == 0 {
            *self.seen = Seen::at(opening);
            return Ok(true);
        }
        while self.seen.page < opening.page {
            let path = self.heads.path.with_file_name(pages::name(self.seen.page));
            let mut page = match files::open(&path) {
                Ok(page) => page,
                // Removed after its time, or by somebody: verification says which.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    *self.seen = Seen::at(opening);
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Ok(false),
                Err(error) => return Err(error),
            };
            if !self.is_as_seen(&mut page)? {
                return Ok(false);
            }
            self.read_page(page, before, &mut |_| {})?;
            self.seen.page += 1;
            (self.seen.last, self.seen.offset, self.seen.lines, self.seen.turn_at) = (0, 0, 0, 0);
        }
        let mut page = self.file.try_clone()?;
        Ok(self.seen.page == opening.page && self.is_as_seen(&mut page)?)
    }

    /// Reads on in a page, and gives the bytes of its unfinished last line.
    fn read_page(&mut self, file: File, before: &[u8], show: &mut dyn FnMut(&Line<'_>)) -> io::Result<usize> {
        let mut lines = Lines::from(file, self.seen.offset, self.seen.lines)?;
        let mut torn = 0;
        while let Some(text) = lines.next()? {
            match text.shape {
                Shape::Whole => {}
                Shape::Unfinished => {
                    torn = text.bytes.len();
                    break;
                }
                Shape::TooLong => {
                    let told = "the book of heads holds a line of over 1 MiB, which no audit log wrote";
                    return Err(io::Error::new(io::ErrorKind::InvalidData, told));
                }
            }
            self.seen.lines = text.number;
            let Some(line) = Line::read(text.bytes) else {
                self.seen.is_wrong = true;
                self.seen.offset = text.end;
                continue;
            };
            let leaf = merkle::leaf(line.body);
            let step = self.seen.track.step(Some(&self.heads.key), &line, &leaf);
            self.seen.take(&line, leaf, text.end, step, before);
            if step == Step::Next {
                show(&line);
            }
        }
        Ok(torn)
    }

    /// Whether the last line that was seen still stands where it was.
    fn is_as_seen(&self, file: &mut File) -> io::Result<bool> {
        if self.seen.lines == 0 || self.seen.tree.size() == 0 {
            return Ok(file.metadata()?.len() >= self.seen.offset);
        }
        file.seek(SeekFrom::Start(self.seen.last))?;
        let mut bytes = Vec::new();
        Read::take(&mut *file, self.seen.offset - self.seen.last).read_to_end(&mut bytes)?;
        let line = bytes.strip_suffix(b"\n").and_then(Line::read);
        Ok(line.is_some_and(|line| line.link == self.seen.track.place().link))
    }

    /// Adds a line, which [`Locked::write`] writes.
    pub(super) fn add(&mut self, event: &str, members: &[u8]) {
        let mut place = self.after.track.place();
        let start = self.lines.len() as u64;
        let leaf = place.seal(&self.heads.key, &mut self.lines, self.now, event, members);
        let after = &mut self.after;
        after.track = Track::at(place);
        after.push(leaf);
        let mut time = Vec::with_capacity(32);
        json::time(&mut time, self.now);
        after.newest = time.max(std::mem::take(&mut after.newest));
        after.last = self.seen.offset + start;
        after.offset = self.seen.offset + self.lines.len() as u64;
        after.lines += 1;
        after.is_wrong = false;
    }

    /// Writes what was added in one piece, lets go of the lock, and makes it durable: others do not wait for the disk.
    pub(super) fn write(mut self) -> io::Result<Appended> {
        let lines = std::mem::take(&mut self.lines);
        if self.is_torn {
            self.file.set_len(self.seen.offset)?;
        }
        if let Err(error) = self.file.write_all(&lines) {
            // What a full disk took of it is no line. If it cannot be cut off here, the next one who appends does.
            let _ = self.file.set_len(self.seen.offset);
            return Err(error);
        }
        *self.seen = std::mem::take(&mut self.after);
        // One that cannot be turned now is, later.
        let _ = self.turn();
        // A child that was forked off meanwhile has this descriptor too: closing it would not be enough.
        self.file.unlock()?;
        self.file.sync_data()?;
        Ok(Appended { was_cut: self.was_cut, is_news: self.is_news })
    }
}

impl Locked<'_> {
    /// Goes on in the next page, if this one is full.
    fn turn(&mut self) -> io::Result<()> {
        if self.seen.offset < self.heads.max_page.max(self.seen.turn_at) {
            return Ok(());
        }
        let seen = &mut *self.seen;
        let log = seen.log.clone().unwrap_or_default();
        let next = Next::after(&self.file, &self.heads.key, seen.track.place(), &seen.tree, &log, self.now)?;
        let length = next.lines.len() as u64;
        seen.turn_at = seen.offset + self.heads.max_page / 8;
        if length.saturating_mul(4) > seen.offset {
            seen.turn_at = length.saturating_mul(4);
            return Ok(());
        }
        // What stands in the page that is full is to be durable before it is the last of it.
        self.file.sync_data()?;
        next.take_place(&self.heads.path, seen.page)?;
        *seen = Seen {
            log: seen.log.take(),
            page: next.page,
            turn_at: 0,
            track: next.track,
            tree: next.tree,
            last: next.last,
            offset: length,
            lines: next.count,
            is_wrong: false,
            newest: std::mem::take(&mut seen.newest),
            is_told: false,
        };
        Ok(())
    }
}

/// Whether a line that tells of tampering tells of that of the book.
fn is_of_book(line: &Line<'_>) -> bool {
    line.members().is_some_and(|members| members["of"] == WRITER)
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// What was noticed while a line was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Appended {
    /// Somebody changed the book, or cut it back.
    pub(super) was_cut: bool,
    /// This is the first process that noticed it.
    pub(super) is_news: bool,
}

const PATIENCE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::audit::line::Place;
    use crate::audit::testing::Folder;

    fn heads(folder: &Folder) -> Heads {
        Heads::new(folder.path(), LinkKey::derive(&[1; 32], WRITER).unwrap(), u64::MAX)
    }

    fn lines(folder: &Folder) -> Vec<String> {
        let text = std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert!(text.ends_with('\n'));
        text.lines().map(str::to_owned).collect()
    }

    fn is_linked(lines: &[String]) -> bool {
        let key = LinkKey::derive(&[1; 32], WRITER).unwrap();
        let mut place = Place::default();
        lines.iter().all(|text| {
            let line = Line::read(text.as_bytes()).unwrap();
            let fits = line.seq == place.seq && key.link(&place.link, &merkle::leaf(line.body)) == line.link;
            place = Place { seq: line.seq + 1, link: line.link };
            fits
        })
    }

    #[test]
    fn many_writers_make_one_chain() {
        let folder = Folder::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let (heads, mut seen) = (heads(&folder), Seen::default());
                    for _ in 0..25 {
                        let told = heads.append(&mut seen, UnixTime(0.0), "audit_checkpoint", b"").unwrap();
                        assert!(!told.was_cut);
                    }
                });
            }
        });
        let lines = lines(&folder);
        assert_eq!(lines.len(), 100);
        assert!(is_linked(&lines));
    }

    #[test]
    fn a_line_that_a_killed_process_left_unfinished_is_cut_off_and_told() {
        let folder = Folder::new();
        let (heads, mut seen) = (heads(&folder), Seen::default());
        heads.append(&mut seen, UnixTime(0.0), "one", b"").unwrap();
        let whole = std::fs::read(folder.path().join(FILE)).unwrap();
        for cut in [1, 20, whole.len() - 1] {
            std::fs::write(folder.path().join(FILE), [&whole[..], &whole[..cut]].concat()).unwrap();
            heads.append(&mut seen.clone(), UnixTime(0.0), "two", b"").unwrap();
            let lines = lines(&folder);
            assert_eq!(lines.len(), 3);
            assert!(lines[1].contains(&format!("audit_torn_line_cut\",\"bytes\":{cut},")), "{}", lines[1]);
            assert!(is_linked(&lines));
        }
    }

    #[test]
    fn a_book_that_was_cut_back_or_removed_is_noticed_by_the_next_who_appends() {
        let folder = Folder::new();
        let (heads, mut seen) = (heads(&folder), Seen::default());
        heads.append(&mut seen, UnixTime(0.0), "one", b"").unwrap();
        let one = std::fs::read(folder.path().join(FILE)).unwrap();
        heads.append(&mut seen, UnixTime(0.0), "two", b"").unwrap();
        for book in [one, Vec::new()] {
            std::fs::write(folder.path().join(FILE), book).unwrap();
            let told = heads.append(&mut seen.clone(), UnixTime(0.0), "three", b"").unwrap();
            assert!(told.was_cut);
            assert!(lines(&folder).iter().any(|line| line.contains(TAMPERED)));
        }
    }

    #[test]
    fn a_book_that_was_cut_back_and_has_grown_again_is_noticed() {
        let folder = Folder::new();
        let (heads, mut seen) = (heads(&folder), Seen::default());
        heads.append(&mut seen, UnixTime(0.0), "one", b"").unwrap();
        let one = std::fs::read(folder.path().join(FILE)).unwrap();
        for event in ["two", "six"] {
            heads.append(&mut seen, UnixTime(0.0), event, b"").unwrap();
        }
        // Others have appended since, to the very length, who know no better.
        std::fs::write(folder.path().join(FILE), one).unwrap();
        let mut other = Seen::default();
        for event in ["ten", "any", "end"] {
            assert!(!heads.append(&mut other, UnixTime(0.0), event, b"").unwrap().was_cut);
        }
        assert!(heads.append(&mut seen.clone(), UnixTime(0.0), "now", b"").unwrap().was_cut);
        // Who comes after it finds it entered.
        assert!(!heads.append(&mut Seen::default(), UnixTime(0.0), "new", b"").unwrap().was_cut);
    }

    #[test]
    fn a_line_that_is_none_is_entered_once_and_gone_on_after() {
        let folder = Folder::new();
        let (heads, mut seen) = (heads(&folder), Seen::default());
        heads.append(&mut seen, UnixTime(0.0), "one", b"").unwrap();
        let mut book = File::options().append(true).open(folder.path().join(FILE)).unwrap();
        book.write_all(b"x\n").unwrap();
        assert!(heads.append(&mut seen, UnixTime(0.0), "two", b"").unwrap().was_cut);
        for mut seen in [seen, Seen::default()] {
            assert!(!heads.append(&mut seen, UnixTime(0.0), "three", b"").unwrap().was_cut);
        }
        let mut lines = lines(&folder);
        assert_eq!(lines.remove(1), "x");
        assert!(is_linked(&lines));
        assert_eq!(lines.iter().filter(|line| line.contains(TAMPERED)).count(), 1);
    }

    #[test]
    fn who_does_not_let_go_of_the_lock_does_not_hold_up_for_ever() {
        let folder = Folder::new();
        let (mut heads, mut seen) = (heads(&folder), Seen::default());
        heads.patience = Duration::from_millis(5);
        heads.append(&mut seen, UnixTime(0.0), "one", b"").unwrap();
        let reader = File::open(folder.path().join(FILE)).unwrap();
        reader.lock_shared().unwrap();
        let told = heads.append(&mut seen, UnixTime(0.0), "two", b"").unwrap_err();
        assert_eq!(told.kind(), io::ErrorKind::TimedOut);
        drop(reader);
        heads.append(&mut seen, UnixTime(0.0), "two", b"").unwrap();
        assert!(is_linked(&lines(&folder)));
    }

    #[test]
    fn a_line_without_end_is_refused_and_does_not_fill_the_memory() {
        let folder = Folder::new();
        let (heads, mut seen) = (heads(&folder), Seen::default());
        heads.append(&mut seen, UnixTime(0.0), "one", b"").unwrap();
        File::options().append(true).open(folder.path().join(FILE)).unwrap().set_len(1 << 40).unwrap();
        let told = heads.append(&mut seen, UnixTime(0.0), "two", b"").unwrap_err();
        assert_eq!(told.kind(), io::ErrorKind::InvalidData);
    }
}

//! Removes files whose time is over, and enters that, so that they are not missed.
//!
//! How old a file is its last record says, not the file system, whose times anybody who may write to the directory sets. So a file is removed only if
//! all of it follows, link by link, from what was removed before; what was changed stays, for whoever looks into it.
//!
//! Only files that are closed: those of writers whose end is in the book of heads, up to that end, and of others all but the newest. The line in the book comes
//! first: a process that is killed between has entered a file that is still there, which the next removes. A writer's files go from the
//! oldest on, so that what is left is one piece. Who removes a file holds its lock, so of two at once one does it.
//!
//! # What can break it
//! A clock that is set forward by years, when the log is opened, ends the time of every file. It is the system's, whose setting is root's.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::files::{self, Named};
use super::heads::Heads;
use super::line::{Line, LinkKey, Place, write_hash};
use super::lines::{Lines, Shape, last_line};
use super::log::Setup;
use super::merkle;
use super::pages;
use super::track::{Step, Track};
use super::verify::{Faults, Known, read_book};
use crate::json;
use crate::time::UnixTime;

/// Removes the files whose last record is older than `keep`, and has each entered before. Gives the names.
pub(super) fn remove(
    setup: &Setup,
    keep: Duration,
    heads: &Heads,
    now: UnixTime,
    mut enter: impl FnMut(&str, &[u8]) -> io::Result<()>,
) -> io::Result<Vec<String>> {
    let mut oldest = Vec::new();
    json::time(&mut oldest, UnixTime(now.0 - keep.as_secs_f64()));
    let mut writers: BTreeMap<String, Vec<Named>> = BTreeMap::new();
    for named in Named::all(&setup.directory)?.0 {
        writers.entry(named.writer.clone()).or_default().push(named);
    }
    // Most often there is none, and nothing more is read.
    writers.retain(|_, files| {
        files.first().is_some_and(|named| seems_over(&named.path(&setup.directory), &oldest))
    });
    let mut removed = Vec::new();
    if writers.is_empty() {
        return pages::remove(&setup.directory, heads.key(), &oldest, &mut enter);
    }
    let book = read_book(&setup.directory, Some(heads.key()), &mut Faults::default())?;
    let nothing = Known::default();
    for (writer, files) in writers {
        let key = LinkKey::derive(setup.signer.seed(), &writer).map_err(io::Error::other)?;
        let known = book.writers.get(&writer).unwrap_or(&nothing);
        let mut oldest_kept = Removal { key, known, track: known.track(), oldest: &oldest };
        for (i, named) in files.iter().enumerate() {
            let path = named.path(&setup.directory);
            let file = match files::take(&path) {
                Ok(Some(file)) => file,
                // Somebody removes it, or writes it, or it is no file.
                Ok(None) => break,
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) =>
                {
                    break;
                }
                Err(error) => return Err(error),
            };
            let mut enter_file = |members: &[u8]| enter("audit_file_removed", members);
            let done =
                oldest_kept.one(&file, named, i + 1 == files.len(), &mut enter_file).and_then(|is_over| {
                    if is_over { gone(std::fs::remove_file(&path)).map(|()| true) } else { Ok(false) }
                });
            // A child that was forked off meanwhile has the descriptor too.
            let _ = file.unlock();
            if !done? {
                break;
            }
            removed.push(named.name());
        }
    }
    // Last: what is known of a file stands in the book.
    removed.extend(pages::remove(&setup.directory, heads.key(), &oldest, &mut enter)?);
    if !removed.is_empty() {
        files::sync_directory(&setup.directory)?;
    }
    Ok(removed)
}

/// The removal of a writer's files, one after the other.
struct Removal<'a> {
    key: LinkKey,
    known: &'a Known,
    track: Track,
    oldest: &'a [u8],
}

impl Removal<'_> {
    /// Whether the next file is to be removed. Then that is entered.
    fn one(
        &mut self,
        file: &File,
        named: &Named,
        is_newest: bool,
        enter: &mut impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<bool> {
        if let Some((size, link)) = self.known.removals.get(&named.number) {
            // Entered by a process that was killed before it removed it.
            let told = last_line(&mut file.try_clone()?);
            return Ok(told.is_ok_and(|(place, _)| place == Place { seq: *size, link: *link }));
        }
        let Some(is_over) = self.follow(file, is_newest)? else { return Ok(false) };
        let place = self.track.place();
        if !is_over || (is_newest && !self.known.ends_at(place)) {
            return Ok(false);
        }
        let told = format!(
            ",\"writer\":\"{}\",\"file\":{},\"size\":{},\"last\":\"",
            named.writer, named.number, place.seq
        );
        let mut members = told.into_bytes();
        write_hash(&mut members, &place.link);
        members.push(b'"');
        enter(&members)?;
        Ok(true)
    }

    /// Whether the file's last record is old enough. None if it is not what was written.
    fn follow(&mut self, file: &File, is_newest: bool) -> io::Result<Option<bool>> {
        let mut lines = Lines::from(file.try_clone()?, 0, 0)?;
        let mut is_over = None;
        while let Some(text) = lines.next()? {
            match text.shape {
                Shape::Whole => {}
                // A writer that was killed leaves one in its last file.
                Shape::Unfinished if is_newest => break,
                _ => return Ok(None),
            }
            let Some(line) = Line::read(text.bytes) else { return Ok(None) };
            if self.track.step(Some(&self.key), &line, &merkle::leaf(line.body)) != Step::Next {
                return Ok(None);
            }
            is_over = Some(line.time < self.oldest);
        }
        Ok(is_over)
    }
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        told => told,
    }
}

/// Whether the last record of a file says that it is old, which is to be verified.
fn seems_over(path: &Path, oldest: &[u8]) -> bool {
    let read = || -> io::Result<bool> {
        let mut file = files::open(path)?;
        let (place, end) = last_line(&mut file)?;
        if place.seq == 0 {
            return Ok(false);
        }
        let start = end.saturating_sub(LAST);
        let mut lines = Lines::from(file, start, 0)?;
        let mut is_over = false;
        while let Some(text) = lines.next()? {
            if let Some(line) = Line::read(text.bytes) {
                is_over = line.time < oldest;
            }
        }
        Ok(is_over)
    };
    read().unwrap_or(false)
}

/// No record is longer: 256 KiB of members, and what stands around them.
const LAST: u64 = 300 << 10;

#[cfg(test)]
#[path = "retention_tests.rs"]
mod tests;

//! Enters the writers that ended without saying so.
//!
//! Whoever begins to write looks, with the book's lock held, which writers have not ended by the book of heads, and of which nobody holds a
//! file any more: these were killed. The last whole record of each is entered, so that what is cut off of its file later is missed. What stood behind
//! that record, unfinished, is left where it is.
//!
//! A writer is alive if any of its files is held. One that changes files at this moment holds the next before it lets go of the last:
//! where there is another file than at first, it is taken to be alive, and looked at by the next who begins.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use super::files::{self, Named};
use super::heads::{Locked, TAMPERED};
use super::line::{Line, write_hash};
use super::lines::last_line;
use super::pages::CARRIED;

/// Takes up what a line of the book says of a writer's end.
pub(super) fn note(ended: &mut BTreeSet<String>, line: &Line<'_>) {
    let field = match line.event {
        event if event == CARRIED.as_bytes() => {
            let members = line.members().unwrap_or_default();
            if let Some(writer) = members["writer"].as_str().filter(|_| members["end"].is_string()) {
                ended.insert(writer.to_owned());
            }
            return;
        }
        b"audit_writer_closed" | b"audit_writer_lost" => "writer",
        event if event == TAMPERED.as_bytes() => "of",
        _ => return,
    };
    if let Some(writer) = line.members().as_ref().and_then(|members| members[field].as_str()) {
        ended.insert(writer.to_owned());
    }
}

/// Enters each writer of the directory that was killed. Gives the files that end as no writer's does.
pub(super) fn enter(
    directory: &Path,
    ended: &BTreeSet<String>,
    own: &str,
    book: &mut Locked<'_>,
) -> io::Result<Vec<String>> {
    let (mut dead, mut wrong) =
        (numbers(directory, |writer| writer != own && !ended.contains(writer))?, Vec::new());
    dead.retain(|writer, numbers| {
        let mut paths = numbers.iter().rev().map(|number| named(writer, *number).path(directory));
        !paths.any(|path| files::is_held(&path))
    });
    let now = numbers(directory, |writer| dead.contains_key(writer))?;
    for (writer, numbers) in dead.iter().filter(|(writer, numbers)| now.get(*writer) == Some(*numbers)) {
        if let Some((event, members)) = left(directory, writer, numbers) {
            book.add(event, &members);
            if event == TAMPERED && wrong.len() < MOST {
                wrong.push(format!("{writer}-*.jsonl"));
            }
        }
    }
    Ok(wrong)
}

fn numbers(directory: &Path, is_wanted: impl Fn(&str) -> bool) -> io::Result<BTreeMap<String, Vec<u32>>> {
    let mut numbers: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for Named { writer, number } in Named::all(directory)?.0 {
        if is_wanted(&writer) {
            numbers.entry(writer).or_default().push(number);
        }
    }
    Ok(numbers)
}

fn named(writer: &str, number: u32) -> Named {
    Named { writer: writer.to_owned(), number }
}

/// What a dead writer left: the last whole record of the newest file that holds one.
fn left(directory: &Path, writer: &str, numbers: &[u32]) -> Option<(&'static str, Vec<u8>)> {
    for number in numbers.iter().rev() {
        // One that cannot be opened is no file, or was removed in this moment.
        let Ok(mut file) = files::open(&named(writer, *number).path(directory)) else { continue };
        match last_line(&mut file) {
            Ok((place, whole)) if place.seq > 0 => {
                let torn = file.metadata().ok()?.len().saturating_sub(whole);
                let told = format!(
                    ",\"writer\":\"{writer}\",\"file\":{number},\"size\":{},\"torn\":{torn},\"last\":\"",
                    place.seq
                );
                let mut members = told.into_bytes();
                write_hash(&mut members, &place.link);
                members.push(b'"');
                return Some(("audit_writer_lost", members));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Some((TAMPERED, format!(",\"of\":\"{writer}\",\"file\":{number}").into_bytes()));
            }
            Err(_) => return None,
        }
    }
    None
}

/// More files than these are not told of by name; each is entered.
const MOST: usize = 32;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::sync::Arc;

    use crate::audit::testing::{Folder, book, setup};
    use crate::audit::{Log, State, Verify, When};
    use crate::time::UnixTime;

    use super::*;

    #[test]
    fn of_many_that_begin_at_once_one_enters_a_writer_that_was_killed() {
        let folder = Folder::new();
        let setup = setup(&folder);
        for _ in 0..3 {
            Log::open(Arc::clone(&setup)).unwrap().killed();
        }
        let before = book(&folder).matches("audit_writer_lost").count();
        assert_eq!(before, 2);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| Log::open(Arc::clone(&setup)).unwrap().close().unwrap());
            }
        });
        assert_eq!(book(&folder).matches("audit_writer_lost").count(), 3);
        assert_eq!(Verify::with(&setup.signer).run(folder.path()).unwrap().faults, []);
    }

    #[test]
    fn a_writer_is_alive_whatever_stands_behind_the_file_that_it_holds() {
        let folder = Folder::new();
        let setup = setup(&folder);
        let log = Log::open(Arc::clone(&setup)).unwrap();
        for (number, bytes) in [(2, &b""[..]), (3, b"junk\n")] {
            std::fs::write(named(log.writer(), number).path(folder.path()), bytes).unwrap();
        }
        Log::open(Arc::clone(&setup)).unwrap().close().unwrap();
        assert!(!book(&folder).contains("audit_writer_lost") && !book(&folder).contains(TAMPERED));
    }

    #[test]
    fn an_empty_file_behind_a_dead_writer_does_not_hide_its_records() {
        let folder = Folder::new();
        let setup = setup(&folder);
        let log = Log::open(Arc::clone(&setup)).unwrap();
        log.append(UnixTime(0.0), "x", b"", When::Now).unwrap();
        let path = named(log.writer(), 2).path(folder.path());
        log.killed();
        std::fs::write(&path, b"").unwrap();
        Log::open(Arc::clone(&setup)).unwrap().close().unwrap();
        assert!(book(&folder).contains("\"file\":1,\"size\":3,"));
        let report = Verify::with(&setup.signer).run(folder.path()).unwrap();
        assert_eq!(report.faults.iter().map(|fault| fault.kind.code()).collect::<Vec<_>>(), ["opening"]);
        std::fs::remove_file(path).unwrap();
        let report = Verify::with(&setup.signer).run(folder.path()).unwrap();
        assert_eq!(report.faults, []);
        assert!(report.writers.iter().any(|told| told.state == State::Lost));
    }

    #[test]
    fn writers_that_open_turn_and_close_at_once_are_never_entered_as_lost() {
        let folder = Folder::new();
        let setup = setup(&folder);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..6 {
                        let log = Log::open(Arc::clone(&setup)).unwrap();
                        for _ in 0..14 {
                            log.append(UnixTime(0.0), "x", b",\"a\":\"0123456789\"", When::Now).unwrap();
                            log.tend().unwrap();
                        }
                        log.close().unwrap();
                    }
                });
            }
        });
        assert!(!book(&folder).contains("audit_writer_lost"));
        assert!(book(&folder).contains("audit_file_opened"));
        assert_eq!(Verify::with(&setup.signer).run(folder.path()).unwrap().faults, []);
    }
}

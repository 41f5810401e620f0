//! The files of an audit log: one directory, for its owner alone, with the book of heads and the files of each writer.
//!
//! ```text
//! heads.jsonl
//! 5f0c…(32 hexadecimal digits)-000001.jsonl
//! ```
//!
//! 1. A file is made under a name of its own (`.new-…`), locked, given its first record, made durable, and only then put in its place. So
//!    a file that can be seen is locked if its writer is alive, and is never empty.
//! 2. The lock (`flock`) is held by a descriptor that nothing is written to. A child that was forked off closes it; else it would keep its parent alive.
//! 3. What is no regular file is not opened: a pipe would wait for ever, and a link would lead elsewhere.
//!
//! # What can break it
//! A file system whose `flock` does not exclude (some network file systems).

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::fs::OFlags;

/// Makes the directory if it is not there, and refuses one that others may write to.
pub(super) fn prepare(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let about = std::fs::metadata(directory)?;
    let is_mine = about.uid() == rustix::process::geteuid().as_raw();
    if !is_mine || about.mode() & 0o022 != 0 {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "the directory of an audit log is to be its owner's, and writable by nobody else (chmod 700)",
        ));
    }
    Ok(())
}

/// A file of a writer, by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Named {
    pub(super) writer: String,
    pub(super) number: u32,
}

impl Named {
    pub(super) fn name(&self) -> String {
        format!("{}-{:06}.jsonl", self.writer, self.number)
    }

    pub(super) fn path(&self, directory: &Path) -> PathBuf {
        directory.join(self.name())
    }

    /// Reads a file's name; None if it is none of a writer's. Numbers begin at 1.
    pub(super) fn read(name: &str) -> Option<Self> {
        let (writer, number) = name.strip_suffix(".jsonl")?.split_once('-')?;
        let named = Self { writer: writer.to_owned(), number: number.parse().ok()? };
        (is_writer(writer) && named.number > 0 && named.name() == name).then_some(named)
    }

    /// All of a directory, each writer's in order. The names of files that are nothing of ours come second.
    pub(super) fn all(directory: &Path) -> io::Result<(Vec<Self>, Vec<String>)> {
        let (mut ours, mut others) = (Vec::new(), Vec::new());
        for entry in std::fs::read_dir(directory)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            match Self::read(&name) {
                Some(named) => ours.push(named),
                None if name == super::heads::FILE
                    || is_new(&name)
                    || super::pages::read_name(&name).is_some() => {}
                None => others.push(name),
            }
        }
        ours.sort();
        others.sort();
        Ok((ours, others))
    }
}

fn is_writer(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether a file has the name of one that is being made.
fn is_new(name: &str) -> bool {
    let parts = name.strip_prefix(NEW).and_then(|rest| rest.split_once('-'));
    parts.is_some_and(|(writer, number)| is_writer(writer) && number.parse::<u32>().is_ok())
}

/// A writer's file, to append to, and the lock that tells that the writer is alive.
pub(super) struct Held {
    pub(super) file: File,
    pub(super) lock: File,
}

/// Makes a new file that begins with `first`, durable and locked before it can be seen.
///
/// Fails with `AlreadyExists` if the name is taken. Whatever fails, nothing is left behind but the name `.new-…` of a process that is killed here.
pub(super) fn create(directory: &Path, named: &Named, first: &[u8]) -> io::Result<Held> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    // First: where no descriptor can be had for it, nothing is done.
    let folder = File::open(directory)?;
    let new = directory.join(format!("{NEW}{}-{}", named.writer, COUNT.fetch_add(1, Ordering::Relaxed)));
    let path = named.path(directory);
    let made = begun(&new, first).and_then(|held| put_in_place(&new, &path).map(|()| held));
    // After a link the first name goes; after a rename there is none any more.
    let _ = std::fs::remove_file(&new);
    if made.is_ok()
        && let Err(error) = folder.sync_all()
    {
        // Its writer would go on elsewhere.
        std::fs::remove_file(&path)?;
        return Err(error);
    }
    made
}

fn begun(new: &Path, first: &[u8]) -> io::Result<Held> {
    let mut file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(new)?;
    let lock = open(new)?;
    lock.lock()?;
    file.write_all(first)?;
    file.sync_data()?;
    Ok(Held { file, lock })
}

/// Gives a file its name if nobody has it.
fn put_in_place(new: &Path, path: &Path) -> io::Result<()> {
    match std::fs::hard_link(new, path) {
        // A file system without links.
        Err(error)
            if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported) =>
        {
            match std::fs::symlink_metadata(path) {
                Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
                Err(_) => std::fs::rename(new, path),
            }
        }
        told => told,
    }
}

/// Removes what processes that were killed while they made a file left of it.
pub(super) fn remove_unfinished(directory: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let is_old = || entry.metadata().ok()?.modified().ok()?.elapsed().ok().map(|age| age > UNFINISHED);
        if is_new(&entry.file_name().to_string_lossy()) && is_old() == Some(true) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    Ok(())
}

/// Opens a regular file to read. What is none is `InvalidInput`.
pub(super) fn open(path: &Path) -> io::Result<File> {
    regular(OpenOptions::new().read(true).custom_flags(CAREFUL.bits() as i32).open(path))
}

/// Opens the book to read and append to, and makes it if it is not there.
pub(super) fn open_book(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600).custom_flags(CAREFUL.bits() as i32);
    regular(options.open(path))
}

fn regular(opened: io::Result<File>) -> io::Result<File> {
    let none = || io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file");
    let file = opened.map_err(|error| match rustix::io::Errno::from_io_error(&error) {
        // A link; a pipe or a device that nobody is behind; a directory.
        Some(rustix::io::Errno::LOOP | rustix::io::Errno::NXIO | rustix::io::Errno::ISDIR) => none(),
        _ => error,
    })?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(none()) }
}

/// Whether a writer holds this file. One that is not there, or is no file, is held by nobody; where it cannot be told, it is.
pub(super) fn is_held(path: &Path) -> bool {
    match open(path) {
        // Shared, so that two who ask at once do not take each other for the writer.
        Ok(file) => !matches!(file.try_lock_shared(), Ok(())),
        Err(error) => !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput),
    }
}

/// Opens a file that nobody holds, to remove it, and holds it. None if somebody does, or if it is not the one of this name any more.
pub(super) fn take(path: &Path) -> io::Result<Option<File>> {
    let file = open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let (held, named) = (file.metadata()?, std::fs::symlink_metadata(path)?);
    Ok(((held.dev(), held.ino()) == (named.dev(), named.ino())).then_some(file))
}

/// Makes the directory's entries durable.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

const NEW: &str = ".new-";
const CAREFUL: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK);
/// Nobody makes a file for so long.
const UNFINISHED: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::audit::testing::Folder;
    use std::os::unix::fs::PermissionsExt;

    fn named() -> Named {
        Named { writer: "0123456789abcdef0123456789abcdef".to_owned(), number: 7 }
    }

    #[test]
    fn only_names_that_would_be_given_are_read() {
        let named = named();
        assert_eq!(Named::read(&named.name()), Some(named.clone()));
        let name = named.name();
        for wrong in [
            name.replace("000007", "7"),
            name.replace("000007", "-000007"),
            name.replace("000007", "000000"),
            name.replace('a', "A"),
            name[1..].to_owned(),
        ] {
            assert_eq!(Named::read(&wrong), None, "{wrong}");
        }
        let many = Named { number: 1_234_567, ..named };
        assert_eq!(Named::read(&many.name()), Some(many));
    }

    #[test]
    fn a_directory_that_others_may_write_to_is_refused() {
        let folder = Folder::new();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o770)).unwrap();
        assert_eq!(prepare(folder.path()).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o750)).unwrap();
        prepare(folder.path()).unwrap();
        prepare(&folder.path().join("a/b")).unwrap();
        let made = std::fs::metadata(folder.path().join("a/b")).unwrap();
        assert_eq!(made.mode() & 0o777, 0o700);
    }

    #[test]
    fn a_file_is_held_until_its_writer_lets_go_and_its_name_is_given_once() {
        let folder = Folder::new();
        let path = named().path(folder.path());
        let held = create(folder.path(), &named(), b"first\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"first\n");
        assert!(is_held(&path) && take(&path).unwrap().is_none());
        let again = create(folder.path(), &named(), b"second\n").err().unwrap();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        drop(held.lock);
        assert!(!is_held(&path));
        // Who asks does not seem to hold it to another who asks, and who removes it does.
        let asking = open(&path).unwrap();
        asking.lock_shared().unwrap();
        assert!(!is_held(&path));
        drop(asking);
        let taken = take(&path).unwrap();
        assert!(taken.is_some() && take(&path).unwrap().is_none());
    }

    #[test]
    fn what_is_no_regular_file_is_neither_opened_nor_waited_for() {
        let folder = Folder::new();
        let path = folder.path().join("f");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
        assert_eq!(open(&path).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert!(!is_held(&path));
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("nowhere", &path).unwrap();
        assert_eq!(open(&path).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(open_book(&path).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert!(!folder.path().join("nowhere").exists());
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert_eq!(open(&path).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn what_a_killed_process_left_of_a_file_is_no_other_file_and_goes_after_an_hour() {
        let folder = Folder::new();
        let path = folder.path().join(format!("{NEW}{}-3", named().writer));
        let file = File::create(&path).unwrap();
        std::fs::write(folder.path().join(".new-x"), "").unwrap();
        assert_eq!(Named::all(folder.path()).unwrap(), (vec![], vec![".new-x".to_owned()]));
        remove_unfinished(folder.path()).unwrap();
        assert!(path.exists());
        file.set_modified(std::time::SystemTime::now() - 2 * UNFINISHED).unwrap();
        remove_unfinished(folder.path()).unwrap();
        assert!(!path.exists());
    }
}

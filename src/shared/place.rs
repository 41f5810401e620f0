//! Opens the words' file where no one else can have put another.
//!
//! The directory is a real one, ours, mode 0700; the file a regular one, ours, mode 0600, with one name. All of
//! it is checked on what was opened, never on a path, so nothing can be exchanged in between. Whoever could write to it could grant or
//! exhaust any quota, and truncate it under us.
//!
//! What fails the check stops the start-up with the cure: nothing is repaired that someone else may have made.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::error::ConfigError;

/// A directory that is ours alone, and a file name in it.
pub(super) struct Place {
    directory: Arc<OwnedFd>,
    name: String,
    path: PathBuf,
    /// What is kept there, for errors.
    what: &'static str,
}

impl Place {
    /// Checks the directory, and creates it (but not its parents) if it is missing.
    pub fn new(directory: &Path, name: &str, what: &'static str) -> Result<Self, ConfigError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if name.is_empty() || name.len() > 100 || name.starts_with('.') || !name.bytes().all(allowed) {
            return Err(ConfigError::new(format!(
                "{name:?} cannot name a table of {what}. Use 1 to 100 letters, digits, '-', '_' and '.', not beginning with '.'"
            )));
        }
        if !directory.is_absolute() {
            return Err(ConfigError::new(format!(
                "the directory {} of the {what} is relative, so workers started elsewhere would count apart. Use an absolute path",
                directory.display()
            )));
        }
        let path = directory.join(name);
        let directory = Arc::new(open_directory(directory, what)?);
        Ok(Self { directory, name: name.into(), path, what })
    }

    /// Another file of the directory: this one's name and a `suffix`.
    pub fn beside(&self, suffix: &str) -> Self {
        let name = format!("{}{suffix}", self.name);
        let path = self.path.with_file_name(&name);
        Self { directory: self.directory.clone(), name, path, what: self.what }
    }

    /// Whether the directory was removed.
    pub fn is_gone(&self) -> bool {
        rustix::fs::fstat(&self.directory).is_ok_and(|stat| stat.st_nlink == 0)
    }

    /// The same in a directory that is made anew if need be.
    pub fn anew(&self) -> Result<Self, ConfigError> {
        Self::new(self.path.parent().unwrap_or(Path::new("/")), &self.name, self.what)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is kept there.
    pub fn what(&self) -> &'static str {
        self.what
    }

    /// Opens the file, creating it empty if it is missing, and checks it.
    pub fn open(&self) -> Result<OwnedFd, ConfigError> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let mode = Mode::RUSR | Mode::WUSR;
        // A file can come and go between the two ways to open it; not for long.
        for _ in 0..100 {
            let create = flags | OFlags::CREATE | OFlags::EXCL;
            let opened = match rustix::fs::openat(&self.directory, &self.name, create, mode) {
                Ok(file) => {
                    // What the umask took away.
                    rustix::fs::fchmod(&file, mode).map_err(|error| self.failed("set the mode of", error))?;
                    Ok(file)
                }
                Err(Errno::EXIST) => rustix::fs::openat(&self.directory, &self.name, flags, Mode::empty()),
                Err(error) => Err(error),
            };
            match opened {
                Ok(file) => return self.check(&file).map(|()| file),
                Err(Errno::NOENT) => {}
                Err(error) => return Err(self.unopened(error)),
            }
        }
        Err(self.refused("keeps appearing and vanishing", "See which other program uses this directory"))
    }

    /// Opens the file and checks it, if it is there.
    pub fn open_if_there(&self) -> Result<Option<OwnedFd>, ConfigError> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        match rustix::fs::openat(&self.directory, &self.name, flags, Mode::empty()) {
            Ok(file) => self.check(&file).map(|()| Some(file)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.unopened(error)),
        }
    }

    fn unopened(&self, error: Errno) -> ConfigError {
        match error {
            Errno::LOOP => self.refused("is a symbolic link", "Remove it"),
            Errno::ISDIR => self.refused("is a directory", "Remove it, or choose another name"),
            Errno::ACCESS | Errno::PERM => {
                self.refused("may not be opened for writing", "Remove it: a new one is made with mode 0600")
            }
            error => self.failed("open", error),
        }
    }

    /// Opens the file to look at it, if it is there. The directory was found to be ours alone.
    pub fn look(&self) -> Option<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        rustix::fs::openat(&self.directory, &self.name, flags, Mode::empty()).ok()
    }

    /// Whether the path still leads to this open file.
    pub fn is_current(&self, file: &OwnedFd) -> bool {
        let at_path = rustix::fs::statat(&self.directory, &self.name, AtFlags::SYMLINK_NOFOLLOW);
        match (at_path, rustix::fs::fstat(file)) {
            (Ok(one), Ok(other)) => one.st_dev == other.st_dev && one.st_ino == other.st_ino,
            _ => false,
        }
    }

    pub fn failed(&self, what: &str, error: Errno) -> ConfigError {
        let cure = match error {
            Errno::NOSPC | Errno::DQUOT => {
                ". Free some space, or ask for a smaller table: it is allocated whole, so that no request meets a full disk"
            }
            Errno::ROFS => ". Choose a directory that can be written to",
            _ => "",
        };
        let (kept, path) = (self.what, self.path.display());
        ConfigError::new(format!("cannot {what} the {kept} {path}: {error}{cure}"))
    }

    pub fn refused(&self, what: &str, cure: &str) -> ConfigError {
        let (kept, path) = (self.what, self.path.display());
        ConfigError::new(format!("the {kept} {path} cannot be trusted: it {what}. {cure}"))
    }

    fn check(&self, file: &OwnedFd) -> Result<(), ConfigError> {
        let stat = rustix::fs::fstat(file).map_err(|error| self.failed("examine", error))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(self.refused("is not a regular file", "Remove it"));
        }
        if stat.st_uid != me() {
            return Err(self.refused(&foreign(&stat), "Remove it, or run as that user"));
        }
        if stat.st_nlink > 1 {
            return Err(
                self.refused("has a second name (a hard link), by which others may reach it", "Remove it")
            );
        }
        if stat.st_mode & 0o7777 != 0o600 {
            let what =
                format!("has mode {:04o}, not 0600, so others may have changed it", stat.st_mode & 0o7777);
            return Err(self.refused(&what, "Remove it: a new one is made with the right mode"));
        }
        Ok(())
    }
}

fn open_directory(path: &Path, kept: &str) -> Result<OwnedFd, ConfigError> {
    let refused = |what: &str, cure: &str| {
        ConfigError::new(format!("the directory {} cannot hold {kept}: it {what}. {cure}", path.display()))
    };
    let failed = |what: &str, error: Errno| {
        ConfigError::new(format!("cannot {what} the directory {} for the {kept}: {error}", path.display()))
    };
    let created = match rustix::fs::mkdir(path, Mode::RWXU) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(Errno::NOENT) => {
            return Err(refused("has no parent directory", "Create its parent, or choose another"));
        }
        // A directory that exists is reported so even where none may be made.
        Err(error) => return Err(failed("create", error)),
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(directory) => directory,
        Err(Errno::NOTDIR | Errno::LOOP) => {
            let cure = "Name the directory itself: whoever owns the link could point it elsewhere";
            return Err(refused("is a symbolic link or not a directory", cure));
        }
        Err(error) => return Err(failed("open", error)),
    };
    if created {
        rustix::fs::fchmod(&directory, Mode::RWXU).map_err(|error| failed("set the mode of", error))?;
    }
    let stat = rustix::fs::fstat(&directory).map_err(|error| failed("examine", error))?;
    if stat.st_uid != me() {
        return Err(refused(&foreign(&stat), "Choose a directory of the user that runs the workers"));
    }
    if stat.st_mode & 0o777 != 0o700 {
        let what = format!("has mode {:04o}, so others may reach the {kept}", stat.st_mode & 0o777);
        return Err(refused(&what, &format!("Run: chmod 0700 {}", path.display())));
    }
    Ok(directory)
}

fn me() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn foreign(stat: &Stat) -> String {
    format!("belongs to user {}, not to us (user {})", stat.st_uid, me())
}

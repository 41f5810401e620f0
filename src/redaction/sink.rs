//! Takes what is told of requests and writes it as lines, whole and in order, to a file or a standard stream.
//!
//! A system call for each line costs a request more than everything else that is done for it. So requests are
//! gathered as they are ([`super::packed`]), and a thread of this process, which is no Python thread, redacts, renders
//! and writes them:
//! 1. after at most `delay` seconds, or when 64 KiB are waiting, in which case the caller does it itself and so
//!    slows down to what the disk takes: nothing grows without bound;
//! 2. to a file in one append, so that the lines of several processes do not mix; to a pipe or terminal in
//!    pieces that end at a line's end and are small enough to be written at once (`PIPE_BUF`, POSIX.1-2017 `write`);
//! 3. to a new file where the old one was renamed or removed, as log rotation does;
//! 4. at the end of the process, by [`Sink::flush`].
//!
//! What cannot be written is dropped and counted, and the next caller is told.
//!
//! # What can break it
//! A process that is killed, or ends by `_exit`, loses the lines of the last `delay` seconds. After a fork the child needs
//! a [`Sink::renewed`] one: the thread stays with the parent, and so do the lines that were waiting.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::getpid;

use super::packed::{pack, unpack};
use super::{Access, Redactor, render};
use crate::time::UnixTime;

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outlet {
    /// A file that is appended to; made, if it is not there, for its owner and group alone.
    File(PathBuf),
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A failure that was noticed since the last one was told.
#[derive(Debug)]
pub struct Failure {
    /// What the system said.
    pub error: io::Error,
    /// How many lines were dropped.
    pub lost: usize,
}

/// Gathers requests and writes their lines.
pub struct Sink {
    shared: Arc<Shared>,
    owner: rustix::process::Pid,
}

struct Shared {
    redactor: Arc<Redactor>,
    outlet: Outlet,
    delay: Duration,
    /// The file as it was opened, for whoever is forked off.
    first: Option<File>,
    waiting: Mutex<Waiting>,
    /// Told when a first line waits, and when the sink is dropped.
    wake: Condvar,
    /// Held while writing: whoever has it takes what waits, so lines stay in order.
    open: Mutex<Open>,
}

#[derive(Default)]
struct Waiting {
    packed: Vec<u8>,
    has_thread: bool,
    is_closed: bool,
    failure: Option<Failure>,
}

struct Open {
    file: Option<File>,
    /// Whether the last write ended within a line.
    is_torn: bool,
    /// What was taken and written last, their memory to be used again.
    packed: Vec<u8>,
    lines: Vec<u8>,
}

/// So many bytes wait at most.
const MOST_WAITING: usize = 64 * 1024;

/// The thread's stack, in bytes: the redactor's searches are not deep.
const STACK: usize = 512 * 1024;

/// A pipe takes so many bytes at once, or none of them.
const PIECE: usize = if cfg!(target_os = "linux") { 4096 } else { 512 };

/// A reader that takes nothing for so long has lost its lines.
const PATIENCE: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

impl Sink {
    /// Opens `outlet`. With no `delay`, each line is written before [`Sink::write`] returns.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn new(redactor: Arc<Redactor>, outlet: Outlet, delay: Duration) -> io::Result<Self> {
        let file = match &outlet {
            Outlet::File(path) => Some(append(path)?),
            Outlet::Stdout | Outlet::Stderr => None,
        };
        Ok(Self::over(redactor, outlet, delay, file))
    }

    /// The same outlet for a process that was just forked off, without what waits here, which is the parent's.
    /// It takes no lock: the thread that held it may not be there.
    pub fn renewed(&self) -> Self {
        // Without a descriptor to spare, it is opened when there is something to write.
        let file = self.shared.first.as_ref().and_then(|file| file.try_clone().ok());
        Self::over(Arc::clone(&self.shared.redactor), self.shared.outlet.clone(), self.shared.delay, file)
    }

    fn over(redactor: Arc<Redactor>, outlet: Outlet, delay: Duration, file: Option<File>) -> Self {
        let shared = Shared {
            redactor,
            outlet,
            delay,
            first: file.as_ref().and_then(|file| file.try_clone().ok()),
            waiting: Mutex::default(),
            wake: Condvar::new(),
            open: Mutex::new(Open { file, is_torn: false, packed: Vec::new(), lines: Vec::new() }),
        };
        Self { shared: Arc::new(shared), owner: getpid() }
    }

    /// Adds a request. Says whether the caller should [`flush`](Self::flush).
    ///
    /// # Errors
    /// What went wrong since the last call. The request is taken all the same.
    pub fn write(&self, access: &Access<'_>, now: UnixTime) -> Result<bool, Failure> {
        let shared = &self.shared;
        let mut waiting = lock(&shared.waiting);
        let was_empty = waiting.packed.is_empty();
        pack(&mut waiting.packed, access, now);
        let is_due = !waiting.has_thread || waiting.packed.len() >= MOST_WAITING;
        let failure = waiting.failure.take();
        drop(waiting);
        if was_empty && !is_due {
            shared.wake.notify_one();
        }
        failure.map_or(Ok(is_due), Err)
    }

    /// Whether [`start`](Self::start) is to be called, so that lines can wait.
    pub fn needs_thread(&self) -> bool {
        !self.shared.delay.is_zero() && !lock(&self.shared.waiting).has_thread
    }

    /// Starts the thread that writes, if lines may wait and it is not there. It has the caller's signal mask.
    ///
    /// Where no thread can be had, each line is written at once.
    pub fn start(&self) {
        let mut waiting = lock(&self.shared.waiting);
        if !self.shared.delay.is_zero() && !waiting.has_thread {
            let shared = Arc::clone(&self.shared);
            let thread = std::thread::Builder::new().name("access log".to_owned()).stack_size(STACK);
            waiting.has_thread = thread.spawn(move || shared.run()).is_ok();
        }
    }

    /// Writes what waits, before it returns: within seconds, also where nobody reads what is written.
    ///
    /// # Errors
    /// What went wrong since the last call.
    pub fn flush(&self) -> Result<(), Failure> {
        self.shared.flush();
        lock(&self.shared.waiting).failure.take().map_or(Ok(()), Err)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // In a forked child the locks may be held by a thread that is not there, and the lines are the parent's.
        if getpid() != self.owner {
            return;
        }
        lock(&self.shared.waiting).is_closed = true;
        self.shared.wake.notify_one();
        self.shared.flush();
    }
}

impl Shared {
    /// The thread: writes what gathered within a delay, until the sink is dropped.
    fn run(&self) {
        loop {
            let mut waiting = lock(&self.waiting);
            while waiting.packed.is_empty() && !waiting.is_closed {
                waiting = self.wake.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            if waiting.is_closed {
                return;
            }
            drop(waiting);
            std::thread::sleep(self.delay);
            self.flush();
        }
    }

    fn flush(&self) {
        let mut open = lock(&self.open);
        let (mut packed, mut lines) = (std::mem::take(&mut open.packed), std::mem::take(&mut open.lines));
        packed.clear();
        lines.clear();
        std::mem::swap(&mut packed, &mut lock(&self.waiting).packed);
        let mut rest = packed.as_slice();
        let mut broken = 0;
        let mut put_line = |access: &Access<'_>, now| {
            let whole = lines.len();
            // A mistake in a rule must not end the thread that all lines go through.
            let rendered = catch_unwind(AssertUnwindSafe(|| render(&mut lines, &self.redactor, access, now)));
            if rendered.is_err() {
                lines.truncate(whole);
                broken += 1;
            }
        };
        while unpack(&mut rest, &mut put_line).is_some() {}
        if broken > 0 {
            self.fail(io::Error::other("a line could not be rendered"), broken);
        }
        if !lines.is_empty()
            && let Err((error, written)) = self.put(&mut open, &lines)
        {
            let lost = lines[written..].iter().filter(|byte| **byte == b'\n').count();
            self.fail(error, lost);
        }
        (open.packed, open.lines) = (packed, lines);
    }

    fn fail(&self, error: io::Error, lost: usize) {
        let mut waiting = lock(&self.waiting);
        let before = waiting.failure.take().map_or(0, |failure| failure.lost);
        waiting.failure = Some(Failure { error, lost: before + lost });
    }

    /// Writes all of `batch`, or says how much of it.
    fn put(&self, open: &mut Open, batch: &[u8]) -> Result<(), (io::Error, usize)> {
        let fault = |error| (error, 0);
        if let Outlet::File(path) = &self.outlet
            && open.file.as_ref().is_none_or(|file| is_elsewhere(file, path))
            && let Ok(file) = append(path)
        {
            (open.file, open.is_torn) = (Some(file), false);
        }
        let out = match (&self.outlet, &open.file) {
            (Outlet::File(_), Some(file)) => file.as_fd(),
            (Outlet::File(_), None) => return Err(fault(io::ErrorKind::NotFound.into())),
            // Not through `std::io`, whose locks a fork may leave held.
            (Outlet::Stdout, _) => rustix::stdio::stdout(),
            (Outlet::Stderr, _) => rustix::stdio::stderr(),
        };
        if open.is_torn {
            write_all(out, b"\n").map_err(|(error, _)| fault(error))?;
            open.is_torn = false;
        }
        let is_file = matches!(&self.outlet, Outlet::File(_)) && open.file.as_ref().is_some_and(is_regular);
        let mut done = 0;
        while done < batch.len() {
            let rest = &batch[done..];
            let piece = if is_file { rest.len() } else { piece(rest) };
            if !is_file && !has_room(out) {
                // Lines are lost rather than the process held up by a reader that went to sleep.
                return Err((io::ErrorKind::TimedOut.into(), done));
            }
            if let Err((error, written)) = write_all(out, &rest[..piece]) {
                done += written;
                open.is_torn = written > 0 && batch[done - 1] != b'\n';
                return Err((error, done));
            }
            done += piece;
        }
        Ok(())
    }
}

/// How much of `lines` to write at once: lines that are not longer than [`PIECE`] together, or one that is.
fn piece(lines: &[u8]) -> usize {
    if lines.len() <= PIECE {
        return lines.len();
    }
    let end = |range: &[u8]| range.iter().rposition(|byte| *byte == b'\n').map(|at| at + 1);
    end(&lines[..PIECE])
        .or_else(|| lines.iter().position(|byte| *byte == b'\n').map(|at| at + 1))
        .unwrap_or(lines.len())
}

fn write_all(out: BorrowedFd<'_>, bytes: &[u8]) -> Result<(), (io::Error, usize)> {
    let mut done = 0;
    while done < bytes.len() {
        match rustix::io::write(out, &bytes[done..]) {
            Ok(0) => return Err((io::ErrorKind::WriteZero.into(), done)),
            Ok(count) => done += count,
            Err(rustix::io::Errno::INTR) => {}
            // Somebody made the stream non-blocking, and its reader is slow.
            Err(rustix::io::Errno::AGAIN) if has_room(out) => {}
            Err(rustix::io::Errno::AGAIN) => return Err((io::ErrorKind::TimedOut.into(), done)),
            Err(error) => return Err((error.into(), done)),
        }
    }
    Ok(())
}

/// Whether the outlet takes a piece, now or after some patience. One that cannot be asked is written to.
fn has_room(out: BorrowedFd<'_>) -> bool {
    !matches!(poll(&mut [PollFd::new(&out, PollFlags::OUT)], Some(&PATIENCE)), Ok(0))
}

fn append(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

/// Whether `path` names another file by now, or none.
fn is_elsewhere(file: &File, path: &PathBuf) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(ours), Ok(named)) => (ours.dev(), ours.ino()) != (named.dev(), named.ino()),
        _ => true,
    }
}

/// Pipes and terminals, which `/dev/stderr` may name, take bytes piece by piece.
fn is_regular(file: &File) -> bool {
    file.metadata().is_ok_and(|about| {
        let kind = about.file_type();
        !(kind.is_fifo() || kind.is_socket() || kind.is_char_device())
    })
}

/// A poisoned lock guards bytes, which are whole in any case.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;

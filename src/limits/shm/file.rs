//! The table's file: locked, initialised, mapped. The only `unsafe` of the project.
//!
//! Every process that maps the file holds a shared lock on it (`flock`) for as long as it lives; a forked child
//! holds its parent's. The kernel drops the lock of a process however it ends. So whoever gets the
//! *exclusive* lock knows that nobody maps the file, and only then is it initialised: when it is new,
//! of an earlier boot, of another size than asked for, damaged, or left unfinished by a process that died.
//!
//! Whoever cannot get it joins: the file is in use, its header is taken as it is, and so is its size. A new size
//! thus takes effect at the first start that finds no worker of the old size alive, and until then old and new workers
//! count together. (A second generation of the file beside the first would count apart, and admit twice.) A
//! file in use that is damaged or of another boot is refused.
//!
//! The file is allocated whole, and its size is checked before it is mapped: a full disk or a file cut short
//! stops the start-up, instead of killing a worker with `SIGBUS` at some request.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::fs::{FallocateFlags, FlockOperation};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};

use crate::error::ConfigError;
use crate::limits::key::Seed;

use super::layout::{HEADER_BYTES, Header, READY, READY_AT, Shape, boot_word};
use super::place::Place;
use super::presence::Presence;

/// A table shared by the processes that opened the same file.
pub struct SharedTable {
    map: Map,
    header: Header,
    path: PathBuf,
    presence: Presence,
    /// Holds the shared lock. Never read or written again.
    _lock: OwnedFd,
}

impl SharedTable {
    /// Opens `directory/name`, creating and initialising it if need be.
    ///
    /// `boot` names this boot of this host: counters of another are void. `seed` is used if the table is initialised.
    pub fn open(
        directory: &Path,
        name: &str,
        bytes: u64,
        boot: &[u8],
        seed: Seed,
    ) -> Result<Self, ConfigError> {
        let wanted = Header { shape: Shape::within(bytes)?, boot: boot_word(boot), seed };
        let place = Place::new(directory, name)?;
        for _ in 0..PATIENCE {
            let file = place.open()?;
            let alone = lock(&place, &file, FlockOperation::NonBlockingLockExclusive)?;
            if !alone && !lock(&place, &file, FlockOperation::NonBlockingLockShared)? {
                // Someone is initialising it.
                std::thread::sleep(NAP);
                continue;
            }
            if !place.is_current(&file) {
                continue;
            }
            if alone {
                if !read(&file).is_some_and(|found| found.shape == wanted.shape && found.boot == wanted.boot)
                {
                    initialise(&place, &file, &wanted)?;
                }
                // Not atomic: another may get the exclusive lock in between and initialise the file anew. So
                // what is below looks again at what is there.
                if !lock(&place, &file, FlockOperation::NonBlockingLockShared)? {
                    continue;
                }
            }
            if let Some(header) = read(&file).filter(|found| found.boot == wanted.boot) {
                let map = Map::new(&file, header.shape).map_err(|error| place.failed("map", error))?;
                let path = place.path().into();
                return Ok(Self { map, header, path, presence: Presence::new(place), _lock: file });
            }
            // Left unfinished, or of no use to us: without our lock it may become someone's to initialise.
            drop(file);
            std::thread::sleep(NAP);
        }
        let cure = "Stop the workers that use it, remove it, and start again";
        Err(place.refused("is in use but damaged, of another boot, or locked by another program", cure))
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn presence(&self) -> &Presence {
        &self.presence
    }

    pub(crate) fn shape(&self) -> Shape {
        self.header.shape
    }

    pub(crate) fn seed(&self) -> Seed {
        self.header.seed
    }

    pub(crate) fn words(&self) -> &[AtomicU64] {
        self.map.words()
    }
}

/// Takes or changes the lock; says whether it was to be had.
fn lock(place: &Place, file: &OwnedFd, operation: FlockOperation) -> Result<bool, ConfigError> {
    match rustix::fs::flock(file, operation) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(false),
        Err(error) => Err(place.failed("lock", error)),
    }
}

/// The header, if the file is whole.
fn read(file: &OwnedFd) -> Option<Header> {
    let mut page = [0; HEADER_BYTES as usize];
    let read = rustix::io::pread(file, &mut page, 0).ok()?;
    let header = Header::decode(&page).filter(|_| read == page.len())?;
    let size = rustix::fs::fstat(file).ok()?.st_size;
    (u64::try_from(size).ok()? == header.shape.bytes()).then_some(header)
}

/// Makes the file a table without counters. Only under the exclusive lock: nobody maps it.
fn initialise(place: &Place, file: &OwnedFd, header: &Header) -> Result<(), ConfigError> {
    let size = header.shape.bytes();
    let make = || {
        rustix::fs::ftruncate(file, 0)?;
        match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, size) {
            Ok(()) => {}
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => write_zeros(file, size)?,
            Err(error) => return Err(error),
        }
        write_all(file, 0, &header.encode())?;
        write_all(file, READY_AT, &READY.to_le_bytes())
    };
    make().map_err(|error| {
        // Leave no half-made file that takes the space.
        let _ = rustix::fs::ftruncate(file, 0);
        place.failed("allocate", error)
    })
}

/// For file systems that cannot allocate otherwise.
fn write_zeros(file: &OwnedFd, size: u64) -> Result<(), Errno> {
    let zeros = [0; 1 << 16];
    for at in (0..size).step_by(zeros.len()) {
        let length = zeros.len().min((size - at) as usize);
        write_all(file, at, zeros.get(..length).unwrap_or_default())?;
    }
    Ok(())
}

fn write_all(file: &OwnedFd, mut at: u64, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::pwrite(file, bytes, at))?;
        if written == 0 {
            return Err(Errno::IO);
        }
        at += written as u64;
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}

/// A mapping of the whole file, shared with other processes.
struct Map {
    start: *mut std::ffi::c_void,
    words: usize,
}

// SAFETY: a `Map` is a fixed range of memory that is only ever lent out as `&[AtomicU64]`, which is `Sync`; it is unmapped
// when it is dropped, by whichever thread.
unsafe impl Send for Map {}
// SAFETY: as above: all access through `&Map` is by atomic operations.
unsafe impl Sync for Map {}

impl Map {
    fn new(file: &OwnedFd, shape: Shape) -> Result<Self, Errno> {
        let size = rustix::fs::fstat(file)?.st_size;
        if u64::try_from(size) != Ok(shape.bytes()) {
            return Err(Errno::IO);
        }
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses the address, so no memory of ours is replaced; the length is not zero and is the file's. The file
        // is a regular one of ours alone (`place.rs`) and is never shortened while a process holds the shared lock,
        // which we do. What other processes write meanwhile is seen through atomics only.
        let start = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                shape.bytes() as usize,
                protection,
                MapFlags::SHARED,
                file,
                0,
            )?
        };
        Ok(Self { start, words: shape.words(super::layout::LANES) })
    }

    fn words(&self) -> &[AtomicU64] {
        // SAFETY: `start` is page-aligned, so aligned for `AtomicU64`, and maps `words` of them until `self` is
        // dropped, which the lifetime of the result does not outlive. Any bits are a valid `AtomicU64`. Other
        // processes access the memory as `AtomicU64` as well.
        unsafe { std::slice::from_raw_parts(self.start.cast::<AtomicU64>(), self.words) }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: `start` and the length are those of the mapping made in `new`; no reference into it is left, since
        // `words` borrows `self`.
        let _ = unsafe { rustix::mm::munmap(self.start, self.words * size_of::<AtomicU64>()) };
    }
}

/// How often opening looks again before it gives up: five seconds of naps.
const PATIENCE: u32 = if cfg!(test) { 250 } else { 2500 };

const NAP: Duration = Duration::from_millis(2);

//! The words' file: locked, initialised, mapped. The only `unsafe` of the project.
//!
//! Every process that maps the file holds a shared lock on it (`flock`) for as long as it lives; a forked child
//! holds its parent's. The kernel drops the lock of a process however it ends. So whoever gets the
//! *exclusive* lock knows that nobody maps the file, and only then is it initialised: when it is new,
//! of an earlier boot, of another size than asked for, damaged, or left unfinished by a process that died.
//!
//! Whoever cannot get it joins: the file is in use, its header is taken as it is, and so is its size. A new size
//! thus takes effect at the first start that finds no worker of the old size alive, and until then old and new workers
//! count together. (A second generation of the file beside the first would count apart: a limit would admit twice.)
//!
//! A file in use that is of no use to us is refused, and the error says why (`refusal`). One that is being made is waited
//! for, and one of another release, whose workers may be ending while ours begin (`patience`). Any other that a living
//! process maps is not, since that process goes on.
//!
//! The file is allocated whole, and its size is checked before it is mapped: a full disk or a file cut short
//! stops the start-up, instead of killing a worker with `SIGBUS` at some request.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fd::OwnedFd;
use rustix::fs::{FallocateFlags, FlockOperation};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};

use crate::error::ConfigError;

use super::layout::{HEADER_BYTES, HEADER_WORDS, Header, Layout, READY, READY_AT, boot_word};
use super::patience::{Pace, Patience, Real};
use super::place::Place;
use super::presence::{Owner, Presence};
use super::refusal::{Why, refused};
use super::seed::Seed;

/// Words shared by the processes that opened the same file, or of this process alone.
pub struct SharedWords<L> {
    memory: Memory,
    layout: L,
    seed: Seed,
    /// None where the words are this process's alone.
    file: Option<Shared>,
}

enum Memory {
    Map(Map),
    Own(Box<[AtomicU64]>),
}

struct Shared {
    path: PathBuf,
    presence: Presence,
    /// Holds the shared lock. Never read or written again.
    _lock: OwnedFd,
}

impl<L: Layout> SharedWords<L> {
    /// Opens `directory/name`, creating and initialising it if need be.
    ///
    /// `boot` names this boot of this host: words of another are void. `seed` is used if the file is initialised. Where others use the
    /// file, its [`layout`](Self::layout) may be another than was asked for.
    pub fn open(
        directory: &Path,
        name: &str,
        layout: L,
        boot: &[u8],
        seed: Seed,
    ) -> Result<Self, ConfigError> {
        Self::open_by(&Real::begin(), directory, name, layout, boot, seed)
    }

    /// The same, with time that passes as `pace` says.
    pub(super) fn open_by(
        pace: &impl Pace,
        directory: &Path,
        name: &str,
        layout: L,
        boot: &[u8],
        seed: Seed,
    ) -> Result<Self, ConfigError> {
        let wanted = Header { layout, boot: boot_word(boot), seed };
        let place = Place::new(directory, name, L::WHAT)?;
        let mut patience = Patience::new(pace);
        let mut why = Why::Locked;
        loop {
            let lasting = match Look::at(&place, &wanted)? {
                Look::Joined(file, found) => return Self::mapped(place, file, found.layout, found.seed),
                Look::Moved => None,
                Look::Useless(found, is_lasting) => {
                    why = found;
                    Some(found).filter(|_| is_lasting)
                }
            };
            if !patience.again(lasting) {
                return Err(refused(&place, why));
            }
        }
    }

    /// Opens `directory/name` as it is, for who looks at what others wrote: nothing is made or begun anew, whatever shape the file has. None
    /// if there is no file of this boot.
    pub fn open_as_is(directory: &Path, name: &str, boot: &[u8]) -> Result<Option<Self>, ConfigError> {
        let place = Place::new(directory, name, L::WHAT)?;
        let pace = Real::begin();
        let mut patience = Patience::new(&pace);
        loop {
            let Some(file) = place.open_if_there()? else { return Ok(None) };
            if lock(&place, &file, FlockOperation::NonBlockingLockShared)? && place.is_current(&file) {
                let found = read::<L>(&file).ok().filter(|found| found.boot == boot_word(boot));
                return found
                    .map(|Header { layout, seed, .. }| Self::mapped(place, file, layout, seed))
                    .transpose();
            }
            // Someone is initialising it.
            if !patience.again(Some(Why::Locked)) {
                return Err(refused(&place, Why::Locked));
            }
        }
    }

    fn mapped(place: Place, file: OwnedFd, layout: L, seed: Seed) -> Result<Self, ConfigError> {
        let map = Map::new(&file, layout.length()).map_err(|error| place.failed("map", error))?;
        let path = place.path().into();
        let file = Shared { path, presence: Presence::new(place), _lock: file };
        Ok(Self { memory: Memory::Map(map), layout, seed, file: Some(file) })
    }

    /// Words of this process alone, all zero.
    pub fn private(layout: L, seed: Seed) -> Self {
        let words = std::iter::repeat_with(AtomicU64::default).take(layout.length()).collect();
        Self { memory: Memory::Own(words), layout, seed, file: None }
    }

    /// Where the file is; none where the words are this process's alone.
    pub fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|file| file.path.as_path())
    }

    /// How the words are laid out.
    #[inline]
    pub fn layout(&self) -> L {
        self.layout
    }

    /// What all who share the words hash with.
    pub fn seed(&self) -> Seed {
        self.seed
    }

    /// The words, the header's first. Who writes to those of the header before the tenth harms only itself and its like.
    #[inline]
    pub fn words(&self) -> &[AtomicU64] {
        match &self.memory {
            Memory::Map(map) => map.words(),
            Memory::Own(words) => words,
        }
    }

    /// Who this process is, among those that share the words; `now` in nanoseconds since boot.
    pub(crate) fn own(&self, now: u64) -> Result<Owner, ConfigError> {
        match &self.file {
            Some(file) => file.presence.own(now),
            None => Ok(Owner::alone()),
        }
    }

    /// Whether a process that shares the words lives.
    pub(crate) fn lives(&self, owner: Owner, now: u64) -> bool {
        match &self.file {
            Some(file) => file.presence.lives(owner, now),
            None => owner == Owner::alone(),
        }
    }

    /// To be called in a forked child: gives up what says that the parent lives.
    pub fn forget_parent(&self) {
        if let Some(file) = &self.file {
            file.presence.forget();
        }
    }
}

/// What was found when a file was opened. Only what is joined stays open, with its shared lock.
enum Look<L> {
    Joined(OwnedFd, Header<L>),
    /// It was replaced or taken by another meanwhile.
    Moved,
    /// Why it cannot be joined, and whether a process that maps it is the reason.
    Useless(Why, bool),
}

impl<L: Layout> Look<L> {
    /// Opens the file, makes it anew if nobody uses it and it is not as `wanted`, and reads what it then is.
    fn at(place: &Place, wanted: &Header<L>) -> Result<Self, ConfigError> {
        let file = place.open()?;
        let alone = lock(place, &file, FlockOperation::NonBlockingLockExclusive)?;
        if !alone && !lock(place, &file, FlockOperation::NonBlockingLockShared)? {
            // Someone is initialising it.
            return Ok(Self::Useless(Why::Locked, false));
        }
        if !place.is_current(&file) {
            return Ok(Self::Moved);
        }
        if alone {
            let is_right = |found: Header<L>| found.layout == wanted.layout && found.boot == wanted.boot;
            if !read(&file).is_ok_and(is_right) {
                initialise(place, &file, wanted)?;
            }
            // Not atomic: another may get the exclusive lock in between and initialise the file anew. So
            // what is below looks again at what is there.
            if !lock(place, &file, FlockOperation::NonBlockingLockShared)? {
                return Ok(Self::Moved);
            }
        }
        // What cannot be joined is closed: without our lock it may become someone's to initialise.
        Ok(match read(&file) {
            Ok(found) if found.boot == wanted.boot => Self::Joined(file, found),
            Ok(_) => Self::Useless(Why::OtherBoot, !alone),
            Err(other) => Self::Useless(other, !alone),
        })
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

/// The header, if the file is whole; else what it is.
fn read<L: Layout>(file: &OwnedFd) -> Result<Header<L>, Why> {
    let mut page = [0; HEADER_BYTES as usize];
    let read = rustix::io::pread(file, &mut page, 0).map_err(|_| Why::Damaged)?;
    let header = Header::<L>::decode(&page)?;
    let size = rustix::fs::fstat(file).map_err(|_| Why::Damaged)?.st_size;
    let is_whole = read == page.len() && u64::try_from(size).ok() == bytes(header.layout.length());
    if is_whole { Ok(header) } else { Err(Why::Damaged) }
}

/// Makes the file one of zeros behind a header. Only under the exclusive lock: nobody maps it.
fn initialise<L: Layout>(place: &Place, file: &OwnedFd, header: &Header<L>) -> Result<(), ConfigError> {
    let make = || {
        let size = bytes(header.layout.length()).ok_or(Errno::FBIG)?;
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

/// How many bytes so many words take, if a file may have as many.
fn bytes(words: usize) -> Option<u64> {
    let bytes = words.checked_mul(size_of::<AtomicU64>())?;
    (words >= HEADER_WORDS && isize::try_from(bytes).is_ok()).then_some(bytes as u64)
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
    fn new(file: &OwnedFd, words: usize) -> Result<Self, Errno> {
        let length = bytes(words).ok_or(Errno::FBIG)?;
        if u64::try_from(rustix::fs::fstat(file)?.st_size) != Ok(length) {
            return Err(Errno::IO);
        }
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses the address, so no memory of ours is replaced; the length is not zero and is the file's. The file
        // is a regular one of ours alone (`place.rs`) and is never shortened while a process holds the shared lock,
        // which we do. What other processes write meanwhile is seen through atomics only.
        let start = unsafe {
            rustix::mm::mmap(std::ptr::null_mut(), length as usize, protection, MapFlags::SHARED, file, 0)?
        };
        Ok(Self { start, words })
    }

    /// A page of this process's own, which a child has as zeros. Its first word is [`HERE`].
    #[cfg(target_os = "linux")]
    fn wiped_on_fork() -> Result<Self, Errno> {
        let (length, protection) = (HEADER_BYTES as usize, ProtFlags::READ | ProtFlags::WRITE);
        // SAFETY: the kernel chooses the address, so no memory of ours is replaced. The memory is no file's, private, and zero.
        let start = unsafe {
            rustix::mm::mmap_anonymous(std::ptr::null_mut(), length, protection, MapFlags::PRIVATE)?
        };
        let map = Self { start, words: HEADER_WORDS };
        // SAFETY: the range is the mapping made above, which nobody else knows; the advice changes nothing of it here.
        unsafe {
            rustix::mm::madvise(start, length, rustix::mm::Advice::LinuxWipeOnFork)?;
        }
        map.words().first().ok_or(Errno::IO)?.store(HERE, Ordering::Relaxed);
        Ok(map)
    }

    #[cfg(not(target_os = "linux"))]
    fn wiped_on_fork() -> Result<Self, Errno> {
        Err(Errno::NOTSUP)
    }

    #[inline]
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

/// Says whether this is the process that made it, and not one that was forked off.
///
/// By a page that the kernel gives a child as zeros: to ask for the process's number is a system call each time. Where the
/// kernel knows no such page, that is what is done.
pub(crate) struct Own {
    page: Option<Map>,
    process: u32,
}

impl Own {
    /// Of this process.
    pub fn new() -> Self {
        Self { page: Map::wiped_on_fork().ok(), process: std::process::id() }
    }

    /// Whether this is still that process.
    #[inline]
    pub fn is_here(&self) -> bool {
        match &self.page {
            Some(page) => page.words().first().is_some_and(|word| word.load(Ordering::Relaxed) == HERE),
            None => std::process::id() == self.process,
        }
    }
}

/// What stands in the page of [`Own`]: anything but 0.
const HERE: u64 = 1;

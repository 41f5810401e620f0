//! What any room may rely on. What `limits` relies on is also tested there, as a store's promises.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::cell::{Cell, RefCell};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::patience::{LONGEST, Pace};
use super::{HEADER_WORDS, Layout, Seed, SharedWords};
use crate::error::ConfigError;

/// Rows of words, as many as it says.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rows<const VERSION: u64>(u64);

impl<const VERSION: u64> Layout for Rows<VERSION> {
    const MAGIC: u64 = u64::from_ne_bytes(*b"RAMPTEST");
    const VERSION: u64 = VERSION;
    const WHAT: &'static str = "rows";

    fn shape(&self) -> [u64; 2] {
        [self.0, !self.0]
    }

    fn of_shape([rows, complement]: [u64; 2]) -> Option<Self> {
        (rows == !complement && rows < 1 << 32).then_some(Self(rows))
    }

    fn length(&self) -> usize {
        HEADER_WORDS.saturating_add(self.0 as usize)
    }
}

/// The same letters, but another room's.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Foreign(u64);

impl Layout for Foreign {
    const MAGIC: u64 = u64::from_ne_bytes(*b"FOREIGN\0");
    const VERSION: u64 = 1;
    const WHAT: &'static str = "strangers";

    fn shape(&self) -> [u64; 2] {
        [self.0, !self.0]
    }

    fn of_shape([rows, _]: [u64; 2]) -> Option<Self> {
        Some(Self(rows))
    }

    fn length(&self) -> usize {
        HEADER_WORDS + self.0 as usize
    }
}

struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("rampart-shared-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn open<L: Layout>(&self, layout: L, seed: u8) -> Result<SharedWords<L>, ConfigError> {
        SharedWords::open(&self.0, "rows", layout, b"boot", Seed::new([seed; 16]))
    }

    fn open_by<L: Layout>(&self, pace: &impl Pace, layout: L) -> Result<SharedWords<L>, ConfigError> {
        SharedWords::open_by(pace, &self.0, "rows", layout, b"boot", Seed::new([1; 16]))
    }

    /// What is said of a file that cannot be joined, and how long that took.
    fn refusal<L: Layout>(&self, layout: L, boot: &[u8]) -> (String, Duration) {
        let pace = Told::of(|_| ());
        let opened = SharedWords::open_by(&pace, &self.0, "rows", layout, boot, Seed::new([1; 16]));
        (opened.err().unwrap().to_string(), pace.passed())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Time that passes by naps alone, and what comes to pass meanwhile.
struct Told<F>(Cell<Duration>, F);

impl<F: Fn(Duration)> Told<F> {
    fn of(meanwhile: F) -> Self {
        Self(Cell::default(), meanwhile)
    }
}

impl<F: Fn(Duration)> Pace for Told<F> {
    fn passed(&self) -> Duration {
        self.0.get()
    }

    fn nap(&self, time: Duration) {
        self.0.set(self.0.get() + time);
        (self.1)(self.0.get());
    }
}

const FIRST: usize = HEADER_WORDS;

#[test]
fn what_one_opening_writes_another_reads_and_both_have_one_seed() {
    let scratch = Scratch::new();
    let (one, other) = (scratch.open(Rows::<1>(8), 1).unwrap(), scratch.open(Rows::<1>(8), 2).unwrap());
    assert_eq!(one.words().len(), HEADER_WORDS + 8);
    assert!(one.words()[FIRST..].iter().all(|word| word.load(Ordering::SeqCst) == 0));
    one.words()[FIRST + 7].fetch_add(41, Ordering::SeqCst);
    other.words()[FIRST + 7].fetch_add(1, Ordering::SeqCst);
    assert_eq!(one.words()[FIRST + 7].load(Ordering::SeqCst), 42);
    assert_eq!(one.seed().bytes(), other.seed().bytes());
    assert_eq!(one.path(), Some(scratch.0.join("rows").as_path()));
}

#[test]
fn words_outlive_all_who_mapped_them_in_the_same_shape_alone() {
    let scratch = Scratch::new();
    let store =
        |layout| scratch.open::<Rows<1>>(layout, 1).unwrap().words()[FIRST].fetch_add(1, Ordering::SeqCst);
    assert_eq!((store(Rows(8)), store(Rows(8))), (0, 1));
    assert_eq!((store(Rows(9)), store(Rows(8))), (0, 0));
}

#[test]
fn whoever_comes_while_others_map_the_words_takes_their_shape() {
    let scratch = Scratch::new();
    let _user = scratch.open(Rows::<1>(8), 1).unwrap();
    assert_eq!(scratch.open(Rows::<1>(8000), 1).unwrap().layout(), Rows(8));
}

#[test]
fn another_version_or_another_rooms_words_are_refused_while_they_are_in_use_and_made_anew_after() {
    let scratch = Scratch::new();
    let user = scratch.open(Rows::<1>(8), 1).unwrap();
    let refusals = [scratch.refusal(Rows::<2>(8), b"boot").0, scratch.refusal(Foreign(8), b"boot").0];
    assert!(
        refusals[0].contains("the rows") && refusals[0].contains("of another release"),
        "{}",
        refusals[0]
    );
    assert!(refusals[1].contains("the strangers") && refusals[1].contains("something else in it"));
    user.words()[FIRST].store(7, Ordering::SeqCst);
    drop(user);
    assert_eq!(scratch.open(Rows::<2>(8), 1).unwrap().words()[FIRST].load(Ordering::SeqCst), 0);
}

#[test]
fn words_of_another_release_are_made_anew_when_its_last_process_ends_if_that_is_soon() {
    let scratch = Scratch::new();
    // As a rolling restart has it: the old release finishes what it began, one worker after the other.
    let open = || scratch.open(Rows::<1>(8), 1).unwrap();
    let old = RefCell::new(vec![open(), open()]);
    old.borrow()[0].words()[FIRST].store(7, Ordering::SeqCst);
    let leaving = Told::of(|passed| {
        let left =
            usize::from(passed < LONGEST / 5) + usize::from(passed < LONGEST - Duration::from_millis(5));
        old.borrow_mut().truncate(left);
    });
    let words = scratch.open_by(&leaving, Rows::<2>(8)).unwrap();
    assert!(leaving.passed() > LONGEST - Duration::from_millis(10));
    assert_eq!(words.words()[FIRST].load(Ordering::SeqCst), 0);
}

#[test]
fn words_of_another_release_that_stay_in_use_are_refused_when_the_time_is_over_and_not_before() {
    let scratch = Scratch::new();
    let _user = scratch.open(Rows::<1>(8), 1).unwrap();
    let (told, passed) = scratch.refusal(Rows::<2>(8), b"boot");
    assert!(told.contains("of another release"), "{told}");
    assert!(passed >= LONGEST && passed < LONGEST + Duration::from_millis(5), "{passed:?}");
}

#[test]
fn what_does_not_pass_is_waited_for_a_moment_alone() {
    let scratch = Scratch::new();
    let _user = scratch.open(Rows::<1>(8), 1).unwrap();
    for (_, passed) in [scratch.refusal(Foreign(8), b"boot"), scratch.refusal(Rows::<1>(8), b"another boot")]
    {
        assert!(passed > Duration::from_millis(90) && passed < Duration::from_millis(210), "{passed:?}");
    }
}

#[test]
fn whoever_stood_still_until_the_time_was_over_looks_once_more() {
    let scratch = Scratch::new();
    let old = RefCell::new(Some(scratch.open(Rows::<1>(8), 1).unwrap()));
    let stopped = Stopped(Told::of(|_| drop(old.borrow_mut().take())));
    assert!(scratch.open_by(&stopped, Rows::<2>(8)).is_ok());
}

/// A process that stands still at each nap for as long as there is time.
struct Stopped<P>(P);

impl<P: Pace> Pace for Stopped<P> {
    fn passed(&self) -> Duration {
        self.0.passed()
    }

    fn nap(&self, _: Duration) {
        self.0.nap(LONGEST);
    }
}

#[test]
fn why_a_file_in_use_is_refused_is_told_with_its_own_cure() {
    let scratch = Scratch::new();
    let user = scratch.open(Rows::<1>(8), 1).unwrap();
    let path = scratch.0.join("rows");
    let refused = |boot: &[u8]| scratch.refusal(Rows::<1>(8), boot).0;
    let other = refused(b"another boot");
    assert!(other.contains("by another clock") && other.contains("a directory of its own"), "{other}");
    // Somebody with our user id writes to it: a checksum tells.
    let written = fs::OpenOptions::new().write(true).open(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&written, &[9], 41).unwrap();
    let damaged = refused(b"boot");
    assert!(damaged.contains("is damaged") && damaged.contains("Stop all processes"), "{damaged}");
    for told in [&other, &damaged] {
        assert!(told.contains(&format!("`fuser {}`", path.display())), "{told}");
    }
    drop(user);
    // Nobody uses it any more: no cure is needed.
    assert!(scratch.open(Rows::<1>(8), 1).is_ok());
}

#[test]
fn a_file_that_somebody_holds_alone_is_waited_for_and_then_said_to_be_locked() {
    let scratch = Scratch::new();
    drop(scratch.open(Rows::<1>(8), 1).unwrap());
    let holder = fs::File::open(scratch.0.join("rows")).unwrap();
    holder.lock().unwrap();
    let told = scratch.open(Rows::<1>(8), 1).err().unwrap().to_string();
    assert!(told.contains("is locked by another program") && told.contains("holds the lock"), "{told}");
    let looked = SharedWords::<Rows<1>>::open_as_is(&scratch.0, "rows", b"boot").err().unwrap().to_string();
    assert_eq!(looked, told);
}

#[test]
fn an_unfinished_file_is_taken_once_it_is_finished_by_whoever_makes_it() {
    let scratch = Scratch::new();
    let user = scratch.open(Rows::<1>(8), 1).unwrap();
    let path = scratch.0.join("rows");
    let whole = fs::read(&path).unwrap();
    // As its maker has it before the last word is written.
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[0; 8], 64).unwrap();
    let finishing = Told::of(|_| {
        std::os::unix::fs::FileExt::write_all_at(&file, &whole[64..72], 64).unwrap();
    });
    let opened = scratch.open_by(&finishing, Rows::<1>(8)).unwrap();
    assert_eq!(opened.words().len(), HEADER_WORDS + 8);
    drop(opened);
    std::os::unix::fs::FileExt::write_all_at(&file, &[0; 8], 64).unwrap();
    let (told, _) = scratch.refusal(Rows::<1>(8), b"boot");
    assert!(told.contains("never finished"), "{told}");
    drop(user);
}

#[test]
fn a_file_of_no_use_that_nobody_maps_is_made_anew_however_many_open_it_at_once() {
    let scratch = Scratch::new();
    drop(scratch.open(Rows::<2>(8), 1).unwrap());
    let all: Vec<u64> = std::thread::scope(|scope| {
        let open = || scratch.open(Rows::<1>(8), 1).map(|words| words.seed().keyed(b"x") as u64);
        let opening: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
        opening.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect()
    });
    assert!(all.iter().all(|seed| *seed == all[0]));
}

#[test]
fn a_shape_that_a_damaged_file_says_is_not_believed() {
    let scratch = Scratch::new();
    scratch.open(Rows::<1>(8), 1).unwrap().words()[FIRST].store(7, Ordering::SeqCst);
    let path = scratch.0.join("rows");
    // A size that a checksum vouches for and the file does not have: made by whoever owns the file.
    let header = super::layout::Header { layout: Rows::<1>(1 << 31), boot: boot(), seed: Seed::new([1; 16]) };
    let mut page = header.encode();
    page[64..72].copy_from_slice(b"complete");
    let mut file = fs::read(&path).unwrap();
    file[..page.len()].copy_from_slice(&page);
    fs::write(&path, file).unwrap();
    assert_eq!(scratch.open(Rows::<1>(8), 1).unwrap().words()[FIRST].load(Ordering::SeqCst), 0);
}

#[test]
fn more_words_than_there_can_be_are_an_error_and_leave_no_space_taken() {
    let scratch = Scratch::new();
    let error = scratch.open(Rows::<1>(u64::MAX >> 2), 1).err().unwrap().to_string();
    assert!(error.contains("cannot allocate the rows"), "{error}");
    assert_eq!(fs::metadata(scratch.0.join("rows")).unwrap().len(), 0);
}

#[test]
fn words_of_one_process_are_zero_and_have_no_file() {
    let words = SharedWords::private(Rows::<1>(8), Seed::new([1; 16]));
    assert_eq!((words.words().len(), words.path()), (HEADER_WORDS + 8, None));
    assert!(words.words().iter().all(|word| word.load(Ordering::SeqCst) == 0));
    let own = words.own(1).unwrap();
    assert!(words.lives(own, 1));
}

#[test]
fn the_counters_file_begins_as_that_of_every_release_before() {
    // Workers of a release that is being replaced map the same file.
    let header = super::layout::Header { layout: Rows::<1>(3), boot: 5, seed: Seed::new([0x11; 16]) };
    let page = header.encode();
    let word = |at: usize| u64::from_le_bytes(page[at * 8..at * 8 + 8].try_into().unwrap());
    assert_eq!(word(0), u64::from_ne_bytes(*b"RAMPTEST"));
    assert_eq!([word(1), word(2), word(3), word(4)], [1, 3, !3, 5]);
    assert_eq!([word(5), word(6)], [0x1111_1111_1111_1111; 2]);
    assert_eq!((word(7), word(8)), (CHECKSUM, 0));
}

fn boot() -> u64 {
    super::layout::boot_word(b"boot")
}

/// SipHash-2-4, with a key of zeros, of the seven words before it; computed apart from this code.
const CHECKSUM: u64 = 0x5157_cf28_ba7e_38c4;

//! By what a process is known to live, and what is no proof that it does not.

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use super::*;
use crate::limits::Limits;

fn open(scratch: &file::Scratch, quotas: &str) -> Limits {
    let store = scratch.open(65_536, "boot", 7).unwrap();
    Limits::new(store, vec![entry("scope", quotas, Kind::Text)], Prefix::default(), None).unwrap()
}

fn begin(limits: &Limits, key: &str, now: u64) -> Option<Reservation> {
    limits.reserve(&[key], NonZeroU32::MIN, false, HostTime(now)).unwrap().1
}

fn beside(limits: &Limits, name: &str) -> PathBuf {
    limits.store().path().unwrap().with_file_name(name)
}

#[test]
fn looking_whether_a_process_lives_makes_no_files() {
    let scratch = file::Scratch::new();
    let limits = open(&scratch, "1 concurrent");
    // All of the table is taken.
    let mut flood = Bench::on(limits.store().clone(), &["1/year"]);
    flood.now = NOW;
    for key in 0..20_000 {
        flood.check(&[&key.to_string()]);
    }
    for nth in 0..2000 {
        begin(&limits, "a", NOW + nth * 4_321_987);
    }
    let files = std::fs::read_dir(limits.store().path().unwrap().parent().unwrap()).unwrap().count();
    assert!(files <= 3, "{files} files in the directory of a table that one process uses");
}

#[test]
fn a_process_whose_file_was_swept_away_or_emptied_is_not_dead() {
    let scratch = file::Scratch::new();
    let (one, other) = (open(&scratch, "1 concurrent"), open(&scratch, "1 concurrent"));
    assert!(begin(&one, "a", NOW).is_some() && begin(&other, "b", NOW).is_some());
    std::fs::remove_file(beside(&one, "counters.w0")).unwrap();
    assert!(begin(&other, "a", NOW).is_none(), "two in progress under 1 concurrent");
    std::fs::write(beside(&one, "counters.w0"), b"").unwrap();
    assert!(begin(&other, "a", NOW + SECOND).is_none(), "two in progress under 1 concurrent");
}

#[test]
fn a_number_that_was_taken_4095_times_does_not_revive_the_dead() {
    let scratch = file::Scratch::new();
    let other = open(&scratch, "1 concurrent");
    assert!(begin(&other, "other", NOW).is_some());
    let killed = open(&scratch, "1 concurrent");
    assert!(begin(&killed, "a", NOW).is_some());
    drop(killed);
    for _ in 0..4094 {
        begin(&open(&scratch, "1 concurrent"), "b", NOW);
    }
    let last = open(&scratch, "1 concurrent");
    begin(&last, "b", NOW);
    assert!(begin(&other, "a", NOW).is_some(), "the dead one lives again");
}

#[test]
fn a_process_that_goes_on_touches_its_file_so_that_it_is_not_swept() {
    let scratch = file::Scratch::new();
    let limits = open(&scratch, "5 concurrent");
    assert!(begin(&limits, "a", NOW).is_some());
    let file = std::fs::File::options().write(true).open(beside(&limits, "counters.w0")).unwrap();
    let old = SystemTime::now() - Duration::from_secs(90_000);
    let age = || file.metadata().unwrap().modified().unwrap().elapsed().unwrap();
    file.set_modified(old).unwrap();
    assert!(begin(&limits, "a", NOW + SECOND).is_some());
    assert!(age() > Duration::from_secs(80_000), "not each time");
    assert!(begin(&limits, "a", NOW + 3601 * SECOND).is_some());
    assert!(age() < Duration::from_secs(100));
}

#[test]
fn a_refusal_among_many_processes_looks_at_each_ten_times_a_second_and_no_more() {
    // Opening the files of all of them took up to a millisecond, each time.
    let scratch = file::Scratch::new();
    let open: Vec<_> = (0..16).map(|_| open(&scratch, "20 concurrent")).collect();
    let held: Vec<_> = (0..20).map(|nth| begin(&open[nth % 16], "a", NOW)).collect();
    assert!(held.iter().all(Option::is_some));
    let refusals = |paces: u64| {
        let start = Instant::now();
        for nth in 0..1000 {
            assert!(begin(&open[0], "a", NOW + nth * paces).is_none());
        }
        start.elapsed()
    };
    let (looking, believing) = (refusals(SECOND), refusals(100));
    assert!(believing * 2 < looking, "{believing:?} to {looking:?}");
}

const NOW: u64 = 5_000 * SECOND;

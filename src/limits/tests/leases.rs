//! What limits on what is in progress promise, of either store.

use super::*;
use crate::limits::Limits;

fn set(store: Arc<Store>, quotas: &str) -> Limits {
    Limits::new(store, vec![entry("scope", quotas, Kind::Text)], Prefix::default(), None).unwrap()
}

fn begin(limits: &Limits, key: &str) -> Option<Reservation> {
    limits.reserve(&[key], NonZeroU32::MIN, false, NOW).unwrap().1
}

fn so_many_at_once_and_each_that_ends_makes_room(make: Make) {
    let limits = set(make(1000), "3 concurrent");
    let mut held: Vec<_> = (0..3).map(|_| begin(&limits, "a").unwrap()).collect();
    let (refused, none) = limits.reserve(&["a"], NonZeroU32::MIN, false, NOW).unwrap();
    assert!(!refused.admitted && none.is_none());
    assert_eq!((refused.remaining, refused.retry_after()), (0, 1));
    assert!(begin(&limits, "b").is_some(), "another key has places of its own");
    limits.end(&mut held[1], NOW);
    limits.end(&mut held[1], NOW);
    let again = begin(&limits, "a").unwrap();
    assert!(begin(&limits, "a").is_none());
    drop(again);
    assert!(begin(&limits, "a").is_none(), "only who says so ends");
}

fn what_another_limit_refuses_is_not_in_progress(make: Make) {
    let limits = set(make(1000), "2 concurrent; 1/hour");
    let mut first = begin(&limits, "a").unwrap();
    limits.end(&mut first, NOW);
    for _ in 0..5 {
        assert!(begin(&limits, "a").is_none());
    }
    let (verdict, _) = limits.reserve(&["a"], NonZeroU32::MIN, false, NOW).unwrap();
    assert_eq!(limits.limit(verdict.limit).unwrap().1.text(), "1/hour");
    let none_left = set(make(1000), "1/hour; 2 concurrent");
    assert!(begin(&none_left, "a").is_some());
}

fn what_costs_nothing_takes_no_place_and_is_never_refused(make: Make) {
    let limits = set(make(100), "1 concurrent");
    let free = |limits: &Limits| limits.reserve(&["a"], &[0_u32][..], false, NOW).unwrap().0.admitted;
    assert!(free(&limits) && free(&limits));
    assert!(begin(&limits, "a").is_some(), "nobody has taken the place");
    assert!(free(&limits) && limits.peek(&["a"], &[0_u32][..], NOW).unwrap().admitted);
}

fn a_place_that_was_given_back_is_free_whatever_the_next_one_s_clock_read(make: Make) {
    // The clock is read before the table is: another worker may have read it a microsecond earlier.
    let limits = set(make(100), "1 concurrent");
    let mut held = begin(&limits, "a").unwrap();
    limits.end(&mut held, HostTime(NOW.0 + 2000));
    assert!(begin(&limits, "a").is_some());
}

fn what_is_in_progress_must_be_reserved(make: Make) {
    let limits = set(make(10), "3 concurrent");
    assert!(limits.check(&["a"], NonZeroU32::MIN, NOW).is_err());
    assert!(limits.peek(&["a"], NonZeroU32::MIN, NOW).unwrap().admitted);
}

fn threads_never_hold_more_places_than_there_are(make: Make) {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    let limits = set(make(1000), "5 concurrent");
    let (held, most, admitted) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..5_000 {
                    let Some(mut lease) = begin(&limits, "a") else { continue };
                    most.fetch_max(held.fetch_add(1, SeqCst) + 1, SeqCst);
                    admitted.fetch_add(1, SeqCst);
                    std::thread::yield_now();
                    held.fetch_sub(1, SeqCst);
                    limits.end(&mut lease, NOW);
                }
            });
        }
    });
    assert!(most.load(SeqCst) <= 5, "{most:?}");
    assert!(admitted.load(SeqCst) > 5_000);
    let all: Vec<_> = (0..5).map(|_| begin(&limits, "a")).collect();
    assert!(all.iter().all(Option::is_some), "none is stuck");
}

fn without_room_nothing_begins_and_nothing_is_forgotten(make: Make) {
    let limits = set(make(8), "1 concurrent");
    let held: Vec<_> = (0..3000).map(|key| begin(&limits, &key.to_string())).collect();
    for (key, lease) in held.iter().enumerate() {
        if lease.is_some() {
            assert!(begin(&limits, &key.to_string()).is_none());
        }
    }
}

fn what_nobody_ended_is_forgotten_after_a_day(make: Make) {
    let limits = set(make(100), "1 concurrent");
    assert!(begin(&limits, "a").is_some());
    let later = |hours: u64| HostTime(NOW.0 + hours * 3600 * SECOND);
    let at = |hours| limits.reserve(&["a"], NonZeroU32::MIN, false, later(hours)).unwrap().0.admitted;
    assert!(!at(23));
    assert!(at(25));
}

#[test]
fn what_is_in_progress_counts_in_every_opening_of_the_table() {
    let scratch = file::Scratch::new();
    let open = || set(scratch.open(65_536, "boot", 7).unwrap(), "2 concurrent");
    let (one, other) = (open(), open());
    let mut first = begin(&one, "a").unwrap();
    assert!(begin(&other, "a").is_some());
    assert!(begin(&one, "a").is_none(), "both openings are of this process, and live");
    one.end(&mut first, NOW);
    assert!(begin(&other, "a").is_some());
    drop(one);
    assert!(begin(&other, "a").is_none());
}

#[test]
fn what_an_opening_that_is_gone_held_is_free_within_a_tenth_of_a_second() {
    // As when a process was killed: its lock is dropped, its places are not given back.
    let scratch = file::Scratch::new();
    let open = || set(scratch.open(65_536, "boot", 7).unwrap(), "2 concurrent");
    let other = open();
    {
        let killed = open();
        assert!(begin(&killed, "a").is_some() && begin(&killed, "a").is_some());
        assert!(begin(&other, "a").is_none(), "and the killed one was seen to live");
    }
    let later = HostTime(NOW.0 + SECOND / 9);
    let at_last = || other.reserve(&["a"], NonZeroU32::MIN, false, later).unwrap().1;
    assert_eq!(other.peek(&["a"], NonZeroU32::MIN, later).unwrap().remaining, 2);
    let held = [at_last(), at_last()];
    assert!(held.iter().all(Option::is_some) && at_last().is_none());
    // The number that it had is another's now, and that one is not mistaken for it.
    let next = open();
    assert!(begin(&next, "a").is_none());
}

#[test]
fn of_several_limits_too_the_places_of_the_dead_are_free() {
    let scratch = file::Scratch::new();
    let open = || set(scratch.open(65_536, "boot", 7).unwrap(), "1 concurrent; 100/hour");
    let other = open();
    let killed = open();
    assert!(begin(&killed, "a").is_some());
    drop(killed);
    assert!(begin(&other, "a").is_some() && begin(&other, "a").is_none());
}

const NOW: HostTime = HostTime(1_000_000 * super::SECOND);

on_either_store! {
    so_many_at_once_and_each_that_ends_makes_room
    what_another_limit_refuses_is_not_in_progress
    what_costs_nothing_takes_no_place_and_is_never_refused
    a_place_that_was_given_back_is_free_whatever_the_next_one_s_clock_read
    what_is_in_progress_must_be_reserved
    threads_never_hold_more_places_than_there_are
    without_room_nothing_begins_and_nothing_is_forgotten
    what_nobody_ended_is_forgotten_after_a_day
}

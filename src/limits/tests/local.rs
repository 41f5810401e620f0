//! What the store in memory promises beyond [`super::check`]: its bound, its sweep, its overflow, its threads.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use super::*;
use crate::limits::counters::{Counters, Moment, Place};
use crate::limits::key::LimitKey;

const YEAR: u64 = 360 * 86_400 * SECOND;

fn used(bench: &Bench) -> usize {
    bench.limits.store().used(HostTime(bench.now))
}

fn admitted(bench: &Bench, keys: impl Iterator<Item = String>) -> usize {
    keys.filter(|key| bench.check(&[key]).admitted).count()
}

fn names(prefix: &str, count: usize) -> impl Iterator<Item = String> {
    (0..count).map(move |i| format!("{prefix} {i}"))
}

/// What 8 threads admit together.
fn together(burst: impl Fn(usize) -> usize + Sync) -> usize {
    std::thread::scope(|scope| {
        let burst = &burst;
        let threads: Vec<_> = (0..8).map(|thread| scope.spawn(move || burst(thread))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    })
}

#[test]
fn a_flood_of_keys_makes_exactly_as_many_counters_as_there_is_room_for() {
    for keys in [1, 2, 7, 8, 9, 63, 64, 1000, 5000] {
        let bench = Bench::on(local(keys), &["1/year"]);
        let passed = admitted(&bench, names("flood", 20_000));
        assert_eq!(used(&bench), keys as usize, "{keys}");
        assert_eq!(bench.limits.store().capacity(), keys as usize);
        assert!((keys as usize..=keys as usize + 64).contains(&passed), "{passed} of {keys}");
    }
}

#[test]
fn a_store_holds_at_least_one_key_and_at_most_what_it_says() {
    for keys in [0, (1 << 28) + 1, u32::MAX] {
        let error = Store::local(keys, Seed::new([7; 16])).err().unwrap().to_string();
        assert!(error.contains("1 to 268435456"), "{error}");
    }
}

#[test]
fn a_live_counter_outlasts_any_number_of_sweeps() {
    let bench = Bench::on(local(64), &["1/year"]);
    assert_eq!(admitted(&bench, names("resident", 40)), 40);
    let mut passers = Bench::on(bench.limits.store().clone(), &["1/second"]);
    for round in 0..500 {
        admitted(&passers, names(&round.to_string(), 30));
        passers.now += SECOND;
        assert!(used(&bench) <= 64);
    }
    assert_eq!(admitted(&bench, names("resident", 40)), 0);
}

#[test]
fn while_an_eighth_is_full_every_new_key_finds_room() {
    // Residents in one block, which the sweep has to cross while others come and go.
    let bench = Bench::on(local(800), &["1/year"]);
    assert_eq!(admitted(&bench, names("resident", 600)), 600);
    let mut passers = Bench::on(bench.limits.store().clone(), &["1/second"]);
    for round in 0..300 {
        assert_eq!(admitted(&passers, names(&round.to_string(), 80)), 80, "round {round}");
        assert_eq!(used(&passers), 680, "round {round}: a key has overflowed");
        passers.now += SECOND;
    }
}

#[test]
fn a_store_that_has_run_off_is_as_good_as_new() {
    let mut bench = Bench::on(local(200), &["1/year"]);
    for _ in 0..5 {
        assert!(admitted(&bench, names("flood", 10_000)) >= 200);
        assert_eq!(used(&bench), 200);
        bench.now += YEAR;
        assert_eq!(used(&bench), 0);
    }
    assert_eq!(admitted(&bench, names("later", 200)), 200);
}

#[test]
fn without_room_all_keys_of_a_limit_share_sixty_four_strict_counters() {
    let bench = Bench::on(local(8), &["3/year"]);
    admitted(&bench, names("resident", 8));
    assert_eq!(admitted(&bench, names("flood", 10_000)), 64 * 3);
    assert_eq!(bench.peek(&["flood 0"]).remaining, 0);
    assert!(!bench.peek(&["never seen"]).admitted);
    // Those who have a counter notice nothing.
    assert_eq!(admitted(&bench, names("resident", 8)), 8);
    // Nor does another limit.
    assert!(Bench::on(bench.limits.store().clone(), &["1/hour"]).check(&["flood 0"]).admitted);
}

#[test]
fn a_key_that_gets_a_counter_late_has_spent_what_it_spent_in_overflow() {
    let mut bench = Bench::on(local(1), &["4/year"]);
    let minute = Bench::on(bench.limits.store().clone(), &["1/minute"]);
    minute.check(&["resident"]);
    bench.spend(&["a"], 3);
    assert_eq!(used(&bench), 1, "it overflowed");
    bench.now += 60 * SECOND;
    assert_eq!(used(&bench), 0);
    assert!(bench.check(&["a"]).admitted);
    assert_eq!(used(&bench), 1, "it has a counter");
    let refused = bench.check(&["a"]);
    assert_eq!((refused.admitted, refused.wait), (false, YEAR / 4 - 60 * SECOND));
}

#[test]
fn what_a_lost_race_charged_to_overflow_is_given_back_there() {
    // One limit has its counters, the other overflows: all or nothing is charged all the same.
    let store = local(1);
    let bench = Bench::on(store, &["1000000/year; 500/year"]);
    let passed = together(|_| (0..200).filter(|_| bench.check(&["a"]).admitted).count());
    assert_eq!(passed, 500);
    assert_eq!(Bench::on(bench.limits.store().clone(), &["1000000/year"]).peek(&["a"]).remaining, 999_500);
}

#[test]
fn eight_threads_admit_a_burst_to_the_cell() {
    for keys in [1, 1000] {
        let bench = Bench::on(local(keys), &["5000/year"]);
        if keys == 1 {
            // Then the burst goes to an overflow counter.
            Bench::on(bench.limits.store().clone(), &["1/year"]).check(&["resident"]);
        }
        assert_eq!(together(|_| (0..1000).filter(|_| bench.check(&["a"]).admitted).count()), 5000);
    }
}

#[test]
fn threads_that_meet_a_new_key_make_one_counter() {
    let bench = Bench::on(local(20_000), &["3/year"]);
    let passed = together(|_| (0..2000).map(|i| admitted(&bench, names(&i.to_string(), 1))).sum());
    assert_eq!(passed, 2000 * 3);
    assert_eq!(used(&bench), 2000);
}

#[test]
fn a_counter_that_appears_while_its_key_overflows_is_no_second_quota() {
    // Places come free at once and all the time, while every thread spends for the same few keys.
    for round in 0..40 {
        let store = local(2);
        let mut bench = Bench::on(store.clone(), &["50/year"]);
        let filler = Bench::on(store, &["1/second"]);
        filler.check(&["x"]);
        filler.check(&["y"]);
        let late = bench.now + SECOND;
        let early = HostTime(bench.now);
        let key = round.to_string();
        let passed = together(|thread| {
            // Half of the threads read their clocks a second later: for them there is room.
            let now = if thread % 2 == 0 { early } else { HostTime(late) };
            (0..40).filter(|_| bench.limits.check(&[&key], NonZeroU32::MIN, now).unwrap().admitted).count()
        });
        assert!(passed <= 50, "{passed}");
        bench.now = late;
        assert!(!bench.check(&[&key]).admitted);
    }
}

#[test]
fn no_counter_can_be_made_for_a_key_in_the_middle_of_its_overflow() {
    let store = local(1);
    let quota = Quota::parse("1/second").unwrap().remove(0);
    let limit = LimitKey::new(store.seed(), "s", &quota, 2);
    let (resident, key) = (limit.counter(b"resident"), limit.counter(b"a"));
    // One cell: charged if there is none yet.
    let take = |moment: Moment, tat: Option<u64>| {
        if tat.unwrap_or(0) > moment.now { Err("refused") } else { Ok(((), moment.empty())) }
    };
    let early = Moment::new(1000, 500);
    // Late enough that the resident's counter is full, so there is room; too early for another cell.
    let late = Moment::new(1200, 500);
    let counters = store.counters();
    counters.measure_and_replace(&resident, Moment::new(1000, 100), &|_| Ok::<_, ()>(((), 1100))).unwrap();

    let rivals = &counters;
    std::thread::scope(|scope| {
        let (asked, rival) = (Cell::new(0), Cell::new(None));
        let ours = counters.measure_and_replace(&key, early, &|tat| {
            asked.set(asked.get() + 1);
            if asked.get() == 2 {
                // There was no room, and the overflow counter is being charged.
                let (done, wait) = mpsc::channel();
                rival.set(Some(scope.spawn(move || {
                    let theirs = rivals.measure_and_replace(&key, late, &|tat| take(late, tat));
                    let _ = done.send(());
                    theirs
                })));
                // A rival that has to wait for us cannot be waited for.
                let _ = wait.recv_timeout(Duration::from_millis(100));
            }
            take(early, tat)
        });
        assert_eq!(ours, Ok(((), Place::Spill)));
        assert_eq!(rival.take().unwrap().join().unwrap(), Err("refused"));
    });
}

#[test]
fn a_flood_from_eight_threads_stays_within_the_bound_while_it_lasts() {
    let bench = Bench::on(local(500), &["1/second"]);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut most = 0;
            while !done.load(Ordering::Relaxed) {
                most = most.max(bench.limits.store().used(HostTime(1)));
            }
            most
        });
        together(|thread| {
            let flood = (0..5000u64).filter(|i| {
                // Each request comes 4 ms after the one before, so counters run off all the time.
                let now = HostTime(bench.now + i * 4_000_000);
                bench.limits.check(&[format!("{thread} {i}")], NonZeroU32::MIN, now).unwrap().admitted
            });
            flood.count()
        });
        done.store(true, Ordering::Relaxed);
        let most = watcher.join().unwrap();
        assert!((250..=500).contains(&most), "{most}");
    });
}

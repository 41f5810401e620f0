//! Workers that count at once.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

#[test]
fn workers_share_one_count_and_one_of_them_tells() {
    let trial = Trial::of(vec![rule("scan", Signs::NOT_FOUND, Subject::Address, Measure::Count, 4000, 3600)]);
    // So that no two of them meet the address for the first time at once.
    trial.fold(&request(1, 0, Signs::NOT_FOUND));
    let told = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1000 {
                    told.fetch_add(trial.fold(&request(1, 1, Signs::NOT_FOUND)).len(), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(told.into_inner(), 1);
}

#[test]
fn nobody_is_accused_of_what_another_did_who_had_their_place() {
    // A table that is far too small, so that places change hands all the time, and a threshold that nobody reaches.
    let trial = Trial::of(vec![rule("scan", Signs::NOT_FOUND, Subject::Address, Measure::Count, 40, 3600)]);
    std::thread::scope(|scope| {
        for worker in 0..4_u32 {
            let trial = &trial;
            scope.spawn(move || {
                for n in 0..60_000 {
                    // Each address nine times at most: below a quarter of the way, so it may be forgotten.
                    let seen = request((worker << 24) | (n / 9), 5, Signs::NOT_FOUND);
                    assert_eq!(trial.fold(&seen), []);
                }
            });
        }
    });
}

#[test]
fn the_claim_of_a_dead_process_is_void_after_two_seconds() {
    let trial = Trial::of(vec![rule("scan", Signs::NOT_FOUND, Subject::Address, Measure::Count, 2, 60)]);
    // As processes leave it that are killed while each takes a place: all names are claims.
    let windows = trial.engine.layout().windows;
    for word in &trial.words[..windows.end()][64 + 40_000..] {
        word.store(1 << 63 | 100, Ordering::SeqCst);
    }
    for at in [101, 101, 103] {
        assert_eq!(trial.fold(&request(1, at, Signs::NOT_FOUND)), []);
    }
    assert_eq!(trial.fold(&request(1, 103, Signs::NOT_FOUND)), [finding(0, Subject::Address, 2)]);
}

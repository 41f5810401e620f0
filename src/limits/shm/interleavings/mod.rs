//! What holds in every order in which the steps of several processes can fall.
//!
//! Each table has two buckets of one slot, so that two keys already contend. `explorer` does the searching.

#![allow(clippy::unwrap_used, clippy::panic)]

mod explorer;

use std::cell::Cell;

use explorer::{ORDERLY, Process, Rules, STEALING, charge, explore, holding, key, quota_of, refund};

use super::layout::{claim_is_stale, claim_mark};
use super::table::Tried;
use super::words::Words;

const NOW: u64 = 1_000_000_000_000;
const ONCE: &str = "1/year";
const TWICE: &str = "2/year";

#[test]
fn the_search_finds_a_lost_update() {
    let increment = || -> Process {
        Box::new(|table, _| {
            let seen = table.words.load(5);
            Tried::Done(table.words.compare_exchange(5, seen, seen + 1).is_ok().into())
        })
    };
    let lost = Cell::new(false);
    explore(ORDERLY, holding([(0, 0), (0, 0)]), &[increment(), increment()], None, |ending| {
        lost.set(lost.get() || ending.words[5] == 1);
    });
    assert!(lost.get());
}

#[test]
fn two_inserts_of_one_key_make_one_counter() {
    let a = key(7, 0);
    for rules in [ORDERLY, STEALING] {
        let processes = [charge(a, TWICE, NOW), charge(a, TWICE, NOW)];
        let states = explore(rules, holding([(0, 0), (0, 0)]), &processes, None, |ending| {
            let taken = ending.admitted() + ending.left(a, TWICE, NOW);
            assert!(taken <= 2, "{:?}", ending.results);
            assert!(ending.tired || taken == 2, "a cell was lost: {:?}", ending.results);
        });
        assert!(states > 500, "{states}");
    }
}

#[test]
fn three_inserts_of_one_key_make_one_counter() {
    let a = key(7, 0);
    let processes = [charge(a, TWICE, NOW), charge(a, TWICE, NOW), charge(a, TWICE, NOW)];
    let rules = Rules { patience: 1, ..ORDERLY };
    explore(rules, holding([(0, 0), (8, NOW * 9)]), &processes, None, |ending| {
        assert!(ending.admitted() + ending.left(a, TWICE, NOW) <= 2, "{:?}", ending.results);
    });
}

#[test]
fn a_charge_that_meets_a_reclaim_is_lost_by_no_one() {
    // Key 7 was quiet and is charged; key 8 wants its slot, the only free one.
    let (a, b) = (key(7, 0), key(8, 0));
    for rules in [ORDERLY, STEALING] {
        let words = holding([(7, NOW - 5), (9, NOW * 9)]);
        explore(rules, words, &[charge(a, ONCE, NOW), charge(b, ONCE, NOW)], None, |ending| {
            for (i, key) in [a, b].into_iter().enumerate() {
                let taken = ending.results[i].unwrap() + ending.left(key, ONCE, NOW);
                assert!(taken <= 1, "key {i} was admitted {taken} times: {:?}", ending.results);
            }
        });
    }
}

#[test]
fn two_keys_that_want_one_slot_are_both_counted() {
    let (a, b) = (key(7, 0), key(8, 1));
    for rules in [ORDERLY, STEALING] {
        let words = holding([(0, 0), (9, NOW * 9)]);
        explore(rules, words, &[charge(a, ONCE, NOW), charge(b, ONCE, NOW)], None, |ending| {
            for (i, key) in [a, b].into_iter().enumerate() {
                assert!(ending.results[i].unwrap() + ending.left(key, ONCE, NOW) <= 1);
            }
        });
    }
}

#[test]
fn a_process_that_dies_at_any_step_wedges_no_key() {
    let a = key(7, 0);
    for words in [holding([(0, 0), (0, 0)]), holding([(8, NOW - 5), (9, NOW * 9)])] {
        explore(ORDERLY, words, &[charge(a, TWICE, NOW)], Some(0), |ending| {
            // The next caller waits no longer than a claim is honoured. The dead one took one cell with it, or none.
            let left = ending.left(a, TWICE, NOW);
            assert!((1..=2).contains(&left), "{left} {:?}", ending.words);
        });
    }
}

#[test]
fn a_process_that_dies_at_any_step_gives_nothing_away() {
    let a = key(7, 0);
    let processes = [charge(a, ONCE, NOW), charge(a, ONCE, NOW)];
    explore(ORDERLY, holding([(0, 0), (0, 0)]), &processes, Some(0), |ending| {
        assert!(ending.admitted() + ending.left(a, ONCE, NOW) <= 1);
    });
}

#[test]
fn a_claim_of_a_dead_process_is_stolen_at_once_when_it_is_old() {
    let mark = claim_mark(NOW - 2_000_000_000, 0);
    // It died before renaming, and after.
    for name in [0, 7] {
        let a = key(7, 0);
        let rules = Rules { nap: 0, patience: 1 };
        explore(rules, holding([(name, mark), (8, NOW * 9)]), &[charge(a, ONCE, NOW)], None, |ending| {
            assert_eq!(ending.results, [Some(1)]);
            assert!(!ending.tired);
            assert_eq!(ending.left(a, ONCE, NOW), 0);
        });
    }
}

#[test]
fn an_owner_that_wakes_up_after_its_claim_was_stolen_harms_no_one() {
    // The second comes 5 ms later and so steals whatever the first has claimed, wherever that one stands still.
    let (a, b) = (key(7, 0), key(8, 0));
    let late = NOW + 5_000_000;
    for rules in [ORDERLY, STEALING] {
        let words = holding([(0, 0), (9, NOW * 9)]);
        explore(rules, words, &[charge(a, ONCE, NOW), charge(b, ONCE, late)], None, |ending| {
            for (i, key) in [a, b].into_iter().enumerate() {
                assert!(ending.results[i].unwrap() + ending.left(key, ONCE, late) <= 1);
            }
        });
        let words = holding([(0, 0), (0, 0)]);
        explore(rules, words, &[charge(a, ONCE, NOW), charge(a, ONCE, late)], None, |ending| {
            assert!(ending.admitted() + ending.left(a, ONCE, late) <= 1);
        });
    }
}

#[test]
fn an_owner_that_wakes_up_between_two_others_harms_no_one() {
    let (a, b) = (key(7, 0), key(8, 0));
    let late = NOW + 5_000_000;
    let rules = Rules { nap: 0, patience: 1 };
    let processes = [charge(a, ONCE, NOW), charge(b, ONCE, late), charge(a, ONCE, late)];
    explore(rules, holding([(0, 0), (9, NOW * 9)]), &processes, None, |ending| {
        let taken = ending.results[0].unwrap() + ending.results[2].unwrap() + ending.left(a, ONCE, late);
        assert!(taken <= 1, "{:?}", ending.results);
        assert!(ending.results[1].unwrap() + ending.left(b, ONCE, late) <= 1);
    });
}

#[test]
fn what_was_spent_in_the_overflow_is_not_forgiven_by_a_slot() {
    // For the first process both slots are live; for the second, a moment later, one has become free.
    let a = key(7, 0);
    for rules in [ORDERLY, STEALING] {
        let words = holding([(8, NOW + 50), (9, NOW * 9)]);
        explore(rules, words, &[charge(a, ONCE, NOW), charge(a, ONCE, NOW + 100)], None, |ending| {
            let taken = ending.admitted() + ending.left(a, ONCE, NOW + 100);
            assert!(taken <= 1, "{:?} {:?}", ending.results, ending.words);
        });
    }
}

#[test]
fn a_refund_that_meets_a_charge_gives_back_one_cell_once() {
    let a = key(7, 0);
    let full = NOW + quota_of(TWICE).fill();
    let processes = [charge(a, TWICE, NOW), refund(a, TWICE, NOW)];
    explore(ORDERLY, holding([(7, full), (9, NOW * 9)]), &processes, None, |ending| {
        assert!(ending.tired || ending.admitted() + ending.left(a, TWICE, NOW) == 1);
    });
}

#[test]
fn a_refund_that_meets_a_reclaim_gives_a_stranger_nothing() {
    // Key 7's charge has just run off, so its slot is key 8's for the taking.
    let (a, b) = (key(7, 0), key(8, 0));
    let words = holding([(7, NOW + 10), (9, NOW * 9)]);
    let processes = [refund(a, ONCE, NOW), charge(b, ONCE, NOW + 20)];
    explore(ORDERLY, words, &processes, None, |ending| {
        assert!(ending.admitted() + ending.left(b, ONCE, NOW + 20) <= 1, "{:?}", ending.results);
    });
}

#[test]
fn a_claim_is_honoured_for_two_milliseconds() {
    for made in [0, NOW, NOW + (1 << 55), (1 << 62) - 1] {
        let mark = claim_mark(made, 5);
        assert!(!claim_is_stale(mark, made));
        assert!(!claim_is_stale(mark, made + 1_900_000));
        assert!(claim_is_stale(mark, made + 2_100_000));
        assert!(claim_is_stale(mark, made + 3_600_000_000_000));
        // A reader whose clock is a little late honours it; one of quite another clock does not.
        assert!(!claim_is_stale(mark, made.saturating_sub(500_000_000)));
        assert!(made == 0 || claim_is_stale(mark, made - 2_000_000_000));
    }
    assert_ne!(claim_mark(NOW, 1), claim_mark(NOW, 2));
}

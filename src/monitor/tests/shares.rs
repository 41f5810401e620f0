//! Whose mark goes for a new one in a full table.

use super::super::share::{Held, shed};
use super::*;

const HOUR: u64 = 3_600_000;

/// Marks, each of a wide network, a narrow one in it and an account.
fn held(of: &[(u64, u64, u64)]) -> Vec<Held> {
    let near = |index: usize| 100 - index as u64;
    let party = |&(wide, narrow, account): &(u64, u64, u64)| {
        Party::of(super::super::share::source_of(wide, narrow), account)
    };
    of.iter()
        .enumerate()
        .map(|(index, of)| Held { party: party(of), near: near(index), is_kept: false })
        .collect()
}

fn goes(of: &[(u64, u64, u64)], newcomer: (u64, u64, u64), most: usize) -> Option<(usize, bool)> {
    shed(&held(of), held(&[newcomer])[0].party, most)
}

#[test]
fn who_has_most_goes_of_one_network_or_of_one_account() {
    let mut of: Vec<_> = (1..=12).map(|n| (n, n, n)).collect();
    of.extend([(50, 1, 20), (50, 1, 21), (50, 1, 22), (50, 1, 23)]);
    assert_eq!(goes(&of, (60, 1, 60), usize::MAX), Some((15, true)), "of a network, what ends first");
    assert_eq!(goes(&of, (50, 1, 60), usize::MAX), Some((15, false)), "its own, if it is of it");
    for (index, of) in of.iter_mut().skip(12).enumerate() {
        *of = (70 + index as u64, 1, 20);
    }
    assert_eq!(goes(&of, (60, 1, 60), usize::MAX), Some((15, true)), "of an account");
    assert_eq!(goes(&of, (60, 1, 20), usize::MAX), Some((15, false)));
}

#[test]
fn a_wide_network_may_have_as_much_as_four_narrow_ones() {
    // Ten /48s of one /32, with one each; three employees in an office; three others.
    let mut of: Vec<_> = (1..=10).map(|n| (50, n, n)).collect();
    of.extend([(60, 1, 20), (60, 1, 21), (60, 1, 22), (70, 1, 30), (71, 1, 31), (72, 1, 32)]);
    assert_eq!(goes(&of, (80, 1, 80), usize::MAX), Some((12, false)));
    of.extend([(50, 11, 11), (50, 12, 12), (50, 13, 13)]);
    assert_eq!(goes(&of, (80, 1, 80), usize::MAX), Some((18, true)));
}

#[test]
fn among_equals_the_wider_network_goes_and_whoever_is_another_was_not_pushed_out() {
    // One account out of sixteen /48s of one /32.
    let of: Vec<_> = (1..=16).map(|n| (50, n, 7)).collect();
    assert_eq!(goes(&of, (60, 1, 7), usize::MAX), Some((15, true)));
    assert_eq!(goes(&of, (50, 99, 7), usize::MAX), Some((15, false)));
    // Sixteen networks that have nothing to do with each other: it may have been.
    let of: Vec<_> = (1..=16).map(|n| (n, n, 7)).collect();
    assert_eq!(goes(&of, (60, 1, 7), usize::MAX), Some((15, false)));
    assert_eq!(goes(&[], (60, 1, 7), usize::MAX), None);
}

#[test]
fn who_has_their_places_takes_their_own_whoever_has_more() {
    let mut of: Vec<_> = (1..=12).map(|n| (50, 1, n)).collect();
    of.extend([(60, 1, 20), (61, 1, 20), (62, 1, 20), (63, 1, 20)]);
    assert_eq!(goes(&of, (64, 1, 20), 4), Some((15, false)));
    assert_eq!(goes(&of, (64, 1, 20), 5), Some((11, true)));
}

#[test]
fn one_principal_pushes_out_no_step_up_of_others_with_any_number_of_tokens() {
    let trial = Trial::of(vec![]);
    let (engine, words) = (&trial.engine, &trial.words[..]);
    let token = |n: u64| u64::MAX / 5000 * (n + 1);
    let mark = |n: u64, principal: u64, source: u32, until: u64| {
        let on = (Response::StepUp, token(n), Party::of(source, principal));
        engine.mark_of(words, on, 5, Mark { until, since: NOON }, None)
    };
    for stolen in 0..50 {
        mark(stolen, 1000 + stolen, stolen as u32 * 4096, HOUR);
    }
    // From everywhere, and lasting longer.
    for own in 50..4000 {
        assert!(mark(own, 7, own as u32 * 4096, 2 * HOUR).is_some());
    }
    let left = (0..50).filter(|&n| engine.marked(words, Response::StepUp, token(n), 5).is_some());
    assert_eq!(left.count(), 50);
}

#[test]
fn of_paces_the_one_that_is_used_up_least_goes() {
    let trial = Trial::of(vec![]);
    let (engine, words) = (&trial.engine, &trial.words[..]);
    let mark = Mark { until: HOUR, since: NOON };
    let put = |n: u64| {
        let subject = u64::MAX / 5000 * (n + 1);
        engine.mark_of(
            words,
            (Response::Pace, subject, Party::of(4096 * n as u32, n)),
            0,
            mark,
            Some((30_000, 5)),
        );
        subject
    };
    let spent = put(0);
    assert_eq!([0; 6].map(|_| engine.try_now(words, Response::Pace, spent, 0)), [0, 0, 0, 0, 0, 30_000]);
    for n in 1..4000 {
        let subject = put(n);
        engine.try_now(words, Response::Pace, subject, 0);
    }
    assert!(engine.marked(words, Response::Pace, spent, 0).is_some());
}

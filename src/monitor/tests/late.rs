//! What is folded after what came later: workers fold their notes in turn, and one that was idle folds old ones.

use super::*;

fn asks(trial: &Trial, at: u64, place: u64, signs: Signs) -> Vec<Finding> {
    let place = place.to_be_bytes();
    let known = Known { address: &[192, 0, 2, 1], place: &place, ..Known::default() };
    trial.fold(&keys().observe(&known, at, NOON + at, Signs::REQUEST.with(signs), 0))
}

fn scan() -> Rule {
    let mut scan = rule("scan", Signs::NOT_FOUND, Subject::Address, Measure::Distinct(Item::Places), 40, 300);
    (scan.among, scan.share) = (Signs::REQUEST, 0.5);
    scan
}

#[test]
fn a_note_of_a_half_that_was_forgotten_adds_nothing_to_the_present_one() {
    let trial = Trial::of(vec![scan()]);
    for place in 0..38 {
        assert_eq!(asks(&trial, 901, place, Signs::NOT_FOUND), []);
    }
    for place in 100..110 {
        assert_eq!(asks(&trial, 601, place, Signs::NOT_FOUND), [], "of two halves before");
        assert_eq!(asks(&trial, 301, place, Signs::NOT_FOUND), [], "of four halves before");
    }
    assert_eq!(asks(&trial, 902, 0, Signs::NOT_FOUND), []);
    let found: Vec<Finding> = (38..50).flat_map(|place| asks(&trial, 902, place, Signs::NOT_FOUND)).collect();
    assert_eq!(found.len(), 1, "what is of the present counts on");
}

#[test]
fn a_late_note_waives_nobodys_share() {
    let trial = Trial::of(vec![scan()]);
    for n in 0..1000 {
        assert_eq!(asks(&trial, 901, 0, Signs::READ), []);
        if n % 16 == 0 {
            assert_eq!(asks(&trial, 901, n, Signs::NOT_FOUND), []);
        }
    }
    assert_eq!(asks(&trial, 601, 5000, Signs::NOT_FOUND), [], "an idle worker's last note");
}

#[test]
fn hits_are_a_share_only_of_halves_of_which_it_is_known_among_how_many_they_were() {
    let trial = Trial::of(vec![scan()]);
    for n in 0..200 {
        assert_eq!(asks(&trial, 451, 0, Signs::READ), []);
        if n < 35 {
            assert_eq!(asks(&trial, 451, n, Signs::NOT_FOUND), []);
        }
    }
    for at in [601, 751] {
        for _ in 0..20 {
            assert_eq!(asks(&trial, at, 0, Signs::READ), []);
        }
    }
    // The requests since have taken the place of those of the half before; the hits of it are still there.
    for place in 100..110 {
        assert_eq!(asks(&trial, 601, place, Signs::NOT_FOUND), [], "ten of thirty, after 35 of 235");
    }
}

#[test]
fn who_does_nothing_of_that_among_which_it_must_be_has_all_of_the_share() {
    let mut scan = scan();
    scan.among = Signs::READ;
    let trial = Trial::of(vec![scan]);
    let found: Vec<Finding> = (0..60).flat_map(|place| asks(&trial, 901, place, Signs::NOT_FOUND)).collect();
    assert_eq!(found.len(), 1);
}

/// What is found of a token's requests, each at a second and out of a network, as they are folded.
fn switches(folded: &[(u64, u8)]) -> usize {
    let trial = Trial::of(vec![rule("replay", Signs::REQUEST, Subject::Token, Measure::Switches, 8, 600)]);
    let fold = |&(at, network): &(u64, u8)| {
        let known = Known { address: &[10, network, 0, 1], token: b"jti", ..Known::default() };
        trial.fold(&keys().observe(&known, at, NOON + at, Signs::REQUEST, 0)).len()
    };
    folded.iter().map(fold).sum()
}

#[test]
fn one_move_from_a_network_to_another_is_one_however_many_workers_saw_it() {
    // Each worker folds a request of before the move and one of after it.
    let workers: Vec<(u64, u8)> = (0..12).flat_map(|worker| [(100 + worker, 1), (160 + worker, 2)]).collect();
    assert_eq!(switches(&workers), 0);
}

#[test]
fn changes_within_five_seconds_are_one_move_and_eight_of_them_in_ten_minutes_are_too_many() {
    // A telephone that has requests under way in both networks, each time that it moves.
    let moves = |count: u64, each: u64| -> Vec<(u64, u8)> {
        (0..count)
            .flat_map(|round| (0..5).map(move |n| (1000 + round * each + n, ((round + n) % 2) as u8)))
            .collect()
    };
    assert_eq!(switches(&moves(6, 100)), 0);
    assert_eq!(switches(&moves(9, 60)), 1);
    let in_turn =
        |each: u64| -> Vec<(u64, u8)> { (0..9).map(|n| (1000 + n * each, (n % 2) as u8)).collect() };
    assert_eq!(switches(&in_turn(4)), 0);
    assert_eq!(switches(&in_turn(5)), 1, "at the boundary");
}

#[test]
fn a_token_that_two_networks_use_in_turn_is_seen_by_workers_that_fold_by_turns() {
    // Each second is both networks', half of it each worker's; workers fold every other second.
    let folded: Vec<(u64, u8)> = (0..40)
        .flat_map(|turn| {
            let worker = turn % 2;
            (0..4).map(move |n| (turn + n / 2, ((n + worker) % 2) as u8))
        })
        .collect();
    assert_eq!(switches(&folded), 1);
}

#[test]
fn a_late_note_of_a_night_is_not_held_against_what_the_morning_is() {
    let measure = Measure::Unusual(Quantity::Hours);
    let trial = Trial::of(vec![rule("night", Signs::REQUEST, Subject::Principal, measure, 20, 3600)]);
    let at = |hour: u64| {
        let known = Known { principal: b"ada", ..Known::default() };
        trial.fold(&keys().observe(&known, hour * 3600, NOON + hour * 3600, Signs::REQUEST, 1)).len()
    };
    let working = (0..28).flat_map(|day| (9..17).map(move |hour| day * 24 + hour));
    assert_eq!(working.flat_map(|hour| [hour; 25]).map(at).sum::<usize>(), 0);
    assert_eq!([28 * 24 + 9; 25].into_iter().map(at).sum::<usize>(), 0);
    assert_eq!(at(28 * 24 + 3), 0, "of three, counted at nine");
    assert_eq!(at(28 * 24 + 8), 0, "of eight, counted at nine");
    assert_eq!([29 * 24 + 3; 25].into_iter().map(at).sum::<usize>(), 1, "a night is unusual all the same");
}

#[test]
fn any_second_can_be_counted() {
    for measure in [Measure::Count, Measure::Bytes, Measure::Switches, Measure::Distinct(Item::Places)] {
        let trial = Trial::of(vec![rule("scan", Signs::NOT_FOUND, Subject::Caller, measure, 1000, 2)]);
        for at in [0, 1, 1 << 40, u64::MAX] {
            let seen = Observation { at, now: at, unix: at, ..request(1, 0, Signs::NOT_FOUND) };
            assert_eq!(trial.fold(&seen), []);
        }
    }
}

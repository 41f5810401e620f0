use super::*;

fn unusual(quantity: Quantity, threshold: u64) -> Trial {
    let measure = Measure::Unusual(quantity);
    Trial::of(vec![rule("unusual", Signs::REQUEST, Subject::Principal, measure, threshold, 3600)])
}

/// So many requests of a principal, in an hour since the beginning.
fn hour(trial: &Trial, hour: u64, requests: u64, signs: Signs, bytes: u64) -> usize {
    let known = Known { principal: b"ada", ..Known::default() };
    (0..requests)
        .map(|n| {
            let at = hour * 3600 + n * 3600 / requests;
            trial.fold(&keys().observe(&known, at, NOON + at, Signs::REQUEST.with(signs), bytes)).len()
        })
        .sum()
}

/// Weeks of working days from nine to five, with some chance in it.
fn weeks(trial: &Trial, weeks: u64) -> usize {
    let mut chance = 12345_u64;
    let mut found = 0;
    for day in (0..weeks * 7).filter(|day| day % 7 < 5) {
        for at in 9..17 {
            chance = chance.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            found += hour(trial, day * 24 + at, 40 + (chance >> 33) % 60, Signs(0), 2000);
        }
    }
    found
}

#[test]
fn nothing_is_unusual_before_enough_was_learned() {
    let trial = unusual(Quantity::Requests, 10);
    assert_eq!(hour(&trial, 0, 20_000, Signs(0), 100), 0);
    assert_eq!(hour(&trial, 1, 30_000, Signs(0), 100), 0);
}

#[test]
fn usual_weeks_are_not_unusual_and_a_hundredfold_hour_is() {
    let trial = unusual(Quantity::Requests, 10);
    assert_eq!(weeks(&trial, 3), 0);
    assert_eq!(hour(&trial, 21 * 24 + 10, 2000, Signs(0), 100), 1, "once in the hour");
}

#[test]
fn one_attack_does_not_make_the_next_one_usual() {
    let trial = unusual(Quantity::Requests, 10);
    weeks(&trial, 3);
    for day in 21..26 {
        assert_eq!(hour(&trial, day * 24 + 10, 5000, Signs(0), 100), 1);
    }
}

#[test]
fn much_more_than_usual_given_out_is_seen() {
    let trial = unusual(Quantity::Bytes, 10 << 20);
    assert_eq!(weeks(&trial, 3), 0);
    assert_eq!(hour(&trial, 21 * 24 + 10, 50, Signs(0), 10 << 20), 1);
}

#[test]
fn errors_of_the_server_are_not_its_clients() {
    let trial = unusual(Quantity::Errors, 10);
    weeks(&trial, 3);
    assert_eq!(hour(&trial, 21 * 24 + 10, 60, Signs::SERVER_ERROR, 100), 0);
    assert_eq!(hour(&trial, 21 * 24 + 11, 60, Signs::CLIENT_ERROR, 100), 1);
}

#[test]
fn who_works_by_day_is_unusual_at_three_in_the_night() {
    let trial = unusual(Quantity::Hours, 5);
    assert_eq!(weeks(&trial, 3), 0);
    assert_eq!(hour(&trial, 21 * 24 + 17, 30, Signs(0), 100), 0, "an hour later than ever is nothing");
    assert_eq!(hour(&trial, 22 * 24 + 3, 4, Signs(0), 100), 0, "four requests are nothing");
    assert_eq!(hour(&trial, 23 * 24 + 3, 30, Signs(0), 100), 1);
}

#[test]
fn a_job_that_runs_each_night_is_usual() {
    let trial = Trial::of(
        [Quantity::Hours, Quantity::Requests, Quantity::Bytes]
            .map(|quantity| {
                let measure = Measure::Unusual(quantity);
                rule("unusual", Signs::REQUEST, Subject::Principal, measure, 100, 3600)
            })
            .into(),
    );
    for day in 0..30 {
        assert_eq!(hour(&trial, day * 24 + 2, 3000 + day % 7 * 100, Signs(0), 4000), 0);
    }
}

//! What a flood of keys does to others, and what it does not.

use super::window::bench;
use super::*;
use crate::limits::bans::{Bans, Penalty, What};
use crate::limits::{Limits, Stores};

fn set(stores: impl Into<Stores>, quotas: &str) -> Limits {
    Limits::new(stores, vec![entry("scope", quotas, Kind::Text)], Prefix::default(), None).unwrap()
}

fn begin(limits: &Limits, key: &str, now: u64) -> Option<Reservation> {
    limits.reserve(&[key], NonZeroU32::MIN, false, HostTime(now)).unwrap().1
}

fn what_is_in_progress_has_room_of_its_own(make: Make) {
    let counters = make(1000);
    let mut flood = Bench::on(counters.clone(), &["1000/day"]);
    for key in 0..3 * counters.capacity() {
        flood.check(&[&key.to_string()]);
    }
    flood.now += SECOND;
    let limits = set(Stores { counters, places: make(1000) }, "20 concurrent; 1000/hour");
    let begun = (0..200).filter(|key| begin(&limits, &key.to_string(), flood.now).is_some()).count();
    assert_eq!(begun, 200);
    let one_for_all = set(flood.limits.store().clone(), "20 concurrent");
    let begun = (0..200).filter(|key| begin(&one_for_all, &key.to_string(), flood.now).is_some()).count();
    assert!(begun < 200, "otherwise this tells nothing: {begun}");
}

fn strikes_leave_half_of_the_room_to_bans(make: Make) {
    let bans = Bans::new(make(1000), Prefix::default(), None);
    let now = HostTime(5_000 * SECOND);
    let penalty = Penalty { after: 2, within: 3600 * SECOND, length: 3600 * SECOND, longest: 3600 * SECOND };
    let token = |key: u32| bans.token(What::Key, &key.to_le_bytes()).unwrap();
    let victims = 0..200;
    for key in victims.clone() {
        assert_eq!(bans.strike("login", token(key), &penalty, now), None);
    }
    for key in 1000..20_000 {
        bans.strike("login", token(key), &penalty, now);
    }
    let banned = |key: &u32| bans.strike("login", token(*key), &penalty, now).is_some();
    assert_eq!(victims.filter(banned).count(), 200, "who was struck before the flood is banned in it");
    let by_hand = |key: &u32| bans.ban(token(*key), SECOND, now);
    assert_eq!((500..700).filter(by_hand).count(), 200);
}

fn who_has_a_counter_pays_nothing_for_the_overflow_of_others(make: Make) {
    for quota in ["5/minute", "5/minute fixed", "5/minute sliding"] {
        let store = make(200);
        let mut bench = bench(store.clone(), quota);
        let mut flood = Bench::on(store, &["1/year"]);
        bench.now -= bench.now % (60 * SECOND);
        flood.now = bench.now;
        let residents: Vec<_> = (0..64).map(|key| format!("resident {key}")).collect();
        for key in &residents {
            assert!(bench.check(&[key]).admitted);
        }
        for key in 0..8000 {
            flood.check(&[&key.to_string()]);
        }
        for key in 0..2000 {
            for _ in 0..5 {
                bench.check(&[&format!("new {key}")]);
            }
        }
        let refused = residents.iter().filter(|key| !bench.check(&[key]).admitted).count();
        assert_eq!(
            refused, 0,
            "{quota}: so many refused of 64 with a counter of their own and one cell of five spent"
        );
    }
}

fn who_is_refused_for_what_others_spent_is_not_to_blame(make: Make) {
    for quota in ["5/day", "5/day fixed", "5/day sliding"] {
        let bench = bench(make(200), quota);
        let spend = |key: &str| {
            (0..5).for_each(|_| _ = bench.check(&[key]));
            bench.check(&[key])
        };
        assert_eq!(bench.limits.striking(&spend("resident")), [0], "{quota}");
        for key in 0..8000 {
            bench.check(&[&key.to_string()]);
        }
        let strangers = (0..200).map(|key| spend(&format!("stranger {key}")));
        let refused: Vec<_> = strangers.filter(|verdict| !verdict.admitted).collect();
        let blamed = refused.iter().filter(|verdict| !bench.limits.striking(verdict).is_empty()).count();
        assert!(refused.len() > 150 && blamed == 0, "{quota}: {blamed} of {}", refused.len());
        assert!(refused.iter().all(|verdict| bench.limits.refusing(verdict) == [0]));
        assert_eq!(bench.limits.striking(&bench.check(&["resident"])), [0], "{quota}");
        assert_eq!(bench.limits.striking(&bench.peek(&["resident"])), [0], "{quota}");
    }
}

fn what_is_cleared_is_cleared_in_the_overflow_too(make: Make) {
    for quota in ["5/day", "5/day fixed", "5/day sliding"] {
        let store = make(8);
        let mut bench = bench(store.clone(), quota);
        let mut flood = Bench::on(store, &["1/minute"]);
        flood.now = bench.now;
        for key in 0..8000 {
            flood.check(&[&key.to_string()]);
        }
        let strangers: Vec<_> = (0..1000).map(|key| format!("stranger {key}")).collect();
        for key in strangers.iter().flat_map(|key| std::iter::repeat_n(key, 5)) {
            bench.check(&[key]);
        }
        // The flood is over and the table is empty; the overflow counters are not.
        bench.now += 600 * SECOND;
        for key in &strangers {
            bench.limits.clear(&[key], HostTime(bench.now)).unwrap();
            assert!(bench.check(&[key]).admitted, "{quota}");
        }
    }
}

#[test]
fn a_large_table_deals_strangers_out_among_more_overflow_counters() {
    let store = file::Scratch::new().open(8 << 20, "boot", 7).unwrap();
    assert!(store.stripes() > 900, "{}", store.stripes());
    assert_eq!((local(1).stripes(), shared(8).stripes()), (64, 64));
}

on_either_store! {
    what_is_in_progress_has_room_of_its_own
    strikes_leave_half_of_the_room_to_bans
    who_has_a_counter_pays_nothing_for_the_overflow_of_others
    what_is_cleared_is_cleared_in_the_overflow_too
    who_is_refused_for_what_others_spent_is_not_to_blame
}

//! What a flood of keys does to others, and what it does not.

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

macro_rules! on_either_store {
    ($($promise:ident)*) => {
        mod in_memory {
            $(#[test] fn $promise() { super::$promise(super::local); })*
        }
        mod shared {
            $(#[test] fn $promise() { super::$promise(super::super::shared); })*
        }
    };
}

on_either_store! {
    what_is_in_progress_has_room_of_its_own
    strikes_leave_half_of_the_room_to_bans
}

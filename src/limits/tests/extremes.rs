//! That no time, no cost and no quota breaks the arithmetic: in a debug build any sum that overflows panics.

use super::window::{DAY, Days};
use super::*;
use crate::limits::Now;
use crate::limits::bans::{Bans, Penalty, What};

const EXTREMES: [&str; 12] = [
    "4294967295/second",
    "4294967295/second fixed",
    "4294967295/second sliding",
    "4294967295/4294967 seconds sliding",
    "1/100 years",
    "100/100 years burst 100",
    "1/12 years sliding",
    "4294967295/12 years sliding",
    "1/second fixed",
    "1/second sliding",
    "1024 concurrent",
    "1 concurrent",
];

#[test]
fn no_time_and_no_cost_overflows() {
    let mut dice = Dice(17);
    let costs = [0, 1, 2, 1 << 16, (1 << 31) - 1, 1 << 31, u32::MAX - 1, u32::MAX];
    for make in [local as Make, shared] {
        for quota in EXTREMES {
            let store = make(64);
            let entries = vec![entry("scope", quota, Kind::Text)];
            let limits = Limits::new(store, entries, Prefix::default(), Some(Arc::new(Days))).unwrap();
            let mut held = Vec::new();
            for _ in 0..600 {
                let base = [0, 1, 5_000 * SECOND, 1 << 32, 1 << 61, 1 << 62, 1 << 63, u64::MAX]
                    [dice.below(8) as usize];
                let host = base.saturating_add(dice.below(1 << 40)).saturating_sub(dice.below(1 << 40));
                // The wall clock ends in the year 2554.
                let unix = host.min(u64::MAX - 3 * DAY * SECOND);
                let now = Now { host: HostTime(host), unix };
                let mut cost = || costs[dice.below(8) as usize];
                let key = ["a", "b", "c"][(host % 3) as usize];
                let (verdict, one) = limits.reserve(&[key], &[cost()][..], cost() == 1, now).unwrap();
                assert_eq!(verdict.admitted, one.is_some());
                held.extend(one);
                let actual = cost();
                if let Some(one) = held.last_mut() {
                    limits.settle(one, 0, actual, now).unwrap();
                }
                if held.len() > 20 {
                    limits.end(&mut held.remove(0), now);
                }
                limits.peek(&[key], &[cost()][..], now).unwrap();
                if host.is_multiple_of(7) {
                    limits.clear(&[key], now).unwrap();
                }
            }
        }
        let bans = Bans::new(make(64), Prefix::default(), None);
        for _ in 0..2000 {
            let base =
                [0, 1, 5_000 * SECOND, 1 << 32, 1 << 61, 1 << 62, 1 << 63, u64::MAX][dice.below(8) as usize];
            let now = HostTime(base.saturating_add(dice.below(1 << 40)));
            let mut time = || [0, 1, SECOND, DAY * SECOND, 788_400_000 * SECOND][dice.below(5) as usize];
            let penalty = Penalty { after: 1, within: time(), length: time(), longest: time() };
            let token = bans.token(What::Key, b"a").unwrap();
            bans.strike("x", token, &penalty, now);
            bans.ban(token, penalty.length, now);
            bans.lift(token, now);
            bans.address_banned("192.0.2.1", now);
        }
    }
}

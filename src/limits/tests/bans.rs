//! What bans promise when workers strike at once, and when their clocks were read a moment apart.

use super::*;
use crate::limits::bans::{Bans, Penalty, What};

fn penalty(after: u32) -> Penalty {
    Penalty { after, within: 60 * SECOND, length: 60 * SECOND, longest: 30 * DAY * SECOND }
}

#[test]
fn strikes_begin_anew_after_a_ban_whatever_the_next_one_s_clock_read() {
    let bans = Bans::new(local(100), Prefix::default(), None);
    let token = bans.token(What::Key, b"a").unwrap();
    let now = 5_000_123_456_789;
    for _ in 0..3 {
        bans.strike("login", token, &penalty(3), HostTime(now));
    }
    bans.lift(token, HostTime(now - 1000));
    let ban = bans.strike("login", token, &penalty(3), HostTime(now - 1000));
    assert_eq!(ban, None, "one strike by a worker that read its clock a microsecond earlier");
}

#[test]
fn of_workers_that_strike_at_once_exactly_one_bans() {
    let start = std::time::Instant::now();
    let clock = || HostTime(5_000 * SECOND + start.elapsed().as_nanos() as u64);
    let (mut not_once, rounds) = (0, 3000);
    for round in 0..rounds {
        let bans = Bans::new(local(1000), Prefix::default(), None);
        let token = bans.token(What::Key, format!("{round}").as_bytes()).unwrap();
        let banned: usize = std::thread::scope(|scope| {
            let strike =
                || (0..6).filter(|_| bans.strike("login", token, &penalty(3), clock()).is_some()).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(strike)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        not_once += usize::from(banned != 1);
    }
    assert_eq!(
        not_once, 0,
        "of {rounds} bursts, so many did not ban exactly once, and each doubles the next ban"
    );
}

#[test]
fn a_ban_by_hand_is_not_doubled_by_strikes_that_were_on_their_way() {
    let bans = Bans::new(local(100), Prefix::default(), None);
    let token = bans.token(What::Key, b"a").unwrap();
    let now = HostTime(5_000 * SECOND);
    bans.ban(token, 10 * SECOND, now);
    assert_eq!(bans.strike("login", token, &penalty(1), now), None);
    let later = HostTime(5_011 * SECOND);
    assert_eq!(bans.strike("login", token, &penalty(1), later).map(|ban| ban.level), Some(1));
}

#[test]
fn each_further_ban_lasts_twice_as_long() {
    let bans = Bans::new(local(100), Prefix::default(), None);
    let token = bans.token(What::Key, b"a").unwrap();
    let mut now = 5_000 * SECOND;
    for level in 1..6 {
        let ban =
            (0..3).filter_map(|_| bans.strike("login", token, &penalty(3), HostTime(now))).next().unwrap();
        assert_eq!((ban.level, ban.length), (level, (60 << (level - 1)) * SECOND));
        now += ban.length;
        assert_eq!(bans.banned(token, HostTime(now)), 0);
    }
}

#[test]
fn strikes_further_apart_than_they_must_fall_do_not_ban() {
    let bans = Bans::new(local(100), Prefix::default(), None);
    let token = bans.token(What::Key, b"a").unwrap();
    let penalty = Penalty { after: 3, within: SECOND, length: 60 * SECOND, longest: 60 * SECOND };
    let mut latest = 0;
    for apart in 1..100 {
        let start = (5_000 + apart * 100) * SECOND;
        let strikes = [0, apart * SECOND / 20, apart * SECOND / 10];
        if strikes.iter().any(|after| bans.strike("x", token, &penalty, HostTime(start + after)).is_some()) {
            latest = apart * 100;
        }
    }
    assert!(latest <= 1000 + 4_300, "\"3 in 1 second\" bans for three in {latest} ms");
}

const DAY: u64 = 86_400;

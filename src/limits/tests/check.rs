//! What a check promises of either store.

use super::*;
use crate::limits::LATEST;

const QUOTAS: [&str; 8] = [
    "1/second",
    "7/minute",
    "60/minute burst 20",
    "1000/day",
    "3/second burst 1",
    "1000000/second burst 7",
    "1/year",
    "5/10 seconds burst 9",
];

fn the_burst_passes_at_once_and_not_one_more(make: Make) {
    let bench = Bench::on(make(1000), &["60/minute burst 20"]);
    let verdicts: Vec<_> = (0..25).map(|_| bench.check(&["a"])).collect();
    assert_eq!(verdicts.iter().filter(|verdict| verdict.admitted).count(), 20);
    assert_eq!(verdicts[0].remaining, 19);
    assert_eq!(verdicts[19].remaining, 0);
    assert_eq!(verdicts[20].wait, SECOND);
}

fn the_wait_it_reports_is_exactly_when_the_next_request_passes(make: Make) {
    let mut dice = Dice(1);
    for text in QUOTAS {
        let quota = Quota::parse(text).unwrap().remove(0);
        let mut bench = Bench::on(make(1000), &[text]);
        let mut refusals = 0;
        for _ in 0..2000 {
            let cost = 1 + dice.below(u64::from(quota.burst().min(5))) as u32;
            let verdict = bench.spend(&["a"], cost);
            if verdict.admitted {
                bench.now += dice.below(quota.interval());
                continue;
            }
            refusals += 1;
            assert!(verdict.wait > 0);
            if bench.now > LATEST / 2 {
                bench = Bench::on(make(1000), &[text]);
                continue;
            }
            bench.now += verdict.wait - 1;
            assert!(!bench.spend(&["a"], cost).admitted, "{text}: passed a nanosecond early");
            bench.now += 1;
            assert!(bench.spend(&["a"], cost).admitted, "{text}: did not pass when it was told to");
        }
        assert!(refusals > 100, "{text}: {refusals}");
    }
}

fn of_several_limits_the_wait_is_that_of_the_last_to_admit(make: Make) {
    let mut dice = Dice(2);
    let mut bench = Bench::on(make(1000), &["5/second; 20/minute burst 8", "100/hour burst 10"]);
    let mut refusals = 0;
    for round in 0..3000 {
        let keys = [["a", "b"][round % 2], "shared"];
        let verdict = bench.check(&keys);
        if verdict.admitted {
            bench.now += dice.below(SECOND * 4);
            continue;
        }
        refusals += 1;
        bench.now += verdict.wait - 1;
        assert!(!bench.check(&keys).admitted);
        bench.now += 1;
        assert!(bench.check(&keys).admitted);
    }
    assert!(refusals > 100);
}

fn no_schedule_is_admitted_more_than_burst_and_refill(make: Make) {
    let mut dice = Dice(3);
    for text in QUOTAS {
        let quota = Quota::parse(text).unwrap().remove(0);
        for _ in 0..20 {
            let mut bench = Bench::on(make(1000), &[text]);
            let start = bench.now;
            let pace = 1 + dice.below(quota.interval() * 3);
            let mut cells = 0;
            for _ in 0..300 {
                bench.now += dice.below(pace);
                let cost = 1 + dice.below(3) as u32;
                if bench.spend(&["a"], cost).admitted {
                    cells += u64::from(cost);
                }
                let elapsed = bench.now - start;
                assert!(cells <= u64::from(quota.burst()) + elapsed / quota.interval(), "{text}");
            }
        }
    }
}

fn a_refused_request_is_charged_nothing_anywhere(make: Make) {
    // limits: with 100/hour;2/day, four requests refused by the day still burnt four of the hour.
    let bench = Bench::on(make(1000), &["100/hour; 2/day", "50/hour"]);
    for _ in 0..10 {
        bench.check(&["a", "b"]);
    }
    let hour = Bench::on(bench.limits.store().clone(), &["100/hour"]);
    assert_eq!(hour.peek(&["a"]).remaining, 98);
    assert_eq!(bench.peek(&["fresh", "b"]).remaining, 2);
    let refused = bench.check(&["a", "b"]);
    assert_eq!(bench.limits.limit(refused.limit).unwrap().1.text(), "2/day");
}

fn a_refusal_names_the_limit_with_the_longest_wait(make: Make) {
    let bench = Bench::on(make(1000), &["1/second; 1/hour; 1/minute"]);
    bench.check(&["a"]);
    let refused = bench.check(&["a"]);
    assert_eq!(bench.limits.limit(refused.limit).unwrap().1.text(), "1/hour");
    assert_eq!(refused.retry_after(), 3600);
}

fn a_lost_race_gives_back_what_was_charged(make: Make) {
    // Eight threads, one scarce limit behind an ample one: the ample one is charged what passed, and no more.
    let store = make(1000);
    let bench = Bench::on(store.clone(), &["1000000/year; 500/year"]);
    let admitted: usize = std::thread::scope(|scope| {
        let takers: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| (0..200).filter(|_| bench.check(&["a"]).admitted).count()))
            .collect();
        takers.into_iter().map(|taker| taker.join().unwrap()).sum()
    });
    assert_eq!(admitted, 500);
    assert_eq!(Bench::on(store, &["1000000/year"]).peek(&["a"]).remaining, 999_500);
}

fn few_rates_are_decided_as_any_limits_are(make: Make) {
    // Few rates are checked apart, without allocating (`rates`); what is reserved never is.
    let sets: [&[&str]; 3] =
        [&["7/minute burst 5"], &["5/second; 20/minute burst 8", "100/hour burst 10"], &["3/minute"; 4]];
    let mut dice = Dice(5);
    for quotas in sets {
        let (mut apart, mut alike) = (Bench::on(make(1000), quotas), Bench::on(make(1000), quotas));
        let mut refusals = 0;
        for _ in 0..2000 {
            let keys = vec![["a", "b", "c"][dice.below(3) as usize]; quotas.len()];
            let cost = NonZeroU32::new(1 + dice.below(12) as u32 / 4).unwrap();
            let verdict = apart.limits.check(&keys, cost, HostTime(apart.now)).unwrap();
            let (other, _) = alike.limits.reserve(&keys, cost, false, HostTime(alike.now)).unwrap();
            assert_eq!(verdict, other, "{quotas:?}");
            refusals += usize::from(!verdict.admitted);
            apart.now += dice.below(SECOND * 6);
            alike.now = apart.now;
        }
        assert!((100..1900).contains(&refusals), "{quotas:?}: {refusals}");
    }
}

fn peek_charges_nothing_and_says_what_check_would(make: Make) {
    let bench = Bench::on(make(1000), &["3/minute"]);
    assert_eq!(bench.peek(&["a"]).remaining, 3);
    bench.check(&["a"]);
    for _ in 0..10 {
        assert_eq!(bench.peek(&["a"]).remaining, 2);
    }
    bench.spend(&["a"], 2);
    assert_eq!(bench.peek(&["a"]), bench.check(&["a"]));
}

fn a_cost_is_charged_whole_or_not_at_all(make: Make) {
    let bench = Bench::on(make(1000), &["10/hour"]);
    assert!(bench.spend(&["a"], 7).admitted);
    let refused = bench.spend(&["a"], 4);
    assert_eq!((refused.admitted, refused.remaining), (false, 3));
    assert!(bench.spend(&["a"], 3).admitted);
}

fn a_cost_above_the_burst_never_passes(make: Make) {
    let mut bench = Bench::on(make(1000), &["10/hour; 1/100 years"]);
    for cost in [2, 11, u32::MAX] {
        let refused = bench.spend(&["a"], cost);
        assert!(!refused.admitted && refused.wait > 0);
        bench.now += refused.wait;
        assert!(!bench.spend(&["a"], cost).admitted);
    }
    assert!(bench.check(&["a"]).admitted, "and charges nothing");
}

fn what_was_not_spent_is_given_back(make: Make) {
    let bench = Bench::on(make(1000), &["10/hour"]);
    let mut reserved = bench.reserve(&["a"], 6).unwrap();
    bench.settle(&mut reserved, 4);
    assert_eq!(bench.peek(&["a"]).remaining, 6);
    bench.settle(&mut reserved, 4);
    assert_eq!(bench.peek(&["a"]).remaining, 6, "twice the same is once");
    bench.settle(&mut reserved, 0);
    assert_eq!(bench.peek(&["a"]).remaining, 10);
    assert_eq!((0..20).filter(|_| bench.check(&["a"]).admitted).count(), 10);
    assert!(bench.reserve(&["a"], 1).is_none());
}

fn what_time_has_repaid_is_not_given_back_as_well(make: Make) {
    // Held until the counter is full again, ten wrong passwords, and then ten more for what comes back.
    let mut bench = Bench::on(make(1000), &["10/hour"]);
    let mut held: Vec<_> = (0..10).map(|_| bench.reserve(&["a"], 1).unwrap()).collect();
    bench.now += 3600 * SECOND;
    assert_eq!((0..20).filter(|_| bench.check(&["a"]).admitted).count(), 10);
    for reservation in &mut held {
        bench.settle(reservation, 0);
    }
    assert!(!bench.check(&["a"]).admitted);
}

fn half_repaid_is_half_given_back(make: Make) {
    let mut bench = Bench::on(make(1000), &["10/hour"]);
    let mut reserved = bench.reserve(&["a"], 10).unwrap();
    bench.now += 1800 * SECOND;
    assert_eq!(bench.peek(&["a"]).remaining, 5);
    bench.settle(&mut reserved, 0);
    assert_eq!(bench.peek(&["a"]).remaining, 10);
}

fn a_counter_that_others_keep_low_gets_all_of_it_back(make: Make) {
    let mut bench = Bench::on(make(1000), &["100/hour"]);
    assert!(bench.spend(&["a"], 80).admitted);
    let mut reserved = bench.reserve(&["a"], 20).unwrap();
    bench.now += 360 * SECOND;
    bench.settle(&mut reserved, 5);
    assert_eq!(bench.peek(&["a"]).remaining, 25, "10 came back by time, 15 were given back");
}

fn what_was_spent_beyond_the_estimate_is_owed(make: Make) {
    let mut bench = Bench::on(make(1000), &["10/hour"]);
    let mut reserved = bench.reserve(&["a"], 1).unwrap();
    bench.settle(&mut reserved, 15);
    bench.now += 1800 * SECOND;
    let refused = bench.check(&["a"]);
    assert_eq!(
        (refused.admitted, refused.wait),
        (false, 360 * SECOND),
        "5 that were owed are paid, none is left"
    );
    bench.now += 360 * SECOND;
    assert!(bench.check(&["a"]).admitted);
}

fn who_owes_can_owe_as_much_as_the_counter_holds_and_no_more(make: Make) {
    let mut bench = Bench::on(make(1000), &["10/hour"]);
    let mut reserved = bench.reserve(&["a"], 1).unwrap();
    bench.settle(&mut reserved, u32::MAX);
    assert_eq!(bench.check(&["a"]).wait, 3600 * SECOND + 360 * SECOND);
    bench.now += 3960 * SECOND;
    assert!(bench.check(&["a"]).admitted);
}

fn an_estimate_above_all_that_a_limit_holds_can_be_capped(make: Make) {
    // BerriAI/litellm#29191: an estimate of 1,024 tokens refused the first request of each small quota.
    let bench = Bench::on(make(1000), &["100/minute"]);
    let now = HostTime(bench.now);
    assert!(bench.limits.reserve(&["a"], NonZeroU32::new(1024).unwrap(), false, now).unwrap().0.never);
    let (verdict, reserved) =
        bench.limits.reserve(&["a"], NonZeroU32::new(1024).unwrap(), true, now).unwrap();
    assert!(verdict.admitted && reserved.is_some());
    assert!(!bench.check(&["a"]).admitted);
}

fn each_entry_has_a_cost_of_its_own(make: Make) {
    let bench = Bench::on(make(1000), &["10/hour", "1000/hour"]);
    let costs = |costs: &[u32]| bench.limits.check(&["a", "a"], costs, HostTime(bench.now)).unwrap();
    assert!(costs(&[1, 900]).admitted);
    assert!(!costs(&[1, 200]).admitted);
    assert!(costs(&[9, 100]).admitted);
    assert!(costs(&[0, 0]).admitted, "what costs nothing is always there");
    assert!(!costs(&[0, 1]).admitted);
    assert!(bench.limits.check(&["a", "a"], &[1][..], HostTime(bench.now)).is_err());
}

fn scope_and_key_cannot_be_shifted_into_each_other(make: Make) {
    // limits joins by "/": ('a/b', 'c') and ('a', 'b/c') are one counter there.
    let store = make(1000);
    let set = |scope: &str| {
        let entries = vec![entry(scope, "1/minute", Kind::Text)];
        Limits::new(store.clone(), entries, Prefix::default(), None).unwrap()
    };
    let check = |set: &Limits, key: &str| set.check(&[key], NonZeroU32::MIN, HostTime(9)).unwrap().admitted;
    assert!(check(&set("a/b"), "c"));
    assert!(check(&set("a"), "b/c"));
    assert!(check(&set("a"), "/b/c"));
    assert!(check(&set(""), "ab/c"));
    assert!(!check(&set("a/b"), "c"));
}

fn an_empty_key_is_limited_like_any_other(make: Make) {
    // Flask-Limiter skips the limit when the key function returns nothing.
    let bench = Bench::on(make(1000), &["1/minute"]);
    assert!(bench.check(&[""]).admitted);
    assert!(!bench.check(&[""]).admitted);
}

fn what_is_no_address_shares_one_key_and_is_never_unlimited(make: Make) {
    // GHSA-634g-4wr8-xwxv: without a client address the whole pipeline was skipped.
    let store = make(1000);
    let entries = vec![entry("s", "3/minute", Kind::Address)];
    let set = Limits::new(store, entries, Prefix::default(), None).unwrap();
    let check = |key: &[u8]| set.check(&[key], NonZeroU32::MIN, HostTime(9)).unwrap().admitted;
    assert!(check(b"") && check(b"unix:") && check(b"\xff\xfe"));
    assert!(!check(b"") && !check(b"evil") && !check(b"1.2.3.4.5"));
    assert!(check(b"1.2.3.4"));
}

fn kinds_and_quotas_do_not_share_counters(make: Make) {
    let store = make(1000);
    let set = |quota: &str, kind: Kind| {
        let entries = vec![entry("s", quota, kind)];
        Limits::new(store.clone(), entries, Prefix::default(), None).unwrap()
    };
    let check = |set: Limits| set.check(&["1.2.3.4"], NonZeroU32::MIN, HostTime(9)).unwrap().admitted;
    assert!(check(set("1/minute", Kind::Address)));
    assert!(check(set("1/minute", Kind::Text)));
    assert!(check(set("1/hour", Kind::Text)));
    assert!(check(set("1/minute burst 2", Kind::Text)));
    assert!(!check(set("1 per 1 minutes", Kind::Text)), "however it is written");
}

fn a_set_that_would_not_limit_is_refused(make: Make) {
    let build = |entries| Limits::new(make(10), entries, Prefix::default(), None).err().unwrap().to_string();
    assert!(build(vec![]).contains("limit nothing"));
    let bare = Entry { scope: "s".into(), quotas: vec![], kind: Kind::Text };
    assert!(build(vec![bare]).contains("has no quota"));
    let twice = vec![entry("s", "1/minute", Kind::Text), entry("s", "1 per minute", Kind::Text)];
    assert!(build(twice).contains("twice"));
}

fn keys_must_be_as_many_as_entries(make: Make) {
    let bench = Bench::on(make(1000), &["1/minute", "1/hour"]);
    for keys in [vec![], vec!["a"], vec!["a", "b", "c"]] {
        assert!(bench.limits.check(&keys, NonZeroU32::MIN, HostTime(1)).is_err());
        assert!(bench.limits.peek(&keys, NonZeroU32::MIN, HostTime(1)).is_err());
    }
    let one = Bench::on(make(1000), &["1/minute"]);
    assert!(one.limits.check::<&str>(&[], NonZeroU32::MIN, HostTime(1)).is_err());
}

fn limits_built_at_different_times_read_each_other(make: Make) {
    // governor counts from the construction of a limiter: a restarted worker would misread the others.
    let store = make(1000);
    let mut old = Bench::on(store.clone(), &["10/minute"]);
    while old.check(&["a"]).admitted {}
    old.now += 7 * SECOND;
    let mut young = Bench::on(store, &["10/minute"]);
    young.now = old.now;
    assert!(young.check(&["a"]).admitted && !young.check(&["a"]).admitted);
    assert_eq!(young.check(&["a"]).wait, old.check(&["a"]).wait);
}

fn a_clock_at_either_end_is_no_way_round(make: Make) {
    for now in [0, 1, LATEST - 1, LATEST, u64::MAX] {
        for text in QUOTAS {
            let mut bench = Bench::on(make(1000), &[text]);
            bench.now = now;
            let burst = Quota::parse(text).unwrap()[0].burst();
            assert!(bench.spend(&["a"], burst).admitted);
            assert!(!bench.check(&["a"]).admitted, "{text} at {now}");
        }
    }
}

fn a_reader_whose_clock_is_late_neither_forgives_nor_wedges(make: Make) {
    let mut bench = Bench::on(make(1000), &["2/minute"]);
    bench.spend(&["a"], 2);
    bench.now -= 30 * SECOND;
    assert!(!bench.check(&["a"]).admitted);
    // A counter written under quite another clock heals in the time that an empty one takes.
    bench.now -= 900 * SECOND;
    let mut foreign = Bench::on(bench.limits.store().clone(), &["2/minute"]);
    foreign.now = 1_000_000 * SECOND;
    foreign.spend(&["b"], 2);
    foreign.now = 1_000 * SECOND;
    assert!(!foreign.check(&["b"]).admitted);
    foreign.now += 60 * SECOND;
    assert!(foreign.check(&["b"]).admitted);
}

fn a_full_table_is_stricter_and_forgets_no_one(make: Make) {
    let store = make(64);
    let slots = store.capacity();
    let mut bench = Bench::on(store.clone(), &["2/year"]);
    bench.spend(&["victim"], 2);
    let fresh = (0..100_000).filter(|i| bench.check(&[&format!("flood {i}")]).admitted).count();
    assert!(!bench.check(&["victim"]).admitted, "the victim's counter was evicted");
    assert!(store.used(HostTime(bench.now)) <= store.capacity());
    // The slots, and 64 overflow counters of two cells each.
    assert!((slots * 3 / 4..=slots + 128).contains(&fresh), "{fresh} of {slots}");
    let slow = Bench::on(store, &["1/hour"]);
    assert!(slow.check(&["another limit is not exhausted by this one's overflow"]).admitted);
    bench.now += 366 * 86_400 * SECOND;
    assert!(bench.check(&["later"]).admitted);
}

fn a_slot_that_comes_free_does_not_forgive_what_was_spent_without_one(make: Make) {
    let store = make(64);
    let flood = store.capacity() * 30;
    let mut filler = Bench::on(store.clone(), &["1/second"]);
    let mut bench = Bench::on(store, &["5/year"]);
    for i in 0..flood {
        filler.check(&[&i.to_string()]);
    }
    assert_eq!((0..9).filter(|_| bench.check(&["a"]).admitted).count(), 5);
    bench.now += 10 * SECOND;
    filler.now = bench.now;
    assert!(!bench.check(&["a"]).admitted);
}

fn what_has_run_off_makes_room(make: Make) {
    let store = make(64);
    let mut bench = Bench::on(store.clone(), &["1/second"]);
    for round in 0..50 {
        for i in 0..30 {
            assert!(bench.check(&[&format!("{round} {i}")]).admitted);
        }
        assert!(store.used(HostTime(bench.now)) <= store.capacity());
        bench.now += SECOND;
        assert_eq!(store.used(HostTime(bench.now)), 0);
    }
}

fn threads_that_hammer_new_keys_agree_on_each(make: Make) {
    let store = make(4096);
    let bench = Bench::on(store, &["5/year"]);
    let admitted: usize = std::thread::scope(|scope| {
        let takers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let keys = (0..2000).flat_map(|i| std::iter::repeat_n(i.to_string(), 3));
                    keys.filter(|key| bench.check(&[key]).admitted).count()
                })
            })
            .collect();
        takers.into_iter().map(|taker| taker.join().unwrap()).sum()
    });
    assert_eq!(admitted, 2000 * 5);
}

on_either_store! {
    the_burst_passes_at_once_and_not_one_more
    the_wait_it_reports_is_exactly_when_the_next_request_passes
    of_several_limits_the_wait_is_that_of_the_last_to_admit
    no_schedule_is_admitted_more_than_burst_and_refill
    a_refused_request_is_charged_nothing_anywhere
    a_refusal_names_the_limit_with_the_longest_wait
    a_lost_race_gives_back_what_was_charged
    few_rates_are_decided_as_any_limits_are
    peek_charges_nothing_and_says_what_check_would
    a_cost_is_charged_whole_or_not_at_all
    a_cost_above_the_burst_never_passes
    what_was_not_spent_is_given_back
    what_time_has_repaid_is_not_given_back_as_well
    half_repaid_is_half_given_back
    a_counter_that_others_keep_low_gets_all_of_it_back
    what_was_spent_beyond_the_estimate_is_owed
    who_owes_can_owe_as_much_as_the_counter_holds_and_no_more
    an_estimate_above_all_that_a_limit_holds_can_be_capped
    each_entry_has_a_cost_of_its_own
    scope_and_key_cannot_be_shifted_into_each_other
    an_empty_key_is_limited_like_any_other
    what_is_no_address_shares_one_key_and_is_never_unlimited
    kinds_and_quotas_do_not_share_counters
    a_set_that_would_not_limit_is_refused
    keys_must_be_as_many_as_entries
    limits_built_at_different_times_read_each_other
    a_clock_at_either_end_is_no_way_round
    a_reader_whose_clock_is_late_neither_forgives_nor_wedges
    a_full_table_is_stricter_and_forgets_no_one
    a_slot_that_comes_free_does_not_forgive_what_was_spent_without_one
    what_has_run_off_makes_room
    threads_that_hammer_new_keys_agree_on_each
}

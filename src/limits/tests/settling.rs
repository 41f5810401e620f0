//! What comes back of what was charged: never more than was added, and never what time has repaid.

use super::window::{DAY, bench};
use super::*;

fn admitted(bench: &Bench, key: &str, tries: usize) -> usize {
    (0..tries).filter(|_| bench.check(&[key]).admitted).count()
}

fn refunds_of_what_was_held_admit_less_than_two_bursts_at_one_instant(make: Make) {
    let mut bench = bench(make(100), "5/minute");
    let interval = 12 * SECOND;
    // Each held request is charged last of five: the four before it are given back at once.
    let mut held = Vec::new();
    for nth in 0..5 {
        let mut fillers: Vec<_> = (nth..4).map(|_| bench.reserve(&["a"], 1).unwrap()).collect();
        held.push(bench.reserve(&["a"], 1).unwrap());
        for filler in &mut fillers {
            bench.settle(filler, 0);
        }
    }
    bench.now += 4 * interval;
    let mut guesses = admitted(&bench, "a", 20);
    for one in &mut held {
        bench.settle(one, 0);
    }
    guesses += admitted(&bench, "a", 20);
    // As many as the burst and what time has repaid since the counter was full: no more in all that time, but late.
    assert!(guesses < 2 * 5, "{guesses} at one instant under 5/minute");
}

fn settling_too_much_and_then_the_truth_leaves_what_others_spent_of_a_window(make: Make) {
    for quota in ["100/day fixed", "100/day sliding"] {
        let bench = bench(make(100), quota);
        assert!(bench.spend(&["a"], 90).admitted);
        let mut one = bench.reserve(&["a"], 5).unwrap();
        bench.settle(&mut one, 1000);
        bench.settle(&mut one, 10);
        assert_eq!(bench.peek(&["a"]).remaining, 0, "{quota}: 90 and 10 were spent");
    }
}

fn settling_too_much_and_then_the_truth_gives_nothing_of_a_rate_back_that_time_has_repaid(make: Make) {
    let mut bench = bench(make(100), "10/minute");
    let mut one = bench.reserve(&["a"], 1).unwrap();
    bench.settle(&mut one, 1_000_000);
    bench.now += 3600 * SECOND;
    let before = admitted(&bench, "a", 50);
    bench.settle(&mut one, 0);
    let after = admitted(&bench, "a", 50);
    assert!(before + after <= 10, "{before} and {after} at one instant under 10/minute");
}

fn what_was_reserved_as_nothing_is_settled_as_the_last_word_says(make: Make) {
    let mut bench = bench(make(100), "100/day");
    assert!(bench.spend(&["a"], 100).admitted);
    let (_, one) = bench.limits.reserve(&["a"], &[0_u32][..], false, HostTime(bench.now)).unwrap();
    let mut one = one.unwrap();
    bench.settle(&mut one, 10);
    bench.settle(&mut one, 2);
    // 102 were spent of 100, so the third one that comes back is to be had.
    bench.now += 3 * 864 * SECOND;
    assert!(bench.check(&["a"]).admitted);
}

fn who_overdraws_with_a_late_clock_forgives_nothing(make: Make) {
    let mut bench = bench(make(100), "10/second");
    let mut late = bench.reserve(&["a"], 1).unwrap();
    let stopped_at = bench.now;
    bench.now += 5 * SECOND;
    assert_eq!(admitted(&bench, "a", 10), 10);
    // It read the clock, was stopped for five seconds, and charges now.
    bench.limits.settle(&mut late, 0, 1000, HostTime(stopped_at)).unwrap();
    assert_eq!(admitted(&bench, "a", 10), 0);
}

fn whatever_was_said_before_the_truth_the_truth_is_what_was_spent(make: Make) {
    // A stream that is charged in steps, an estimate that was far too high, and back.
    let mut dice = Dice(29);
    for quota in ["100/day", "100/day fixed", "100/day sliding"] {
        for _ in 0..200 {
            let bench = bench(make(100), quota);
            let others = dice.below(90) as u32;
            assert!(others == 0 || bench.spend(&["a"], others).admitted);
            let mut one = bench.reserve(&["a"], 1 + dice.below(10) as u32).unwrap();
            for _ in 0..dice.below(100) {
                let most = [8, 100, 100_000][dice.below(3) as usize];
                bench.settle(&mut one, dice.below(most) as u32);
            }
            let truth = dice.below(10) as u32;
            bench.settle(&mut one, truth);
            assert_eq!(bench.peek(&["a"]).remaining, 100 - others - truth, "{quota}");
        }
    }
}

fn the_wait_is_exact_also_of_what_is_owed_and_given_back(make: Make) {
    let mut dice = Dice(23);
    let quotas = [
        "10/minute",
        "7/minute burst 3",
        "9/10 seconds burst 20",
        "10/day fixed",
        "7/5 seconds fixed",
        "10/day sliding",
        "7/10 seconds sliding",
        "3/second sliding",
    ];
    for quota in quotas {
        let mut bench = bench(make(1000), quota);
        let parsed = Quota::parse(quota).unwrap().remove(0);
        let (most, period) = (u64::from(parsed.burst()), parsed.period());
        let mut refusals = 0;
        for _ in 0..1500 {
            let cost = 1 + dice.below(most) as u32;
            match bench.reserve(&["a"], cost) {
                Some(mut one) => {
                    bench.now += dice.below(period / 8);
                    match dice.below(4) {
                        0 => bench.settle(&mut one, cost - 1 - dice.below(u64::from(cost)) as u32),
                        1 => bench.settle(&mut one, cost + dice.below(3 * most) as u32),
                        _ => {}
                    }
                    continue;
                }
                None => refusals += 1,
            }
            let refused = bench.spend(&["a"], cost);
            assert!(!refused.admitted && !refused.never && refused.wait > 0, "{quota}: {refused:?}");
            bench.now += refused.wait - 1;
            assert!(!bench.spend(&["a"], cost).admitted, "{quota}: passed a nanosecond early");
            bench.now += 1;
            assert!(bench.spend(&["a"], cost).admitted, "{quota}: did not pass when it was told to");
        }
        assert!(refusals > 200, "{quota}: {refusals}");
    }
}

fn threads_that_settle_leave_what_was_spent_and_nothing_else(make: Make) {
    for quota in ["100000/day fixed", "100000/day sliding", "100000/360 days"] {
        let bench = bench(make(1000), quota);
        let spent: u64 = std::thread::scope(|scope| {
            let work = |seed| {
                let bench = &bench;
                move || {
                    let (mut dice, mut spent) = (Dice(seed), 0);
                    for _ in 0..2000 {
                        let cost = 1 + dice.below(5) as u32;
                        let Some(mut one) = bench.reserve(&["a"], cost) else { continue };
                        let actual = dice.below(7) as u32;
                        bench.settle(&mut one, actual);
                        spent += u64::from(actual);
                    }
                    spent
                }
            };
            let threads: Vec<_> = (0..8).map(|nth| scope.spawn(work(nth * 2 + 1))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert!(spent < 100_000);
        assert_eq!(u64::from(bench.peek(&["a"]).remaining), 100_000 - spent, "{quota}");
    }
}

#[test]
fn a_late_refund_to_an_overflow_counter_gives_nothing_of_the_next_window() {
    let store = local(1);
    let mut bench = bench(store.clone(), "5/day fixed");
    let filler = Bench::on(store, &["1/year"]);
    filler.check(&["filler"]);
    let mut held: Vec<_> = (0..500).filter_map(|key| bench.reserve(&[&key.to_string()], 5)).collect();
    assert!(held.len() > 40, "so many overflow counters are exhausted: {}", held.len());
    // Long after all of them have ended.
    bench.now += (DAY + 60) * SECOND;
    let keys: Vec<_> = (0..500).map(|key| format!("next {key}")).collect();
    let spend = |bench: &Bench| keys.iter().map(|key| admitted(bench, key, 5)).sum::<usize>();
    let today = spend(&bench);
    assert_eq!(spend(&bench), 0, "the overflow counters of today are exhausted");
    for one in &mut held {
        bench.settle(one, 0);
    }
    let again = spend(&bench);
    assert_eq!(again, 0, "{today} were admitted today, and that again");
}

on_either_store! {
    refunds_of_what_was_held_admit_less_than_two_bursts_at_one_instant
    settling_too_much_and_then_the_truth_leaves_what_others_spent_of_a_window
    settling_too_much_and_then_the_truth_gives_nothing_of_a_rate_back_that_time_has_repaid
    what_was_reserved_as_nothing_is_settled_as_the_last_word_says
    who_overdraws_with_a_late_clock_forgives_nothing
    whatever_was_said_before_the_truth_the_truth_is_what_was_spent
    the_wait_is_exact_also_of_what_is_owed_and_given_back
    threads_that_settle_leave_what_was_spent_and_nothing_else
}

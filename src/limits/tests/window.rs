//! What windows promise, of either store.

use super::*;
use crate::error::ConfigError;
use crate::limits::{Almanac, Now, Span, Window};

/// Days of 24 hours, minutes and seconds, whatever the zone.
pub struct Days;

impl Almanac for Days {
    fn window(&self, span: &Span, unix: u64) -> Result<Window, ConfigError> {
        let length = match span.unit {
            "second" => u64::from(span.every),
            "minute" => 60,
            _ => DAY,
        };
        let start = unix - unix % length;
        Ok(Window { start, end: start + length, next_end: start + 2 * length })
    }
}

pub fn bench(store: Arc<Store>, quotas: &str) -> Bench {
    let entries = vec![entry("scope", quotas, Kind::Text)];
    let limits = Limits::new(store, entries, Prefix::default(), Some(Arc::new(Days))).unwrap();
    Bench { limits, now: 1_000 * DAY * SECOND + 5 }
}

fn admitted(bench: &Bench, tries: usize) -> usize {
    (0..tries).filter(|_| bench.check(&["a"]).admitted).count()
}

fn a_daily_quota_begins_anew_at_midnight_and_not_before(make: Make) {
    let mut bench = bench(make(1000), "10/day fixed");
    assert_eq!(admitted(&bench, 20), 10);
    let refused = bench.check(&["a"]);
    assert_eq!((refused.remaining, refused.wait, refused.reset), (0, DAY * SECOND - 5, DAY * SECOND - 5));
    bench.now += refused.wait - 1;
    assert_eq!(admitted(&bench, 20), 0);
    bench.now += 1;
    assert_eq!(admitted(&bench, 20), 10);
}

fn what_is_not_spent_of_a_window_is_not_saved_up(make: Make) {
    let mut bench = bench(make(1000), "10/day fixed");
    bench.now += 5 * DAY * SECOND;
    assert_eq!(admitted(&bench, 30), 10);
}

fn a_late_refund_goes_to_the_window_it_was_charged_in(make: Make) {
    let mut bench = bench(make(1000), "10/day fixed");
    let mut reserved = bench.reserve(&["a"], 10).unwrap();
    bench.now += DAY * SECOND;
    assert_eq!(admitted(&bench, 20), 10);
    bench.settle(&mut reserved, 0);
    assert_eq!(admitted(&bench, 20), 0);
}

fn what_is_spent_after_midnight_is_spent_of_the_new_day(make: Make) {
    // A stream that runs over midnight.
    let mut bench = bench(make(1000), "10/day fixed");
    let mut reserved = bench.reserve(&["a"], 1).unwrap();
    bench.now += DAY * SECOND;
    bench.settle(&mut reserved, 9);
    assert_eq!(bench.peek(&["a"]).remaining, 2);
}

fn a_refund_of_a_window_is_no_more_than_was_spent(make: Make) {
    for quota in ["10/day fixed", "10/day sliding"] {
        let bench = bench(make(1000), quota);
        let mut reserved = bench.reserve(&["a"], 6).unwrap();
        bench.settle(&mut reserved, 2);
        assert_eq!(bench.peek(&["a"]).remaining, 8);
        bench.settle(&mut reserved, 0);
        assert_eq!(bench.peek(&["a"]).remaining, 10, "{quota}");
        let mut reserved = bench.reserve(&["a"], 3).unwrap();
        bench.settle(&mut reserved, u32::MAX);
        assert!(!bench.check(&["a"]).admitted);
    }
}

fn a_cost_above_the_window_never_passes(make: Make) {
    for quota in ["10/day fixed", "10/day sliding"] {
        let bench = bench(make(1000), quota);
        assert!(bench.spend(&["a"], 11).never && bench.spend(&["a"], u32::MAX).never);
        assert!(!bench.spend(&["a"], 10).never);
    }
}

fn a_sliding_window_counts_the_last_one_as_far_as_it_reaches(make: Make) {
    let mut bench = bench(make(1000), "100/day sliding");
    bench.now -= 5;
    assert_eq!(admitted(&bench, 200), 100);
    bench.now += DAY * SECOND;
    assert_eq!(admitted(&bench, 200), 0, "all of the last window is within the last 24 hours");
    bench.now += DAY * SECOND / 4;
    assert_eq!(admitted(&bench, 200), 25);
    bench.now += DAY * SECOND / 4;
    assert_eq!(admitted(&bench, 200), 25);
    bench.now += 2 * DAY * SECOND;
    assert_eq!(admitted(&bench, 200), 100);
}

fn the_wait_of_a_window_is_exact(make: Make) {
    let mut dice = Dice(5);
    for quota in ["10/day fixed", "10/day sliding", "7/10 seconds sliding", "3/minute sliding"] {
        let mut bench = bench(make(1000), quota);
        for _ in 0..2000 {
            let cost = 1 + dice.below(3) as u32;
            let refused = bench.spend(&["a"], cost);
            if refused.admitted {
                bench.now += dice.below(DAY * SECOND / 20);
                continue;
            }
            bench.now += refused.wait - 1;
            assert!(!bench.spend(&["a"], cost).admitted, "{quota}: passed a nanosecond early");
            bench.now += 1;
            assert!(bench.spend(&["a"], cost).admitted, "{quota}: did not pass when it was told to");
        }
    }
}

fn a_sliding_window_agrees_with_a_plain_count_of_two_windows(make: Make) {
    let (limit, period) = (50_u64, 60 * SECOND);
    let mut bench = bench(make(1000), "50/minute sliding");
    let mut dice = Dice(8);
    let mut spent = std::collections::HashMap::<u64, u64>::new();
    let mut refusals = 0;
    for _ in 0..20_000 {
        bench.now += dice.below(3 * SECOND);
        let cost = 1 + dice.below(4);
        let (index, into) = (bench.now / period, bench.now % period);
        let last = u128::from(*spent.get(&(index - 1)).unwrap_or(&0)) * u128::from(period - into);
        let sum = last.div_ceil(u128::from(period)) as u64 + *spent.get(&index).unwrap_or(&0) + cost;
        let verdict = bench.spend(&["a"], cost as u32);
        assert_eq!(verdict.admitted, sum <= limit);
        if verdict.admitted {
            *spent.entry(index).or_default() += cost;
            assert_eq!(u64::from(verdict.remaining), limit - sum);
        } else {
            refusals += 1;
        }
    }
    assert!(refusals > 1000, "{refusals}");
}

fn without_room_windows_are_stricter_and_never_laxer(make: Make) {
    for quota in ["10/day fixed", "10/day sliding"] {
        let mut bench = bench(make(8), quota);
        let flood = |bench: &Bench, day: u32| {
            for key in 0..5000 {
                bench.check(&[&format!("{day} {key}")]);
            }
        };
        let mut left_over = 0;
        for day in 0..6 {
            flood(&bench, day);
            let today = admitted(&bench, 30);
            assert!(today <= 10, "{quota}: {today} on day {day}");
            // In a sliding window, 24 hours may begin at any time.
            bench.now += DAY * SECOND / 2;
            left_over = admitted(&bench, 30);
            assert!(
                today + left_over <= 10 || quota.ends_with("sliding"),
                "{quota}: {today} and {left_over}"
            );
            bench.now += DAY * SECOND / 2;
        }
        assert!(left_over <= 10);
    }
}

fn eight_threads_admit_a_window_to_the_cell(make: Make) {
    for quota in ["1000/day fixed", "1000/day sliding"] {
        let bench = bench(make(1000), quota);
        let passed: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| admitted(&bench, 400))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(passed, 1000, "{quota}");
    }
}

fn a_wall_clock_that_is_set_back_a_minute_does_not_forget_a_day(make: Make) {
    let bench = bench(make(100), "5/day fixed");
    let at = |host: u64, unix: u64| Now { host: HostTime(host), unix };
    let midnight = 1_001 * DAY * SECOND;
    let check = |host, unix| bench.limits.check(&["a"], NonZeroU32::MIN, at(host, unix)).unwrap().admitted;
    let host = 7_000 * SECOND;
    let spent = (0..9).filter(|_| check(host, midnight - SECOND)).count();
    assert_eq!(spent, 5);
    // A second before midnight NTP sets it back by 60 seconds; ten seconds later it is 51 seconds before midnight.
    let again = (0..9).filter(|_| check(host + 10 * SECOND, midnight - 51 * SECOND)).count();
    assert_eq!(again, 0, "{spent} were admitted that day, and {again} more");
}

fn less_than_twice_as_many_pass_in_any_hour_of_a_sliding_window(make: Make) {
    let mut bench = bench(make(100), "100/hour sliding");
    let hour = 3600 * SECOND;
    bench.now = 1_000 * hour - 1;
    let mut in_one_hour = admitted(&bench, 300);
    // All of it within an hour less a nanosecond.
    for minute in 1..60 {
        bench.now = 1_000 * hour + minute * 60 * SECOND;
        in_one_hour += admitted(&bench, 300);
    }
    bench.now = 1_001 * hour - 2;
    in_one_hour += admitted(&bench, 300);
    // All at the last instant of a window, and then evenly: the estimate takes the former for evenly spent, too.
    assert_eq!(in_one_hour, 199, "in one hour under 100/hour sliding");
}

fn what_was_given_back_wholly_takes_no_room_for_the_rest_of_the_day(make: Make) {
    for quota in ["5/day fixed", "5/day sliding", "5/day"] {
        let bench = bench(make(1000), quota);
        for key in 0..100 {
            let mut one = bench.reserve(&[&key.to_string()], 1).unwrap();
            bench.settle(&mut one, 0);
        }
        assert_eq!(bench.limits.store().used(HostTime(bench.now)), 0);
    }
}

#[test]
fn an_almanac_that_is_wrong_is_not_believed() {
    struct Wrong(Window);
    impl Almanac for Wrong {
        fn window(&self, _: &Span, _: u64) -> Result<Window, ConfigError> {
            Ok(self.0)
        }
    }
    let windows = [(0, 10, 20), (200, 300, 400), (0, 101, 101), (0, 10_000_000, 20_000_000)];
    for (start, end, next_end) in windows {
        let almanac = Arc::new(Wrong(Window { start, end, next_end }));
        let entries = vec![entry("scope", "1/day fixed", Kind::Text)];
        let limits = Limits::new(local(10), entries, Prefix::default(), Some(almanac)).unwrap();
        assert!(limits.check(&["a"], NonZeroU32::MIN, HostTime(100 * SECOND)).is_err());
    }
}

pub const DAY: u64 = 86_400;

on_either_store! {
    a_daily_quota_begins_anew_at_midnight_and_not_before
    what_is_not_spent_of_a_window_is_not_saved_up
    a_late_refund_goes_to_the_window_it_was_charged_in
    what_is_spent_after_midnight_is_spent_of_the_new_day
    a_refund_of_a_window_is_no_more_than_was_spent
    a_cost_above_the_window_never_passes
    a_sliding_window_counts_the_last_one_as_far_as_it_reaches
    the_wait_of_a_window_is_exact
    a_sliding_window_agrees_with_a_plain_count_of_two_windows
    without_room_windows_are_stricter_and_never_laxer
    eight_threads_admit_a_window_to_the_cell
    a_wall_clock_that_is_set_back_a_minute_does_not_forget_a_day
    less_than_twice_as_many_pass_in_any_hour_of_a_sliding_window
    what_was_given_back_wholly_takes_no_room_for_the_rest_of_the_day
}

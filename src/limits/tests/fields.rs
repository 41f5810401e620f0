use super::*;
use crate::limits::fields;

#[test]
fn the_policy_says_burst_and_window() {
    let bench = Bench::on(local(1000), &["60/minute burst 20; 1000/day"]);
    assert_eq!(bench.limits.policy(), r#""60/minute burst 20";q=20;w=20, "1000/day";q=1000;w=86400"#);
}

#[test]
fn the_policy_of_what_is_in_progress_has_a_unit_and_no_window() {
    let bench = Bench::on(local(1000), &["20 concurrent; 60/minute"]);
    let policy = r#""20 concurrent";q=20;qu="concurrent-requests", "60/minute";q=60;w=60"#;
    assert_eq!(bench.limits.policy(), policy);
}

#[test]
fn the_window_is_whole_seconds_of_the_quota_as_written() {
    for (text, window) in
        [("7/minute", 60), ("100/second", 1), ("1000/second burst 1", 1), ("1/3 seconds burst 2", 6)]
    {
        assert_eq!(Quota::parse(text).unwrap()[0].window(), window, "{text}");
    }
}

#[test]
fn the_state_is_that_of_the_strictest_limit() {
    let bench = Bench::on(local(1000), &["60/minute burst 20; 1000/day"]);
    let verdict = bench.check(&["a"]);
    assert_eq!(bench.limits.field(&verdict), r#""60/minute burst 20";r=19;t=1"#);
    for _ in 0..19 {
        assert!(bench.check(&["a"]).admitted);
    }
    let verdict = bench.check(&["a"]);
    assert!(!verdict.admitted);
    assert_eq!(verdict.retry_after(), 1);
    assert_eq!(bench.limits.field(&verdict), r#""60/minute burst 20";r=0;t=1"#);
}

#[test]
fn two_limits_with_one_quota_have_two_names() {
    let bench = Bench::on(local(1000), &["5/minute", "5/minute"]);
    assert_eq!(bench.limits.policy(), r#""5/minute";q=5;w=60, "5/minute #2";q=5;w=60"#);
}

fn field(written: &str, remaining: u32, seconds: u64) -> String {
    fields::state(written, remaining, seconds, str::to_owned)
}

#[test]
fn numbers_and_names_of_every_length_are_written_whole() {
    for name in [r#""""#.to_owned(), fields::string(&"x".repeat(122)), fields::string(&"y".repeat(1000))] {
        for remaining in [0, 9, 10, 4_294_967_295] {
            for seconds in [0, 1, 99, 100, u64::MAX] {
                assert_eq!(field(&name, remaining, seconds), format!("{name};r={remaining};t={seconds}"));
            }
        }
    }
}

#[test]
fn a_name_cannot_leave_its_string() {
    let name = fields::string("a\"; evil=1, \\\r\nX: y é");
    assert_eq!(field(&name, 0, 1), r#""a\"; evil=1, \\??X: y ?";r=0;t=1"#);
}

#[test]
fn retry_after_is_rounded_up_and_at_least_one() {
    let mut bench = Bench::on(local(1000), &["10/second"]);
    while bench.check(&["a"]).admitted {}
    let refused = bench.check(&["a"]);
    assert_eq!((refused.wait, refused.retry_after()), (SECOND / 10, 1));
    let mut slow = Bench::on(local(1000), &["1/minute"]);
    slow.check(&["a"]);
    assert_eq!(slow.check(&["a"]).retry_after(), 60);
    slow.now += SECOND / 2;
    assert_eq!(slow.check(&["a"]).retry_after(), 60);
    slow.now += SECOND / 2;
    assert_eq!(slow.check(&["a"]).retry_after(), 59);
    bench.now += SECOND;
    assert_eq!(bench.check(&["a"]).retry_after(), 0);
}

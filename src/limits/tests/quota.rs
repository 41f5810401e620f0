use super::*;

fn one(text: &str) -> (u32, u64, u32) {
    let [quota] = Quota::parse(text).unwrap().try_into().unwrap();
    (quota.count(), quota.period() / SECOND, quota.burst())
}

fn error(text: &str) -> String {
    Quota::parse(text).unwrap_err().to_string()
}

#[test]
fn the_whole_grammar_of_flask_limiter_is_read() {
    let day = 86_400;
    for (text, count, period) in [
        ("1/second", 1, 1),
        ("1 per second", 1, 1),
        ("1persecond", 1, 1),
        ("10per5minutes", 10, 300),
        ("10 PER 5 Minutes", 10, 300),
        ("100/10 seconds", 100, 10),
        ("100 / 10seconds", 100, 10),
        ("  3 / HOUR  ", 3, 3600),
        ("2/3days", 2, 3 * day),
        ("7/month", 7, 30 * day),
        ("7/2 months", 7, 60 * day),
        ("9/year", 9, 360 * day),
        ("007/minute", 7, 60),
    ] {
        assert_eq!(one(text), (count, period, count), "{text}");
    }
}

#[test]
fn quotas_are_joined_by_comma_semicolon_or_bar() {
    let texts: Vec<_> = Quota::parse("1/second, 20/minute;300 per hour | 4000/day").unwrap();
    let texts: Vec<_> = texts.iter().map(Quota::text).collect();
    assert_eq!(texts, ["1/second", "20/minute", "300/hour", "4000/day"]);
}

#[test]
fn burst_is_ours() {
    assert_eq!(one("60/minute burst 20"), (60, 60, 20));
    assert_eq!(one("1 per 2 hours BURST 3"), (1, 7200, 3));
    assert_eq!(one("5/minute burst 500"), (5, 60, 500));
}

#[test]
fn a_quota_has_one_way_to_be_written() {
    for (text, written) in [
        ("60 per 1 minute burst 20", "60/minute burst 20"),
        ("60/minutes burst 60", "60/minute"),
        ("1 per 2 HOURS", "1/2 hours"),
    ] {
        let quota = Quota::parse(text).unwrap().remove(0);
        assert_eq!(quota.text(), written);
        assert_eq!(Quota::parse(written).unwrap(), [quota]);
    }
}

#[test]
fn the_interval_is_rounded_up_so_that_no_more_is_admitted() {
    let quota = |text: &str| Quota::parse(text).unwrap().remove(0);
    assert_eq!(quota("7/minute").interval(), 8_571_428_572);
    assert_eq!(quota("4294967295/second").interval(), 1);
    for text in ["7/minute", "3/second", "999999999/hour", "13/7 days"] {
        let quota = quota(text);
        assert!(quota.interval() * u64::from(quota.count()) >= quota.period());
    }
}

#[test]
fn zero_is_refused() {
    for text in ["0/second", "1/0 seconds", "1/second burst 0", "00/minute"] {
        assert!(error(text).contains("is 0"), "{}", error(text));
    }
}

#[test]
fn what_is_too_large_is_refused() {
    assert!(error("4294967296/second").contains("over 4294967295"));
    assert!(error("99999999999999999999999/second").contains("over 4294967295"));
    assert!(error("1/101 years").contains("100 years"));
    assert!(error("1/4294967295 years").contains("100 years"));
    assert!(error("1/year burst 4294967295").contains("100 years"));
    assert!(error(&"1/second;".repeat(200)).contains("at most 1000 bytes"));
    assert_eq!(one("1/100 years").0, 1);
}

#[test]
fn what_is_left_over_is_refused() {
    for text in [
        "1/second foo",
        "1/second 5",
        "1/second burst 5 6",
        "1/second burst",
        "1/second burst -5",
        "1/second:1/minute",
        "1.5/second",
        "-1/second",
        "+1/second",
        "1//second",
        "1/second;",
        ";1/second",
        "1/second,,1/minute",
        "",
        "   ",
        "burst 5",
        "١/second",
        "1/second\0",
    ] {
        assert!(Quota::parse(text).is_err(), "{text:?} was read");
    }
}

#[test]
fn an_unknown_unit_suggests_the_known() {
    for (text, meant) in [
        ("60/min", "60/minute"),
        ("60/mins", "60/minute"),
        ("60/m", "60/minute"),
        ("60/minuts", "60/minute"),
        ("60/mintue", "60/minute"),
        ("5/sec", "5/second"),
        ("5/secnod", "5/second"),
        ("5/hr", "5/hour"),
        ("5/hours2", "left over"),
        ("5/days2", "left over"),
        ("9/week", "9/7 days"),
        ("9/yr", "9/year"),
        ("9/dya", "9/day"),
    ] {
        assert!(error(text).contains(meant), "{text}: {}", error(text));
    }
    assert!(!error("9/fortnight").contains("Did you mean"));
    assert!(error("9/").contains("unit is missing"));
    assert!(error("60").contains("\"60/minute\""));
    assert!(error("sixty/minute").contains("does not begin with a count"));
}

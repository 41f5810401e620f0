//! What the room promises.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::shared::Seed;
use crate::time::{HostTime, UnixTime};

const NOW: UnixTime = UnixTime(1_800_000_000.0);
const HOST: HostTime = HostTime(5_000_000_000);

fn private(series: u32) -> Metrics {
    Metrics::private(Shape::new(series).unwrap(), Seed::new([7; 16]))
}

struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("rampart-metrics-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    fn open(&self, seed: u8) -> Metrics {
        Metrics::shared(&self.0, "metrics", Shape::new(256).unwrap(), b"boot", Seed::new([seed; 16])).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn plain<'a>(route: Option<&'a str>, method: &'a str) -> Request<'a> {
    let (address, principal) = ("", "");
    let (aborted, looking) = (false, false);
    Request { route, method, status: 200, micros: 1, aborted, looking, codes: &[], address, principal }
}

fn answered(metrics: &Metrics, route: Option<&str>, method: &str, status: i64, codes: &[&str]) {
    let request = Request {
        status,
        micros: 700,
        codes,
        address: "192.0.2.7",
        principal: "ada",
        ..plain(route, method)
    };
    metrics.request(&request, NOW, HOST);
}

/// Values by name and labels.
fn values(metrics: &Metrics) -> HashMap<String, f64> {
    let shown = |sample: Sample| {
        let labels: Vec<_> = sample.labels.iter().map(|(_, value)| value.as_str()).collect();
        (format!("{} {}", sample.name, labels.join(" ")).trim().to_owned(), sample.value)
    };
    metrics.samples().into_iter().map(shown).collect()
}

#[test]
fn a_request_is_counted_by_route_method_and_status_and_its_duration_by_route_and_method() {
    let metrics = private(256);
    for _ in 0..3 {
        answered(&metrics, Some("/users/<id>"), "GET", 200, &[]);
    }
    let found = values(&metrics);
    assert_eq!(found["rampart_http_requests_total /users/<id> GET 200"], 3.0);
    assert_eq!(found["rampart_http_request_duration_seconds_count /users/<id> GET"], 3.0);
    assert_eq!(found["rampart_http_request_duration_seconds_sum /users/<id> GET"], 0.0021);
}

#[test]
fn nothing_that_a_peer_can_make_up_becomes_a_label() {
    let metrics = private(256);
    for number in 0..1000 {
        answered(&metrics, None, &format!("M{number}"), 100 + number % 900, &[]);
    }
    let found = values(&metrics);
    assert!(found.keys().all(|key| !key.contains(" M")), "{found:?}");
    let statuses = found.keys().filter(|key| key.starts_with("rampart_http_requests_total")).count();
    assert!(statuses < 70, "{statuses}");
    assert!(!found.contains_key("rampart_metrics_overflow_total"));
}

#[test]
fn a_refusal_is_counted_by_its_code_and_by_whose_fault_it_is() {
    let metrics = private(256);
    for code in ["auth.missing", "token.expired", "body.invalid", "limit.exceeded", "auth.unavailable"] {
        answered(&metrics, Some("/"), "POST", 400, &[code]);
    }
    let found = values(&metrics);
    let of = |name: &str| found.keys().filter(|key| key.starts_with(name)).count();
    assert_eq!(of("rampart_refusals_total"), 5);
    assert_eq!(of("rampart_auth_failures_total"), 2);
    assert_eq!(of("rampart_validation_failures_total"), 1);
}

#[test]
fn two_openings_of_one_file_are_one_table_and_outlive_both() {
    let scratch = Scratch::new();
    let (one, other) = (scratch.open(1), scratch.open(2));
    answered(&one, Some("/a"), "GET", 200, &[]);
    answered(&other, Some("/a"), "GET", 200, &[]);
    assert_eq!(values(&one), values(&other));
    drop((one, other));
    assert_eq!(values(&scratch.open(3))["rampart_http_requests_total /a GET 200"], 2.0);
}

#[test]
fn eight_threads_lose_no_addition_and_make_no_series_twice() {
    let metrics = private(1024);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for number in 0..2000 {
                    answered(&metrics, Some(&format!("/{}", number % 100)), "GET", 200, &["auth.missing"]);
                }
            });
        }
    });
    let samples = metrics.samples();
    let requests: Vec<_> = samples.iter().filter(|sample| sample.name.ends_with("requests_total")).collect();
    assert_eq!(requests.len(), 100);
    assert!(requests.iter().all(|sample| sample.value == 160.0));
    let refused = values(&metrics)["rampart_refusals_total auth.missing"];
    assert_eq!(refused, 16_000.0);
}

#[test]
fn a_full_table_counts_under_other_and_says_so() {
    let metrics = private(64);
    for number in 0..200 {
        answered(&metrics, Some(&format!("/{number}")), "GET", 200, &[]);
    }
    let found = values(&metrics);
    let total: f64 = found
        .iter()
        .filter(|(key, _)| key.starts_with("rampart_http_requests_total"))
        .map(|(_, value)| value)
        .sum();
    assert_eq!(total, 200.0, "none is lost");
    assert_eq!(found["rampart_http_requests_total <other> <other> <other>"], 136.0);
    assert_eq!(found["rampart_metrics_overflow_total"], 136.0 + 184.0);
    assert_eq!(metrics.room(), (80, 80));
}

#[test]
fn a_kind_with_too_many_series_leaves_room_for_the_others() {
    let metrics = private(4096);
    for number in 0..3000 {
        metrics.add(Counter::LimitDecisions, &[&format!("scope {number}"), "admitted"], 1, NOW);
    }
    answered(&metrics, Some("/late"), "GET", 200, &[]);
    let found = values(&metrics);
    assert_eq!(found["rampart_limit_decisions_total <other> <other>"], 3000.0 - 512.0);
    assert_eq!(found["rampart_http_requests_total /late GET 200"], 1.0);
}

#[test]
fn long_values_are_cut_and_stay_apart() {
    let metrics = private(256);
    let long = "/\u{e4}".repeat(400);
    answered(&metrics, Some(&format!("{long}a")), "OPTIONS", 200, &[]);
    answered(&metrics, Some(&format!("{long}b")), "OPTIONS", 200, &[]);
    metrics.add(Counter::LimitDecisions, &[&long, "admitted"], 1, NOW);
    let found = values(&metrics);
    let requests: Vec<_> = found.iter().filter(|(key, _)| key.contains("requests_total")).collect();
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().all(|(key, value)| key.ends_with("OPTIONS 200") && **value == 1.0));
}

#[test]
fn the_text_is_escaped_whatever_a_label_says() {
    let metrics = private(256);
    let hostile = "/\"} 9\nrampart_fake_total 1\\\r\n# EOF";
    answered(&metrics, Some(hostile), "GET", 200, &[]);
    for format in [Format::Prometheus, Format::OpenMetrics] {
        let text = metrics.text(format, &[]);
        assert!(text.contains("route=\"/\\\"} 9\\nrampart_fake_total 1\\\\\u{fffd}\\n# EOF\""), "{text}");
        assert!(
            text.lines().all(|line| line.starts_with("# ") || line.starts_with("rampart_http_")),
            "{text}"
        );
    }
}

#[test]
fn openmetrics_names_families_and_ends_where_prometheus_does_not() {
    let metrics = private(256);
    answered(&metrics, Some("/"), "GET", 200, &[]);
    let open = metrics.text(Format::OpenMetrics, &[]);
    assert!(open.contains("# TYPE rampart_http_requests counter\nrampart_http_requests_total{"), "{open}");
    assert!(
        open.ends_with("# EOF\n") && open.contains("# UNIT rampart_http_request_duration_seconds seconds")
    );
    let plain = metrics.text(Format::Prometheus, &[]);
    assert!(
        plain.contains("# TYPE rampart_http_requests_total counter\nrampart_http_requests_total{"),
        "{plain}"
    );
    assert!(!plain.contains("EOF"));
}

#[test]
fn buckets_add_up_and_a_bound_is_within() {
    let metrics = private(256);
    for micros in [500, 501, 10_000_000, 10_000_001] {
        metrics.request(&Request { micros, ..plain(Some("/"), "GET") }, NOW, HOST);
    }
    let text = metrics.text(Format::Prometheus, &[]);
    for (bound, count) in [("0.0005", 1), ("0.001", 2), ("10.0", 3), ("+Inf", 4)] {
        assert!(text.contains(&format!("le=\"{bound}\"}} {count}\n")), "{bound}: {text}");
    }
    assert!(text.contains("_count{route=\"/\",method=\"GET\"} 4\n"));
}

#[test]
fn the_timeline_counts_the_last_hour_and_forgets_what_was_before() {
    let metrics = private(256);
    answered(&metrics, None, "GET", 500, &["guard.failed"]);
    let request = |at: f64| metrics.request(&plain(None, "GET"), UnixTime(at), HOST);
    request(NOW.0 + 5.0);
    let steps = metrics.timeline(UnixTime(NOW.0 + 9.0));
    assert_eq!(steps.len(), 720);
    let last = &steps[718..];
    assert_eq!((last[0].requests, last[0].refused, last[0].failed), (1, 1, 1));
    assert_eq!((last[1].requests, last[1].refused, last[1].failed), (1, 0, 0));
    // An hour later the first step's place is the new step's.
    request(NOW.0 + 3600.0);
    let steps = metrics.timeline(UnixTime(NOW.0 + 3600.0));
    assert_eq!(steps[719].requests, 1);
    assert_eq!(steps.iter().map(|step| step.requests).sum::<u32>(), 2);
}

#[test]
fn refusals_are_remembered_only_when_somebody_asked_and_the_newest_come_first() {
    let metrics = private(256);
    answered(&metrics, Some("/"), "GET", 401, &["auth.missing"]);
    assert!(metrics.recent(10).is_empty());
    metrics.remember_refusals();
    for code in ["auth.missing", "token.expired"] {
        answered(&metrics, Some("/"), "GET", 401, &["other", code]);
    }
    let codes: Vec<_> = metrics.recent(10).into_iter().map(|refusal| refusal.code).collect();
    assert_eq!(codes, ["token.expired", "auth.missing"]);
    let last = metrics.recent(1).remove(0);
    assert_eq!((last.address.as_str(), last.principal.as_str(), last.time), ("192.0.2.7", "ada", NOW.0));
}

#[test]
fn refusals_that_were_torn_or_overwritten_are_left_out() {
    let metrics = private(256);
    metrics.remember_refusals();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let metrics = &metrics;
            scope.spawn(move || {
                for number in 0..5000 {
                    let principal = format!("{thread} {number}").repeat(4);
                    let codes = ["auth.missing"];
                    let request = Request {
                        route: Some(&principal),
                        status: 401,
                        codes: &codes,
                        address: "192.0.2.7",
                        principal: &principal,
                        ..plain(None, "GET")
                    };
                    metrics.request(&request, NOW, HOST);
                }
            });
        }
        for _ in 0..50 {
            for refusal in metrics.recent(4096) {
                assert_eq!(refusal.principal, refusal.route);
            }
        }
    });
    let left = metrics.recent(4096).len();
    assert!(left > 1900 && left <= 2048, "{left}");
}

#[test]
fn workers_that_live_are_counted_and_a_forked_child_is_another() {
    let scratch = Scratch::new();
    let one = scratch.open(1);
    assert_eq!(one.workers(HOST), 0);
    answered(&one, None, "GET", 200, &[]);
    let other = scratch.open(1);
    answered(&other, None, "GET", 200, &[]);
    assert_eq!(one.workers(HOST), 2);
    drop(other);
    assert_eq!(one.workers(HostTime(HOST.0 + 1_000_000_000)), 1);
    one.forget_parent();
    assert_eq!(one.workers(HostTime(HOST.0 + 2_000_000_000)), 0);
    answered(&one, None, "GET", 200, &[]);
    assert_eq!(one.workers(HostTime(HOST.0 + 3_000_000_000)), 1);
}

#[test]
fn sizes_that_cannot_be_meant_are_refused() {
    for series in [0, 63, (1 << 20) + 1] {
        assert!(Shape::new(series).is_err_and(|error| error.to_string().contains("series")));
    }
}

#[test]
fn names_are_prometheus_own() {
    for family in &FAMILIES {
        assert!(family.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{}", family.name);
        assert!(!family.name.ends_with("_total") && family.help.ends_with('.') && family.labels.len() <= 3);
    }
    let sorted = HISTOGRAM_BOUNDS.windows(2).all(|pair| pair[0].0 < pair[1].0);
    let told =
        HISTOGRAM_BOUNDS.iter().all(|(micros, text)| *micros as f64 / 1e6 == text.parse::<f64>().unwrap());
    assert!(sorted && told);
    assert!(Counter::ALL.iter().enumerate().all(|(number, kind)| *kind as usize == number));
}

#[test]
fn no_number_of_routes_takes_the_place_of_a_refusal() {
    let metrics = private(64);
    for number in 0..500 {
        answered(&metrics, Some(&format!("/{number}")), "GET", 200, &[]);
    }
    let bounded = Counter::ALL.into_iter().filter_map(|counter| Some((counter, counter.family().most?)));
    for (counter, most) in bounded.clone() {
        for number in 0..most {
            let label = number.to_string();
            let labels = ["label", &label];
            metrics.add(counter, &labels[2 - counter.family().labels.len().min(2)..], 1, NOW);
        }
    }
    let found = values(&metrics);
    for (counter, most) in bounded {
        let name = format!("{}_total", counter.family().name);
        let of = found.keys().filter(|key| key.split(' ').next() == Some(&name) && !key.contains("<other>"));
        assert_eq!(of.count() as u64, most, "{name}");
    }
    assert_eq!(metrics.room(), (80, 80));
}

#[test]
fn a_series_may_begin_at_0_and_says_when_that_was() {
    let metrics = private(256);
    metrics.refused("token.expired", 0, NOW);
    metrics.add(Counter::Overflow, &[], 0, NOW);
    let found = values(&metrics);
    assert_eq!(found["rampart_refusals_total token.expired"], 0.0);
    assert_eq!(found["rampart_auth_failures_total token.expired"], 0.0);
    assert_eq!(found["rampart_metrics_overflow_total"], 0.0);
    metrics.refused("token.expired", 1, UnixTime(NOW.0 + 60.0));
    metrics.request(&plain(Some("/"), "GET"), UnixTime(NOW.0 + 60.5), HOST);
    let text = metrics.text(Format::OpenMetrics, &[]);
    for line in [
        "rampart_refusals_total{code=\"token.expired\"} 1\nrampart_refusals_created{code=\"token.expired\"} 1800000000\n",
        "rampart_metrics_overflow_created 1800000000\n",
        "rampart_http_requests_created{route=\"/\",method=\"GET\",status=\"200\"} 1800000060.5\n",
        "rampart_http_request_duration_seconds_created{route=\"/\",method=\"GET\"} 1800000060.5\n",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(!metrics.text(Format::Prometheus, &[]).contains("_created"));
}

#[test]
fn an_answer_that_broke_off_is_one_of_its_status_and_marked() {
    let metrics = private(256);
    metrics.request(&Request { aborted: true, ..plain(Some("/"), "GET") }, NOW, HOST);
    metrics.request(&plain(Some("/"), "GET"), NOW, HOST);
    let found = values(&metrics);
    assert_eq!(found["rampart_http_requests_total / GET 200"], 2.0);
    assert_eq!(found["rampart_http_requests_aborted_total / GET 200"], 1.0);
}

#[test]
fn who_only_looks_is_counted_and_is_no_part_of_the_last_hour_unless_refused_or_failed() {
    let metrics = private(256);
    let looking = Request { looking: true, ..plain(Some("/rampart/"), "GET") };
    metrics.request(&looking, NOW, HOST);
    assert_eq!(metrics.timeline(NOW).last().unwrap().requests, 0);
    assert_eq!(values(&metrics)["rampart_http_requests_total /rampart/ GET 200"], 1.0);
    metrics.request(&Request { codes: &["auth.missing"], status: 401, ..looking }, NOW, HOST);
    metrics.request(&Request { codes: &[], status: 500, ..looking }, NOW, HOST);
    let last = *metrics.timeline(NOW).last().unwrap();
    assert_eq!((last.requests, last.refused, last.failed), (2, 1, 1));
}

#[test]
fn who_only_looks_takes_the_table_as_it_is_and_makes_none() {
    let scratch = Scratch::new();
    let look = || Metrics::existing(&scratch.0, "metrics", b"boot").unwrap();
    assert!(look().is_none());
    assert!(!scratch.0.join("metrics").exists());
    let worker = scratch.open(1);
    answered(&worker, Some("/a"), "GET", 200, &[]);
    let room = worker.room();
    // Also where no worker lives, whom a table of another size would take everything from.
    drop(worker);
    let found = look().unwrap();
    assert_eq!(found.room(), room);
    assert_eq!(values(&found)["rampart_http_requests_total /a GET 200"], 1.0);
    assert!(Metrics::existing(&scratch.0, "metrics", b"another boot").unwrap().is_none());
}

#[test]
fn a_table_that_somebody_scribbled_over_gives_wrong_numbers_and_nothing_else() {
    use std::os::unix::fs::FileExt;
    let scratch = Scratch::new();
    let metrics = scratch.open(1);
    metrics.remember_refusals();
    let file = std::fs::OpenOptions::new().write(true).open(scratch.0.join("metrics")).unwrap();
    let size = file.metadata().unwrap().len() as usize;
    // Behind what says which file it is: ones, whose sums are too much; small numbers, which pass for kinds; and anything.
    let mut state = 7_u64;
    let mut any = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 11
    };
    let patterns: [&mut dyn FnMut() -> u64; 3] = [&mut || u64::MAX, &mut || 11, &mut any];
    for word in patterns {
        let words: Vec<u8> = (0..size / 8 - 10).flat_map(|_| word().to_ne_bytes()).collect();
        file.write_all_at(&words, 80).unwrap();
        for codes in [&[][..], &["auth.missing", "x"]] {
            answered(&metrics, Some("/a"), "GET", 200, codes);
        }
        metrics.add(Counter::Bans, &["address"], 1, NOW);
        for format in [Format::Prometheus, Format::OpenMetrics] {
            metrics.text(format, &[]);
        }
        let (room, used) = metrics.room();
        assert!(used <= room, "{used}");
        metrics.samples();
        metrics.recent(4096);
        metrics.workers(HOST);
        assert_eq!(metrics.timeline(NOW).len(), 720);
        assert!(metrics.since() >= 0.0);
    }
}

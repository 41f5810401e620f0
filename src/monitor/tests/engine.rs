use super::*;

#[test]
fn a_threshold_is_told_when_it_is_reached_and_not_before() {
    let trial = Trial::of(vec![rule("scan", Signs::NOT_FOUND, Subject::Address, Measure::Count, 10, 60)]);
    for second in 0..9 {
        assert_eq!(trial.fold(&request(1, second, Signs::NOT_FOUND)), []);
    }
    assert_eq!(trial.fold(&request(1, 9, Signs::NOT_FOUND)), [finding(0, Subject::Address, 10)]);
}

#[test]
fn it_is_told_once_in_a_window_however_long_it_goes_on_and_again_in_a_later_one() {
    let trial = Trial::of(vec![rule("scan", Signs::NOT_FOUND, Subject::Address, Measure::Count, 10, 60)]);
    let told: Vec<u64> =
        (0..180).filter(|&second| !trial.fold(&request(1, second, Signs::NOT_FOUND)).is_empty()).collect();
    assert_eq!(told, [9, 60, 120]);
}

#[test]
fn what_is_older_than_the_window_is_never_counted() {
    let trial = Trial::of(vec![rule("scan", Signs::NOT_FOUND, Subject::Address, Measure::Count, 10, 60)]);
    for at in (0..4000).step_by(7) {
        assert_eq!(trial.fold(&request(1, at, Signs::NOT_FOUND)), [], "nine in any 60 seconds");
    }
}

#[test]
fn what_comes_within_half_a_window_is_always_seen() {
    for start in 0..120 {
        let trial = Trial::of(vec![rule("scan", Signs::NOT_FOUND, Subject::Address, Measure::Count, 10, 60)]);
        let found = (0..10).any(|n| !trial.fold(&request(1, start + n * 3, Signs::NOT_FOUND)).is_empty());
        assert!(found, "from second {start}");
    }
}

#[test]
fn subjects_and_rules_are_counted_apart() {
    let trial = Trial::of(vec![
        rule("scan", Signs::NOT_FOUND, Subject::Address, Measure::Count, 3, 60),
        rule("probe", Signs::INVALID, Subject::Address, Measure::Count, 3, 60),
    ]);
    for address in 0..100 {
        assert_eq!(trial.fold(&request(address, 1, Signs::NOT_FOUND)), []);
        assert_eq!(trial.fold(&request(address, 1, Signs::NOT_FOUND)), []);
        assert_eq!(trial.fold(&request(address, 1, Signs::INVALID)), []);
    }
}

#[test]
fn a_share_spares_who_does_mostly_other_things() {
    let mut scan = rule("scan", Signs::NOT_FOUND, Subject::Address, Measure::Count, 10, 600);
    (scan.among, scan.share) = (Signs::REQUEST, 0.5);
    let trial = Trial::of(vec![scan]);
    // A crawler, of whose requests one in twenty is for a page that is gone.
    for n in 0..2000 {
        let signs = if n % 20 == 0 { Signs::NOT_FOUND } else { Signs::READ };
        assert_eq!(trial.fold(&request(1, n / 10, signs)), []);
    }
    assert!((0..10).any(|n| !trial.fold(&request(2, n, Signs::NOT_FOUND)).is_empty()));
}

#[test]
fn different_things_are_told_apart_within_a_tenth() {
    for threshold in [8, 50, 300, 1000, 5000] {
        let measure = Measure::Distinct(Item::Places);
        let mut off = vec![];
        for seed in 0..20_u64 {
            let trial =
                Trial::of(vec![rule("scrape", Signs::READ, Subject::Address, measure, threshold, 600)]);
            let met = (1..).find(|n| {
                let place = (seed << 32 | n).to_be_bytes();
                let known = Known { address: &[1, 2, 3, 4], place: &place, ..Known::default() };
                let seen = keys().observe(&known, 10, NOON, Signs::READ, 0);
                // The same thing again changes nothing.
                !trial.fold(&seen).is_empty() || !trial.fold(&seen).is_empty()
            });
            off.push((met.unwrap_or(0) as f64 / threshold as f64 - 1.0).abs());
        }
        let mean = off.iter().sum::<f64>() / 20.0;
        assert!(mean < 0.1, "{threshold}: off by {mean:.3}");
    }
}

#[test]
fn the_same_things_over_and_over_are_few() {
    let measure = Measure::Distinct(Item::Places);
    let trial = Trial::of(vec![rule("scrape", Signs::READ, Subject::Address, measure, 50, 600)]);
    for n in 0..20_000_u64 {
        let place = (n % 40).to_be_bytes();
        let known = Known { address: &[1, 2, 3, 4], place: &place, ..Known::default() };
        assert_eq!(trial.fold(&keys().observe(&known, n / 20, NOON, Signs::READ, 0)), []);
    }
}

#[test]
fn many_addresses_that_try_one_account_are_seen() {
    let measure = Measure::Distinct(Item::Networks);
    let trial = Trial::of(vec![rule("spread", Signs::LOGIN_FAILED, Subject::Account, measure, 8, 3600)]);
    let login = |n: u8, account: &'static [u8]| {
        let address = [10, n, 0, 1];
        let known = Known { address: &address, account, ..Known::default() };
        trial.fold(&keys().observe(&known, 5, NOON, Signs::LOGIN_FAILED, 0)).len()
    };
    assert_eq!((0..7).map(|n| login(n, b"ada")).sum::<usize>(), 0);
    assert_eq!((0..7).map(|n| login(n, b"bob")).sum::<usize>(), 0);
    assert_eq!(login(7, b"ada") + login(8, b"ada"), 1);
}

fn by_token(trial: &Trial, at: u64, address: &[u8]) -> usize {
    let known = Known { address, token: b"jti", ..Known::default() };
    trial.fold(&keys().observe(&known, at, NOON, Signs::REQUEST, 0)).len()
}

#[test]
fn a_token_that_two_networks_use_in_turn_is_seen() {
    let trial = Trial::of(vec![rule("replay", Signs::REQUEST, Subject::Token, Measure::Switches, 8, 600)]);
    let found: usize = (0..9).map(|n| by_token(&trial, 5 * n, &[10, (n % 2) as u8, 0, 1])).sum();
    assert_eq!(found, 1);
}

#[test]
fn who_has_ipv4_and_ipv6_at_once_does_not_change_networks() {
    let trial = Trial::of(vec![rule("replay", Signs::REQUEST, Subject::Token, Measure::Switches, 2, 600)]);
    for n in 0..500 {
        assert_eq!(by_token(&trial, n, if n % 2 == 0 { &[10, 0, 0, 1] } else { &[0xFD; 16] }), 0);
    }
}

#[test]
fn who_walks_from_one_network_into_another_is_not_seen() {
    let trial = Trial::of(vec![rule("replay", Signs::REQUEST, Subject::Token, Measure::Switches, 8, 600)]);
    for n in 0..3600 {
        // Seven changes in ten minutes, with requests each second.
        assert_eq!(by_token(&trial, n, &[10, (n / 86 % 4) as u8, 0, 1]), 0);
    }
}

#[test]
fn bytes_add_up() {
    let trial = Trial::of(vec![rule("leak", Signs::READ, Subject::Address, Measure::Bytes, 1 << 30, 3600)]);
    let mut seen = request(1, 5, Signs::READ);
    seen.bytes = 100 << 20;
    assert_eq!((0..10).map(|_| trial.fold(&seen).len()).sum::<usize>(), 0);
    assert_eq!(trial.fold(&seen), [finding(0, Subject::Address, 1100 << 20)]);
}

#[test]
fn a_caller_is_the_principal_and_without_one_the_address() {
    let trial = Trial::of(vec![rule("probe", Signs::INVALID, Subject::Caller, Measure::Count, 1, 60)]);
    assert_eq!(trial.fold(&request(1, 1, Signs::INVALID))[0].subject, Subject::Address);
    let known = Known { address: &[1; 4], principal: b"ada", ..Known::default() };
    let seen = keys().observe(&known, 1, NOON, Signs::INVALID, 0);
    assert_eq!(trial.fold(&seen)[0].subject, Subject::Principal);
}

#[test]
fn nobody_is_counted_for_nobody() {
    let trial = Trial::of(vec![rule("guess", Signs::LOGIN_FAILED, Subject::Account, Measure::Count, 1, 60)]);
    assert_eq!(trial.fold(&request(1, 1, Signs::LOGIN_FAILED)), []);
}

#[test]
fn no_name_or_address_stands_in_the_table() {
    let trial = Trial::of(vec![rule("guess", Signs::LOGIN_FAILED, Subject::Account, Measure::Count, 5, 60)]);
    let address = *b"\xC0\x00\x02\x4D\xC0\x00\x02\x4D\xC0\x00\x02\x4D\xC0\x00\x02\x4D";
    let known = Known { address: &address, account: b"ada.lovelace@example.com", ..Known::default() };
    trial.fold(&keys().observe(&known, 1, NOON, Signs::LOGIN_FAILED, 0));
    let bytes: Vec<u8> = trial
        .words
        .iter()
        .flat_map(|word| word.load(std::sync::atomic::Ordering::Relaxed).to_le_bytes())
        .collect();
    assert!(bytes.iter().any(|&byte| byte != 0));
    for part in [&b"ada."[..], b"love", b"\xC0\x00\x02\x4D"] {
        assert!(!bytes.windows(4).any(|window| window == part));
    }
}

#[test]
fn rules_that_cannot_be_meant_are_refused_with_a_reason() {
    let good = rule("scan", Signs::NOT_FOUND, Subject::Address, Measure::Count, 10, 60);
    let wrong = |change: &dyn Fn(&mut Rule)| {
        let mut rule = good.clone();
        change(&mut rule);
        rule.checked().unwrap_err().to_string()
    };
    assert!(wrong(&|rule| rule.threshold = 0).contains("at least 1"));
    assert!(wrong(&|rule| rule.window = 1).contains("2 seconds"));
    assert!(wrong(&|rule| rule.counts = Signs(0)).contains("counts nothing"));
    assert!(wrong(&|rule| rule.share = 0.5).contains("among"));
    assert!(wrong(&|rule| rule.share = f64::NAN).contains("share"));
    assert!(wrong(&|rule| rule.alone = 21).contains("`alone` is at most 20"));
    assert!(wrong(&|rule| rule.name = "a b".into()).contains("without spaces"));
    assert!(wrong(&|rule| rule.measure = Measure::Switches).contains("never changes"));
    assert!(wrong(&|rule| rule.measure = Measure::Unusual(Quantity::Hours)).contains("principal"));
    assert!(Measure::named("cuont").unwrap_err().to_string().contains("count"));
}

#[test]
fn what_is_too_much_alone_is_told_though_as_much_was_right() {
    let mut scan = rule("scan", Signs::NOT_FOUND, Subject::Address, Measure::Distinct(Item::Places), 40, 600);
    (scan.among, scan.share, scan.alone) = (Signs::REQUEST, 0.5, 10);
    let trial = Trial::of(vec![scan]);
    let mut told = None;
    // Two that are right for each that is wrong.
    for n in 0..600_u32 {
        for place in [None, None, Some(n.to_be_bytes())] {
            let signs = Signs::REQUEST.with(if place.is_some() { Signs::NOT_FOUND } else { Signs::READ });
            let place = place.unwrap_or_default();
            let known = Known { address: &[1, 2, 3, 4], place: &place, ..Known::default() };
            if !trial.fold(&keys().observe(&known, 10, NOON, signs, 0)).is_empty() {
                told = told.or(Some(n));
            }
        }
    }
    // Estimated, with a standard error of 6 %.
    assert!(told.is_some_and(|told| (320..480).contains(&told)), "{told:?}");
}

#[test]
fn what_pages_of_other_sites_send_is_counted_apart_of_an_address_and_not_of_a_token() {
    let trial = Trial::of(vec![
        rule("scan", Signs::NOT_FOUND, Subject::Address, Measure::Count, 10, 60),
        rule("used", Signs::NOT_FOUND, Subject::Token, Measure::Count, 12, 60),
    ]);
    let fold = |source| {
        let known = Known { address: &[1, 2, 3, 4], token: b"jti", source, ..Known::default() };
        trial.fold(&keys().observe(&known, 10, NOON, Signs::NOT_FOUND, 0))
    };
    assert_eq!((0..9).flat_map(|_| fold(Source::Site)).count(), 0);
    assert_eq!(fold(Source::Sender), [], "ten of one address, of which nine are another site's doing");
    let crossing = Finding { is_crossing: true, ..finding(0, Subject::Address, 10) };
    assert_eq!(fold(Source::Site), [crossing], "who sends so many is told of, whoever had it sent");
    assert_eq!(
        fold(Source::Content),
        [finding(1, Subject::Token, 12)],
        "a thief says of its requests what it likes"
    );
}

#[test]
fn what_stands_in_ones_own_pages_is_counted_apart_of_what_other_sites_send() {
    let trial = Trial::of(vec![rule("scan", Signs::NOT_FOUND, Subject::Principal, Measure::Count, 2, 60)]);
    let fold = |source| {
        let known = Known { principal: b"ada", source, ..Known::default() };
        trial.fold(&keys().observe(&known, 10, NOON, Signs::NOT_FOUND, 0)).len()
    };
    let each = [Source::Content, Source::Site, Source::Sender];
    assert_eq!(each.map(fold), [0; 3]);
    assert_eq!(each.map(fold), [1; 3]);
}

#[test]
fn what_a_page_has_sent_with_a_credential_of_its_own_is_counted_of_that_principal_and_apart_of_the_address() {
    let trial = Trial::of(vec![
        rule("by", Signs::NOT_FOUND, Subject::Principal, Measure::Count, 3, 60),
        rule("from", Signs::NOT_FOUND, Subject::Address, Measure::Count, 4, 60),
    ]);
    let fold = |source| {
        let known = Known {
            address: &[1, 2, 3, 4],
            principal: b"ada",
            source,
            is_deliberate: true,
            ..Known::default()
        };
        trial.fold(&keys().observe(&known, 10, NOON, Signs::NOT_FOUND, 0))
    };
    assert_eq!((0..2).flat_map(|_| fold(Source::Site)).count(), 0);
    assert_eq!(fold(Source::Sender), [finding(0, Subject::Principal, 3)], "all three are its own doing");
    assert_eq!(fold(Source::Site), []);
    let crossing = Finding { is_crossing: true, ..finding(1, Subject::Address, 4) };
    assert_eq!(fold(Source::Site), [crossing], "whose browser it is has not done it");
}

#[test]
fn who_has_ipv4_and_ipv6_at_once_is_not_in_twice_as_many_networks() {
    let measure = Measure::Distinct(Item::Networks);
    let trial = Trial::of(vec![rule("shared", Signs::REQUEST, Subject::Token, measure, 6, 600)]);
    let found: usize = (0..5_u8)
        .map(|n| {
            by_token(&trial, 1, &[10, n, 0, 1])
                + by_token(&trial, 1, &[0xFD, n, 0, 0, 0, 0, 0, n, 0, 0, 0, 0, 0, 0, 0, 0])
        })
        .sum();
    assert_eq!(found, 0);
    assert_eq!((5..9_u8).map(|n| by_token(&trial, 1, &[10, n, 0, 1])).sum::<usize>(), 1);
}

#[test]
fn an_object_is_a_path_with_its_query_but_for_what_gets_round_a_cache() {
    let seen = |place: &[u8], query: &[u8]| {
        keys().observe(&Known { place, query, ..Known::default() }, 1, NOON, Signs::READ, 0)
    };
    let (one, other) = (seen(b"/order", b"id=1"), seen(b"/order", b"id=2"));
    assert_eq!(one.place, other.place);
    assert_ne!(one.object, other.object);
    assert_eq!(one.object, seen(b"/order", b"id=1&_=1700000000").object);
    assert_ne!(one.object, seen(b"/orderid=1", b"").object);
    assert_eq!(seen(b"", b"").object, 0);
}

#[test]
fn what_is_counted_late_is_counted_as_of_when_it_was() {
    let trial = Trial::of(vec![rule("scan", Signs::NOT_FOUND, Subject::Address, Measure::Count, 10, 60)]);
    let late = |at| Observation { now: 10_000, ..request(1, at, Signs::NOT_FOUND) };
    // Nine long ago, which waited, and nine now: never ten in a minute.
    assert_eq!((0..9).flat_map(|_| trial.fold(&late(9000))).count(), 0);
    assert_eq!((0..9).flat_map(|_| trial.fold(&request(1, 10_000, Signs::NOT_FOUND))).count(), 0);
    assert_eq!(trial.fold(&late(9030)), [], "its half was forgotten for the present one");
    assert_eq!(trial.fold(&request(1, 10_000, Signs::NOT_FOUND)), [finding(0, Subject::Address, 10)]);
}

#[test]
fn an_attack_that_waited_to_be_counted_is_found_as_of_when_it_was() {
    let trial = Trial::of(vec![rule("scan", Signs::NOT_FOUND, Subject::Address, Measure::Count, 10, 60)]);
    let late = Observation { now: 10_000, ..request(1, 9000, Signs::NOT_FOUND) };
    let found: Vec<Finding> = (0..12).flat_map(|_| trial.fold(&late)).collect();
    assert_eq!(found, [finding(0, Subject::Address, 10)]);
}

//! A flood of new subjects: the table stays as it is, who is suspicious stays in it, and newcomers are counted.

use super::*;

fn flooded(attack: u64, newcomers: u32) -> (usize, usize) {
    let trial = Trial::of(vec![
        rule("scan", Signs::NOT_FOUND, Subject::Address, Measure::Count, 100, 3600),
        rule("flood", Signs(0), Subject::Host, Measure::Evictions, 10_000, 600),
    ]);
    let places = trial.engine.layout().places()[0] as u32;
    let mut told = [0, 0];
    let mut note = |found: Vec<Finding>| found.iter().for_each(|finding| told[finding.rule] += 1);
    for n in 0..attack {
        note(trial.fold(&request(1, n, Signs::NOT_FOUND)));
    }
    for n in 0..newcomers * places {
        note(trial.fold(&request(1000 + n, 100, Signs::NOT_FOUND)));
    }
    for n in attack..100 {
        note(trial.fold(&request(1, 100 + n, Signs::NOT_FOUND)));
    }
    (told[0], told[1])
}

#[test]
fn who_has_come_a_quarter_of_the_way_is_not_forgotten_for_many_newcomers() {
    assert_eq!(flooded(25, 20), (1, 1));
}

/// The package's detectors that a flood of names is made for.
fn detectors() -> Vec<Rule> {
    let (failed, account, address) = (Signs::LOGIN_FAILED, Subject::Account, Subject::Address);
    let [places, accounts, networks] = [Item::Places, Item::Accounts, Item::Networks].map(Measure::Distinct);
    vec![
        rule("scan", Signs::NOT_FOUND, address, places, 20, 300),
        rule("stuffing", failed, address, accounts, 10, 600),
        rule("guessing", failed, account, Measure::Count, 10, 900),
        rule("spread", failed, account, networks, 8, 3600),
        rule("campaign", failed, Subject::Host, networks, 50_000, 600),
    ]
}

const SCAN: usize = 0;
const STUFFING: usize = 1;

fn seen(address: &[u8], account: u32, place: u32, signs: Signs) -> Observation {
    let (account, place) = (account.to_be_bytes(), place.to_be_bytes());
    let account = if signs.meets(Signs::LOGIN) { &account[..] } else { &[] };
    let known = Known { address, account, place: &place, ..Known::default() };
    keys().observe(&known, 100, NOON, signs.with(Signs::REQUEST), 0)
}

/// What is found of a hundred scanners and a hundred stuffers of as many networks, which come when all is full.
fn newcomers(trial: &Trial) -> [usize; 2] {
    let mut found = [0, 0];
    for attacker in 0..100_u8 {
        let (scanner, stuffer) = ([91, attacker, 1, 1], [92, attacker, 1, 1]);
        for n in 0..60 {
            let signs = Signs::LOGIN.with(Signs::LOGIN_FAILED);
            let account = 1 << 30 | u32::from(attacker) << 8 | n;
            for finding in [seen(&scanner, 0, n, Signs::NOT_FOUND), seen(&stuffer, account, 0, signs)]
                .iter()
                .flat_map(|seen| trial.fold(seen))
                .filter(|finding| !finding.is_shared && finding.subject == Subject::Address)
            {
                found[usize::from(finding.rule == STUFFING)] += 1;
            }
        }
    }
    found
}

#[test]
fn one_network_of_ipv6_with_65536_addresses_that_each_come_a_part_of_the_way_blinds_nobody() {
    let trial = Trial::of(detectors());
    let places = trial.engine.layout().places()[0] as u32;
    // Six paths each, of 20; many more of them than there are places.
    for network in 0..65_536.min(2 * places) {
        let [_, _, high, low] = network.to_be_bytes();
        let address = [0x20, 1, 0xd, 0xb8, 0, 1, high, low, 0, 0, 0, 0, 0, 0, 0, 0];
        for place in 0..6 {
            trial.fold(&seen(&address, 0, place, Signs::NOT_FOUND));
        }
    }
    let [scanners, stuffers] = newcomers(&trial);
    assert_eq!((scanners, stuffers), (100, 100));
}

/// How many of a hundred scanners are found, each of another /48 of the /32 of 2001:db8.
fn neighbours(trial: &Trial) -> usize {
    (0..100_u8)
        .flat_map(|network| (0..60).map(move |place| (network, place)))
        .flat_map(|(network, place)| {
            let address = [0x20, 1, 0xd, 0xb8, 9, network, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
            trial.fold(&seen(&address, 0, place, Signs::NOT_FOUND))
        })
        .filter(|finding| !finding.is_shared && finding.rule == SCAN)
        .count()
}

#[test]
fn one_network_that_floods_hides_none_of_its_neighbours() {
    let trial = Trial::of(detectors());
    let places = trial.engine.layout().places()[0] as u32;
    for network in 0..65_536.min(2 * places) {
        let [_, _, high, low] = network.to_be_bytes();
        let address = [0x20, 1, 0xd, 0xb8, 0, 1, high, low, 0, 0, 0, 0, 0, 0, 0, 0];
        for place in 0..6 {
            trial.fold(&seen(&address, 0, place, Signs::NOT_FOUND));
        }
    }
    assert_eq!(neighbours(&trial), 100);
}

#[test]
fn two_addresses_with_made_up_accounts_blind_nobody() {
    let trial = Trial::of(detectors());
    let places = trial.engine.layout().places()[0] as u32;
    let signs = Signs::LOGIN.with(Signs::LOGIN_FAILED);
    for account in 0..3 * places / 2 {
        for n in 0..6 {
            trial.fold(&seen(&[45 + n % 2, 1, 1, 1], account, 0, signs));
        }
    }
    assert_eq!(newcomers(&trial), [100, 100]);
}

#[test]
fn an_account_that_was_tried_from_two_networks_once_is_nothing_that_is_kept() {
    let trial = Trial::of(detectors());
    let places = trial.engine.layout().places()[0] as u32;
    let signs = Signs::LOGIN.with(Signs::LOGIN_FAILED);
    // From ever other networks, so that no network has its share of the places.
    for account in 0..2 * places {
        let [_, _, high, low] = account.to_be_bytes();
        for n in 0..2 {
            trial.fold(&seen(&[45 + n, low, high, 1], account, 0, signs));
        }
    }
    assert_eq!(newcomers(&trial), [100, 100]);
}

#[test]
fn what_finds_no_place_is_counted_together_and_told_of_as_such() {
    let trial = Trial::of(vec![rule(
        "scan",
        Signs::NOT_FOUND,
        Subject::Address,
        Measure::Distinct(Item::Places),
        20,
        300,
    )]);
    let places = trial.engine.layout().places()[0] as u32;
    // A botnet: of thousands of networks, each address comes more than a quarter of the way, so that none goes.
    let mut shared = vec![];
    for n in 0..2 * places {
        let address = n.wrapping_mul(0x9E37_79B1).to_be_bytes();
        for place in 0..6 {
            let found = trial.fold(&seen(&address, 0, place, Signs::NOT_FOUND));
            assert!(found.iter().all(|finding| finding.is_shared), "nobody came all the way: {found:?}");
            shared.extend(found);
        }
    }
    // Six paths are six, however many ask for them: what found no place was asked for no more.
    assert_eq!(shared, []);
    // Who comes now finds no place, and is not lost.
    let mut own = 0;
    for n in 0..200_u32 {
        let address = n.wrapping_mul(0x85EB_CA6B).to_be_bytes();
        for found in trial.fold(&seen(&address, 0, 1000 + n, Signs::NOT_FOUND)) {
            assert!(found.is_shared);
            own += 1;
        }
    }
    assert!(own >= 1, "200 paths without a place were not told of");
}

#[test]
fn what_is_too_much_by_itself_is_told_of_whom_it_is_though_there_is_no_place() {
    let mut rules = detectors();
    rules.push(rule("reuse", Signs::REFRESH_REUSED, Subject::Principal, Measure::Count, 1, 60));
    let trial = Trial::of(rules);
    let places = trial.engine.layout().places()[0] as u32;
    for n in 0..2 * places {
        let address = n.wrapping_mul(0x9E37_79B1).to_be_bytes();
        for place in 0..6 {
            trial.fold(&seen(&address, 0, place, Signs::NOT_FOUND));
        }
    }
    for n in 0..50_u8 {
        let known = Known { principal: &[n; 4], ..Known::default() };
        let found = trial.fold(&keys().observe(&known, 100, NOON, Signs::REFRESH_REUSED, 0));
        assert_eq!(found, [finding(5, Subject::Principal, 1)]);
    }
}

#[test]
fn a_counter_of_the_host_is_not_crowded_out() {
    let mut rules = detectors();
    rules[4].threshold = 50;
    let trial = Trial::of(rules);
    let signs = Signs::LOGIN.with(Signs::LOGIN_FAILED);
    let mut campaign = 0;
    for round in 0..25_u8 {
        for n in 0..3 {
            let found = trial.fold(&seen(&[60, round, n, 1], u32::from(round), 0, signs));
            campaign += found.iter().filter(|finding| finding.rule == 4).count();
        }
        for n in 0..400 {
            let address = [45, 1, (n >> 8) as u8, n as u8];
            trial.fold(&seen(&address, 0, u32::from(round) * 400 + n, Signs::NOT_FOUND));
        }
    }
    assert_eq!(campaign, 1);
}

#[test]
fn a_flood_is_told_and_ordinary_coming_and_going_is_not() {
    let trial = Trial::of(vec![
        rule("scan", Signs::NOT_FOUND, Subject::Address, Measure::Count, 100, 60),
        rule("flood", Signs(0), Subject::Host, Measure::Evictions, 100, 600),
    ]);
    // Many more than there are places, but no more at once than a third of them.
    let a_minute = trial.engine.layout().places()[0] as u32 / 3;
    for n in 0..a_minute * 50 {
        assert_eq!(trial.fold(&request(n, u64::from(n * 60 / a_minute), Signs::NOT_FOUND)), []);
    }
}

#[test]
fn a_profile_that_learned_is_not_forgotten_for_new_principals() {
    let measure = Measure::Unusual(Quantity::Requests);
    let trial = Trial::of(vec![rule("unusual", Signs::REQUEST, Subject::Principal, measure, 10, 3600)]);
    let at = |name: &[u8], hour: u64| {
        let known = Known { principal: name, ..Known::default() };
        trial.fold(&keys().observe(&known, hour * 3600, NOON + hour * 3600, Signs::REQUEST, 1)).len()
    };
    for hour in 0..60 {
        at(b"ada", hour);
    }
    // They come within a day, many times more than there are places.
    for n in 0..30_000_u32 {
        at(&n.to_be_bytes(), 60 + u64::from(n / 2000));
    }
    let again: usize = (0..1000).map(|_| at(b"ada", 78)).sum();
    assert_eq!(again, 1, "what was usual is still known");
}

//! Tests: the table's rows at their limits, and what a developer may choose.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::rules::{self, Extent, Rule};
use super::*;

fn redactor() -> Redactor {
    Redactor::new(&[]).unwrap()
}

fn refusal(options: Options<'_>) -> String {
    Redactor::build(options).err().expect("refused").to_string()
}

fn tokens() -> impl Iterator<Item = &'static Rule> {
    rules::all().filter(|rule| matches!(rule.extent, Extent::Run(_) | Extent::Exactly(_)))
}

#[test]
fn the_table_has_over_150_kinds_of_provider_secrets_each_with_a_name_of_its_own() {
    let mut names: Vec<&str> = rules::all().map(|rule| rule.name).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
    let providers: std::collections::HashSet<&str> = rules::all().map(|rule| rule.entity).collect();
    assert!(all >= 300 && providers.len() >= 150, "{all} rows, {} entities", providers.len());
    let spelt =
        |entity: &&str| entity.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    assert!(providers.iter().all(|entity| entity.len() <= 40 && spelt(entity)));
}

#[test]
fn the_page_lists_every_row_as_it_is() {
    let page = include_str!("../../docs/redaction-kinds.md");
    for rule in rules::all() {
        let row = format!("| `{}` | `{}` |", rule.name, rule.entity);
        assert_eq!(page.matches(&row).count(), 1, "docs/redaction-kinds.md: {row}");
    }
    assert_eq!(
        page.lines().filter(|line| line.starts_with("| `") && line.matches('`').count() == 4).count(),
        rules::all().count()
    );
}

// The engine against the plain pattern: one character less or more, in another case.
#[test]
fn a_row_finds_what_its_pattern_matches_and_nothing_else() {
    let redactor = redactor();
    for rule in tokens() {
        #[allow(clippy::regex_creation_in_loops)] // A different one each time.
        let pattern = regex::bytes::Regex::new(&format!("(?-u)(?:{})", rule.pattern)).unwrap();
        let less = &rule.secret[..rule.secret.len() - 1];
        let (upper, lower) = (rule.secret.to_ascii_uppercase(), rule.secret.to_ascii_lowercase());
        for text in [less, &rule.secret[1..], &format!("{}7", rule.secret), &upper, &lower] {
            let finds = redactor.scan(text);
            let own = finds.iter().any(|found| redactor.rule(found) == rule.name);
            let matched = pattern.find(text.as_bytes());
            assert!(!own || matched.is_some(), "{}: {text}", rule.name);
            let sure = matched.is_some_and(|m| m.start() == 0 && (rule.check)(m.as_bytes()));
            if sure && matches!(rule.extent, Extent::Run(_)) {
                assert!(!finds.is_empty(), "{}: {text}", rule.name);
            }
            let once = redactor.redact(text);
            assert_eq!(redactor.redact(&once), once);
        }
    }
}

#[test]
fn every_secret_is_found_in_json_in_a_query_and_at_both_ends() {
    let redactor = redactor();
    for rule in rules::all().filter(|rule| !matches!(rule.extent, Extent::Pem)) {
        let plain = redactor.scan(rule.secret)[0];
        for (before, after) in
            [("", ""), ("{\"m\":\"", "\"}"), ("/x?q=", "&r=1"), ("q%3D", "%26r"), ("[", "]"), ("a\\n", "\\n")]
        {
            let text = format!("{before}{}{after}", rule.secret);
            let (start, end) = (before.len() + plain.start, before.len() + plain.end);
            let covered = redactor.scan(&text).iter().any(|f| f.start <= start && end <= f.end);
            assert!(covered, "{}: {text}", rule.name);
        }
    }
}

#[test]
fn a_name_near_by_counts_on_its_line_within_forty_bytes_and_unless_another_word_explains() {
    let redactor = redactor();
    let key = concat!("9f86d081884c7d65", "9a2feaa0c55ad015");
    for (text, found) in [
        (format!("datadog agent uses {key}"), true),
        (format!("newDatadogClient({key})"), true),
        (format!("DATADOG {key} rest"), true),
        (format!("datadog {} {key}", "x".repeat(31)), true),
        (format!("datadog {} {key}", "x".repeat(32)), false),
        (format!("datadog\n{key}"), false),
        (format!("xdatadog {key}"), false),
        (format!("datadog trace_id={key}"), false),
        (format!("datadog traceId {key}"), false),
        (format!("datadog {key}0"), false),
        (format!("datadog x-{key}"), false),
        (format!("datadog {}", "0".repeat(32)), false),
        (key.to_string(), false),
    ] {
        let hidden = redactor.scan(&text).iter().any(|f| redactor.rule(f) == "datadog_key");
        assert_eq!(hidden, found, "{text}");
    }
}

#[test]
fn only_the_chosen_entities_are_looked_for() {
    let entities = ["EMAIL_ADDRESS", "GITHUB_TOKEN"];
    let redactor = Redactor::build(Options { entities: Some(&entities), ..Options::default() }).unwrap();
    assert_eq!(redactor.entities(), entities);
    let token = rules::all().find(|rule| rule.name == "github_token").unwrap().secret;
    let text = format!("password=hunter2 ann@example.org 4111 1111 1111 1111 {token} redis://:pw@host/0");
    let expected = "password=hunter2 [REDACTED:EMAIL_ADDRESS] 4111 1111 1111 1111 [REDACTED:GITHUB_TOKEN] redis://:pw@host/0";
    assert_eq!(redactor.redact(&text), expected);
    assert!(
        refusal(Options { entities: Some(&[]), ..Options::default() }).contains("nothing would be found")
    );
    assert!(refusal(Options { entities: Some(&["EMAIL"]), ..Options::default() }).contains("EMAIL_ADDRESS"));
}

#[test]
fn a_denied_word_is_hidden_inside_what_is_allowed_too() {
    let allow = [Allow::Text("bluebird"), Allow::Text("blue bird-bluebird"), Allow::Text("redbird")];
    let deny = [("bluebird", "CODENAME"), ("bird", "ANIMAL")];
    let redactor = Redactor::build(Options { allow: &allow, deny: &deny, ..Options::default() }).unwrap();
    for (text, expected) in [
        ("bluebird password=bluebird", "[REDACTED:CODENAME] password=[REDACTED:CODENAME]"),
        ("password='blue bird-bluebird' x", "password='blue [REDACTED:ANIMAL]-[REDACTED:CODENAME]' x"),
        ("password=redbird bird", "password=redbird [REDACTED:ANIMAL]"),
    ] {
        assert_eq!(redactor.redact(text), expected);
    }
}

#[test]
fn what_is_allowed_is_left_alone_and_what_is_denied_wins() {
    let allow = [Allow::Text("ann@example.org"), Allow::Pattern(r"(?i)[a-z]+@test\.example")];
    let deny = [("bluebird", "CODENAME"), ("Ünal", "PERSON"), ("ann@example.org", "PERSON")];
    let redactor =
        Redactor::build(Options { allow: &allow[1..], deny: &deny, ..Options::default() }).unwrap();
    for (text, expected) in [
        (
            "bob@test.example, BOB@TEST.EXAMPLE, bob@test.example.org",
            "bob@test.example, BOB@TEST.EXAMPLE, [REDACTED:EMAIL_ADDRESS]",
        ),
        (
            "the bluebird, bluebirds, xbluebird, ébluebird, bluebirdé",
            "the [REDACTED:CODENAME], bluebirds, xbluebird, ébluebird, bluebirdé",
        ),
        ("\\nbluebird%20bluebird", "\\n[REDACTED:CODENAME]%20[REDACTED:CODENAME]"),
        ("Herr Ünal", "Herr [REDACTED:PERSON]"),
        ("bluebird", "[REDACTED:CODENAME]"),
    ] {
        assert_eq!(redactor.redact(text), expected);
        assert_eq!(redactor.redact(expected), expected);
    }
    let both = Redactor::build(Options { allow: &allow, deny: &deny, ..Options::default() }).unwrap();
    assert_eq!(both.redact("ann@example.org"), "[REDACTED:PERSON]");
    for (options, reason) in [
        (Options { allow: &[Allow::Text("")], ..Options::default() }, "empty"),
        (Options { allow: &[Allow::Pattern("a*")], ..Options::default() }, "empty text"),
        (Options { allow: &[Allow::Pattern(".+")], ..Options::default() }, "lets most kinds"),
        (Options { allow: &[Allow::Pattern("(")], ..Options::default() }, "no regular expression"),
        (Options { deny: &[("ab", "X")], ..Options::default() }, "shorter than three"),
        (Options { deny: &[("abc", "x")], ..Options::default() }, "upper-case"),
        (Options { deny: &[("password", "X")], ..Options::default() }, "name whose value"),
        (Options { deny: &[("ghp_", "X")], ..Options::default() }, "how a token starts"),
        (Options { deny: &[("REDACTED", "X")], ..Options::default() }, "what replaces"),
    ] {
        let told = refusal(options);
        assert!(told.contains(reason), "{told}");
    }
}

const BADGE: Detector<'_> = Detector {
    name: "badge",
    entity: "BADGE",
    pattern: "BDG-[0-9]{4,6}",
    literals: &[],
    context: &[],
    before: 0,
    after: 0,
    samples: &[],
    counter_samples: &[],
};

#[test]
fn a_detector_of_ones_own_finds_its_secrets_by_the_text_in_its_pattern() {
    let detectors = [
        BADGE,
        Detector { name: "plate", entity: "PLATE", pattern: "[A-Z]{2}-car-[0-9]{3}", ..BADGE },
        Detector {
            name: "case",
            entity: "CASE",
            pattern: "[a-z]{1,9}/case/[0-9]{1,4}",
            literals: &["/case/"],
            ..BADGE
        },
        Detector {
            name: "desk",
            entity: "DESK",
            pattern: "(?i)desk[0-9]{2}",
            context: &["Room"],
            before: 10,
            after: 10,
            ..BADGE
        },
    ];
    let redactor = Redactor::build(Options { detectors: &detectors, ..Options::default() }).unwrap();
    for (text, expected) in [
        ("BDG-1234 xBDG-1234 (BDG-123456)", "[REDACTED:BADGE] xBDG-1234 ([REDACTED:BADGE])"),
        ("AB-car-123 aAB-car-123", "[REDACTED:PLATE] aAB-car-123"),
        ("see law/case/12, /case/9", "see [REDACTED:CASE], /case/9"),
        ("room 7 DESK12", "room 7 [REDACTED:DESK]"),
        ("Desk34 in ROOM 7", "[REDACTED:DESK] in ROOM 7"),
        ("desk12", "desk12"),
        ("room\ndesk12\nroom", "room\ndesk12\nroom"),
        ("desk12 [REDACTED:ROOM]", "desk12 [REDACTED:ROOM]"),
    ] {
        assert_eq!(redactor.redact(text), expected);
        assert_eq!(redactor.redact(expected), expected);
    }
    let found = redactor.scan("BDG-1234")[0];
    assert_eq!((redactor.entity(&found), redactor.rule(&found)), ("BADGE", "badge"));
}

#[test]
fn a_detector_that_cannot_be_looked_for_is_refused_with_the_reason() {
    for (detector, reason) in [
        (Detector { name: "Badge", ..BADGE }, "lower-case"),
        (Detector { name: "jwt", ..BADGE }, "name of another"),
        (Detector { name: "named", ..BADGE }, "name of another"),
        (Detector { entity: "badge", ..BADGE }, "upper-case"),
        (Detector { pattern: "(", ..BADGE }, "no regular expression"),
        (Detector { pattern: "(?=x)", ..BADGE }, "no regular expression"),
        (Detector { pattern: "", ..BADGE }, "empty text"),
        (Detector { pattern: "(?:abc)?", ..BADGE }, "empty text"),
        (Detector { pattern: "abc[0-9]+", ..BADGE }, "without a bound"),
        (Detector { pattern: "abc[0-9]{2000}", ..BADGE }, "without a bound"),
        (Detector { pattern: "^abc", ..BADGE }, "anchor"),
        (Detector { pattern: "[0-9]{8}", ..BADGE }, "without a fixed text"),
        (Detector { pattern: "[a-z]{1,9}abc", ..BADGE }, "without a fixed text"),
        (Detector { pattern: "ab[0-9]{8}", literals: &["ab"], ..BADGE }, "under 3 bytes"),
        (Detector { context: &["room"], ..BADGE }, "0 bytes"),
        (Detector { context: &["room"], before: 257, ..BADGE }, "256 bytes"),
        (Detector { samples: &["BDG-12"], ..BADGE }, "sample 1"),
        (Detector { counter_samples: &["x", "BDG-1234"], ..BADGE }, "counter-sample 2"),
        (Detector { pattern: r"abc(?:\w{20}){20}", ..BADGE }, "without a bound"),
    ] {
        let told = refusal(Options { detectors: &[detector], ..Options::default() });
        assert!(told.contains(reason), "{}: {told}", detector.pattern);
    }
    assert!(
        refusal(Options { detectors: &[BADGE, BADGE], ..Options::default() }).contains("name of another")
    );
}

#[test]
fn redacting_twice_is_redacting_once_whatever_was_chosen() {
    let detectors = [
        BADGE,
        Detector {
            name: "any",
            entity: "ANY",
            pattern: "abc[^x]{4,40}",
            context: &["room", "any"],
            before: 20,
            after: 20,
            ..BADGE
        },
        Detector {
            name: "case",
            entity: "CASE",
            pattern: "[a-z/]{1,9}/case/.{0,9}",
            literals: &["/case/"],
            ..BADGE
        },
    ];
    let deny = [("bluebird", "CODENAME"), ("room", "ROOM")];
    let allow = [Allow::Pattern("[a-z]+@[a-z.]+"), Allow::Text("hunter2")];
    let entities = ["EMAIL_ADDRESS", "ANY", "CASE", "GITHUB_TOKEN", "CREDIT_CARD"];
    let options = Options { detectors: &detectors, deny: &deny, allow: &allow, ..Options::default() };
    let key = concat!("9f86d081884c7d65", "9a2feaa0c55ad015");
    let pieces = [
        "abc",
        "room",
        " ",
        "\n",
        "BDG-1234",
        "/case/",
        "law",
        "bluebird",
        "@b.co",
        "password=",
        "hunter2",
        "x",
        "-",
        "_",
        ".",
        "[REDACTED:ANY]",
        "[REDACTED:",
        "datadog ",
        key,
        "eyJhbGciOiJ",
        ".eyJzdWIiOi",
        "ghp_",
        "16C7e42F292c6912E7710c838347Ae178B4a",
        "hvs.",
        "sk-",
        "4111111111111111",
        "%20",
        "\\n",
        "\u{1b}[1m",
        "+ASt",
        "é",
        "_mmk",
        ":AAH",
        "/api/webhooks/",
        "1234567",
    ];
    for options in [options, Options { entities: Some(&entities), ..options }, Options::default()] {
        let redactor = Redactor::build(options).unwrap();
        let mut state = 11u64;
        let mut below = |most: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % most
        };
        for _ in 0..15_000 {
            let text: String = (0..1 + below(9)).map(|_| pieces[below(pieces.len())]).collect();
            let once = redactor.redact(&text);
            assert_eq!(redactor.redact(&once), once, "from {text:?}");
        }
    }
}

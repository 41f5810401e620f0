//! Tests: every row of the table, what stands beside it, and texts that were put together by chance.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub(super) mod keys;
mod linear;
mod shapes;
mod values;

use super::rules::{self, Extent};
use super::*;

pub(super) use linear::assert_linear;

fn redactor() -> Redactor {
    Redactor::new(&[]).unwrap()
}

fn shown(text: &str) -> String {
    redactor().redact(text).into_owned()
}

/// Numbers that are the same in every run.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % most
    }

    pub(super) fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

#[test]
fn every_row_finds_its_secret_and_leaves_its_harmless_sample() {
    let redactor = redactor();
    for rule in rules::all() {
        let found = redactor.scan(rule.secret);
        assert_eq!(found.len(), 1, "{}: {found:?}", rule.name);
        assert_eq!(redactor.rule(&found[0]), rule.name);
        assert_eq!(found[0].entity, rule.entity, "{}", rule.name);
        assert_eq!(redactor.redact(rule.harmless), rule.harmless, "{}", rule.name);
        #[allow(clippy::regex_creation_in_loops)] // A different one each time.
        let pattern = regex::Regex::new(rule.pattern).unwrap();
        assert!(pattern.is_match(rule.secret), "{}: the pattern does not describe the sample", rule.name);
        let literal = |l: &&'static str| rule.secret.find(*l) == Some(rule.before);
        assert!(rule.literals.is_empty() || rule.literals.iter().any(literal), "{}", rule.name);
    }
}

#[test]
fn every_row_with_literals_has_a_pattern_of_bounded_length() {
    let redactor = redactor();
    let class = regex::Regex::new(r"\\.|\[[^\]]*\]").unwrap();
    for rule in rules::all().filter(|rule| !matches!(rule.extent, Extent::Shape)) {
        let classes = class.replace_all(rule.pattern, "x");
        assert!(!classes.contains(['*', '+']) && !classes.contains(",}"), "{}: {classes}", rule.name);
        if matches!(rule.extent, Extent::Near { .. }) {
            continue;
        }
        let hidden = redactor.scan(rule.secret)[0];
        assert!(hidden.end >= 13, "{}: texts under 13 bytes are not searched for literals", rule.name);
    }
}

#[test]
fn no_secret_survives_among_any_neighbours() {
    let redactor = redactor();
    let left = [
        "",
        " ",
        "\"",
        "'",
        "(",
        "[",
        "{",
        "<",
        ">",
        "\n",
        "\t",
        ",",
        ";",
        "|",
        "/",
        "é ",
        "→",
        "“",
        "=",
        ":",
        "x=",
        "key: ",
        "\\n",
        "%20",
        "%3D",
        "😀",
        "\u{1b}[1;31m",
        "b'",
        "é",
        "日本語",
        "x-y_",
        "[REDACTED:X]",
    ];
    let right = [
        "",
        " ",
        "\"",
        "'",
        ")",
        "]",
        "}",
        ">",
        "\n",
        ",",
        ". ",
        ";",
        "→",
        "”",
        "😀",
        "\\n",
        "\u{1b}[0m",
        "&x=1",
        "é",
        "\\\"",
        "'}",
        "\"}]",
        "|",
        "[REDACTED:X]",
        "\r\n",
        "\0",
    ];
    for rule in rules::all() {
        let hidden = redactor.scan(rule.secret)[0];
        let core = &rule.secret.as_bytes()[hidden.start..hidden.end];
        // What is found by prefix alone is tried among fewer: its two ends do not know of one another.
        let simple = prefixes::route(rule) == prefixes::Route::Word;
        let pairs = left.iter().enumerate().flat_map(|l| right.iter().enumerate().map(move |r| (l, r)));
        for ((i, before), (j, after)) in pairs {
            if simple && i % 8 != 0 && j % 8 != 0 {
                continue;
            }
            let text = format!("{before}{}{after}", rule.secret);
            let out = redactor.redact(&text);
            // An entity may be spelt as the secret starts.
            let seen = out.replace(&format!("[REDACTED:{}]", rule.entity), " ");
            for window in core.windows(core.len().min(8)) {
                let leaked = memchr::memmem::find(seen.as_bytes(), window).is_some();
                assert!(!leaked, "{}: {text:?} -> {out:?}", rule.name);
            }
            assert_eq!(redactor.redact(&out), out, "{}: {text:?}", rule.name);
        }
    }
}

pub(super) const PIECES: &[&str] = &[
    "password",
    "token",
    "\"token\"",
    "cookie",
    "Authorization",
    "pin",
    "=",
    ":",
    ": ",
    "%3D",
    "@",
    "%40",
    "\"",
    "'",
    "\\",
    "\\\"",
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    ",",
    ";",
    "&",
    "<",
    ">",
    "://",
    "/",
    ".",
    " ",
    "\n",
    "a",
    "é",
    "→",
    "hunter2",
    "b@c.de",
    "4111111111111111",
    "4111 1111",
    " 1111 1111",
    "eyJhbGciOiJ",
    ".eyJzdWIiOi",
    ".c2lnbmF0dXJl",
    "Bearer ",
    "Basic ",
    "dXNlcjpwYXNz",
    "[REDACTED:",
    "[REDACTED:X]",
    "[REDACTED:PASSWORD]",
    "sk-",
    "ghp_",
    "AKIA",
    "IOSFODNN7EXAMPLE",
    "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8S9t0",
    "-----BEGIN PRIVATE KEY-----",
    "-----END",
    "-",
    "7",
    "null",
    "x=1",
    "%22",
    "%20",
    "_",
    "\u{1b}[1m",
    "0x",
    "rk_live_",
    "***",
    "${",
    "{{x}}",
    "os.environ[\"X\"]",
    "$TOKEN",
    "4155 5245 1958 4712",
    "-----BEGIN RSA PRIVATE KEY-----\n",
    "%253A",
    "%2522",
    "\\u0022",
    "\\x3d",
    "&quot;",
    "&#39;",
    "form-data; name=\"pin\"",
    "\r\n\r\n",
    "\\r\\n",
    "\n  ",
    "--token ",
    "\"name\": \"pin\"",
    "\"value\": ",
    "<input value='",
    " name='sid'",
    "['pin', ",
    "']",
    "：",
    "|",
];

#[test]
fn redacting_twice_is_redacting_once() {
    let redactor = redactor();
    let mut dice = Dice(1);
    for _ in 0..60_000 {
        let text: String = (0..1 + dice.below(14)).map(|_| dice.pick(PIECES)).collect();
        let once = redactor.redact(&text);
        let twice = redactor.redact(&once);
        assert_eq!(once, twice, "from {text:?}");
        let mut done = 0;
        for finding in redactor.scan(&text) {
            assert!(done <= finding.start && finding.start < finding.end && finding.end <= text.len());
            assert!(text.is_char_boundary(finding.start) && text.is_char_boundary(finding.end));
            done = finding.end;
        }
    }
}

#[test]
fn any_bytes_are_redacted_without_a_panic() {
    let redactor = redactor();
    let mut dice = Dice(2);
    for _ in 0..20_000 {
        let mut bytes: Vec<u8> = (0..dice.below(8)).flat_map(|_| dice.pick(PIECES).bytes()).collect();
        for _ in 0..dice.below(4) {
            let at = dice.below(bytes.len() + 1);
            bytes.insert(at, dice.below(256) as u8);
        }
        let once = redactor.redact_bytes(&bytes).into_owned();
        assert_eq!(redactor.redact_bytes(&once), once);
    }
    assert_eq!(
        &*redactor.redact_bytes(b"\xff password=\xfe\xff \xfc"),
        b"\xff password=[REDACTED:PASSWORD] \xfc"
    );
}

#[test]
fn a_clean_text_is_borrowed_and_every_find_has_a_listed_entity() {
    let redactor = Redactor::new(&["license_key"]).unwrap();
    assert!(matches!(redactor.redact("GET /health 200"), Cow::Borrowed(_)));
    assert_eq!(redactor.redact("licenseKey=abc"), "licenseKey=[REDACTED:SECRET]");
    assert!(redactor.is_secret_name("X-License-Key") && !redactor.is_secret_name("license"));
    let entities = redactor.entities();
    for text in
        rules::all().map(|rule| rule.secret).chain(["Authorization: Bearer x", "auth: Basic x", "ssn=1"])
    {
        assert!(redactor.scan(text).iter().all(|found| entities.contains(&found.entity)), "{text}");
    }
}

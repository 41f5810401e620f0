#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use super::rules::{self, Extent};
use super::*;

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

#[test]
fn a_named_value_is_hidden_and_its_name_stays() {
    for (text, expected) in [
        ("password=hunter2 next", "password=[REDACTED:PASSWORD] next"),
        ("password = hunter2", "password = [REDACTED:PASSWORD]"),
        ("password: hunter2, user: x", "password: [REDACTED:PASSWORD], user: x"),
        ("DB_PASSWORD='a b c'", "DB_PASSWORD='[REDACTED:PASSWORD]'"),
        (r#"{"password": "hun\"ter2", "a": 1}"#, r#"{"password": "[REDACTED:PASSWORD]", "a": 1}"#),
        (r#"{"password":"a\\","b":"c"}"#, r#"{"password":"[REDACTED:PASSWORD]","b":"c"}"#),
        (r#"{"m":"{\"token\":\"a\\\"b\",\"x\":1}"}"#, r#"{"m":"{\"token\":\"[REDACTED:TOKEN]\",\"x\":1}"}"#),
        (r#""{\\\"pin\\\": 1234}""#, r#""{\\\"pin\\\": \\\"[REDACTED:PIN]\\\"}""#),
        (r#"{"pin": 1234, "b": 2}"#, r#"{"pin": "[REDACTED:PIN]", "b": 2}"#),
        (r#"{"token": ["a", "b]"], "c": 1}"#, r#"{"token": "[REDACTED:TOKEN]", "c": 1}"#),
        ("{'api_key': 'x', 'n': 1}", "{'api_key': '[REDACTED:API_KEY]', 'n': 1}"),
        ("token = \"\"\"a b\"\"\"", "token = \"\"\"[REDACTED:TOKEN]\"\"\""),
        ("{'secret': b'x\\'y'}", "{'secret': b'[REDACTED:SECRET]'}"),
        ("User(name=x, password=a,b)", "User(name=x, password=[REDACTED:PASSWORD])"),
        ("Server=x;Pwd=a;b=c;User=y", "Server=x;Pwd=[REDACTED:PASSWORD];b=c;User=y"),
        ("?a=1&access_token=x%26y&b=2", "?a=1&access_token=[REDACTED:TOKEN]&b=2"),
        ("next=%3Fpassword%3Dabc%26user%3Dx", "next=%3Fpassword%3D[REDACTED:PASSWORD]%26user%3Dx"),
        ("%22password%22%3A%22abc%22%2C", "%22password%22%3A%22[REDACTED:PASSWORD]%22%2C"),
        ("Authorization: Bearer abc.def next", "Authorization: Bearer [REDACTED:BEARER] next"),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic [REDACTED:BASIC_AUTH]"),
        (
            "authorization: Digest username=\"a\", response=\"b\"\nx",
            "authorization: [REDACTED:AUTHORIZATION]\nx",
        ),
        ("{'Authorization': 'Bearer abc'}", "{'Authorization': 'Bearer [REDACTED:BEARER]'}"),
        ("X-API-Key: abc", "X-API-Key: [REDACTED:API_KEY]"),
        ("Cookie: a=b; c=\"d\"\nHost: x", "Cookie: [REDACTED:COOKIE]\nHost: x"),
        ("curl -H 'Cookie: a=b; c=d' http://x", "curl -H 'Cookie: [REDACTED:COOKIE]' http://x"),
        ("Set-Cookie: sid=abc; Path=/; HttpOnly", "Set-Cookie: [REDACTED:COOKIE]"),
        ("[('Host', 'x'), ('Cookie', 'a=b')]", "[('Host', 'x'), ('Cookie', '[REDACTED:COOKIE]')]"),
        ("(b'authorization', b'Bearer abc')", "(b'authorization', b'Bearer [REDACTED:BEARER]')"),
        ("<user>x</user><password>p w</password>", "<user>x</user><password>[REDACTED:PASSWORD]</password>"),
        ("environ['SECRET_KEY'] = 'x'", "environ['SECRET_KEY'] = '[REDACTED:SECRET]'"),
        ("redis://:pw@host:6379/0", "redis://:[REDACTED:PASSWORD]@host:6379/0"),
        ("https://ann:p@ss:w@example.org/x", "https://ann:[REDACTED:PASSWORD]@example.org/x"),
        (
            concat!("https://ghp_", "16C7e42F292c6912E7710c838347Ae178B4a:x-oauth@github.com"),
            "https://[REDACTED:GITHUB_TOKEN]:[REDACTED:PASSWORD]@github.com",
        ),
        ("AccountKey=abc==;EndpointSuffix=x", "AccountKey=[REDACTED:AZURE_KEY];EndpointSuffix=x"),
        ("aws_secret_access_key: wJalrXUt/K7+x", "aws_secret_access_key: [REDACTED:AWS_SECRET_KEY]"),
        (":password => \"x\"", ":password => \"[REDACTED:PASSWORD]\""),
        ("password == \"x\"", "password == \"[REDACTED:PASSWORD]\""),
    ] {
        assert_eq!(shown(text), expected);
        assert_eq!(shown(expected), expected);
    }
}

#[test]
fn json_stays_json() {
    let inside =
        serde_json::json!({"pin": 1234, "token": {"a": [1, "]"]}, "e": "x\nann@example.org\\", "cvv": "0"});
    let middle = serde_json::json!({"body": inside.to_string(), "password": "a\"\\", "otp": 1.5e3});
    let text = serde_json::json!({"msg": middle.to_string(), "session": [1], "ok": true}).to_string();
    let out = shown(&text);

    let outer: serde_json::Value = serde_json::from_str(&out).unwrap();
    let middle: serde_json::Value = serde_json::from_str(outer["msg"].as_str().unwrap()).unwrap();

    let inside: serde_json::Value = serde_json::from_str(middle["body"].as_str().unwrap()).unwrap();
    assert_eq!(inside["pin"], "[REDACTED:PIN]");
    assert_eq!(inside["token"], "[REDACTED:TOKEN]");
    assert_eq!(inside["e"], "x\n[REDACTED:EMAIL_ADDRESS]\\");
    assert_eq!(middle["password"], "[REDACTED:PASSWORD]");
    assert_eq!(outer["ok"], true);
}

#[test]
fn what_only_looks_like_a_secret_stays() {
    for text in [
        "the token expired; give the password again",
        "2026-11-23 19:00:00,123 INFO [worker-1] GET /v1/items/550e8400-e29b-41d4-a716-446655440000 200 17b",
        "order 4000123412341234567 of 1700000000000 at 1700000000000000000 ns",
        "uuid 41111111-1111-4111-8111-111111111111 and 12345678-1234-4123-8123-123456789012",
        "loss=0.4111111111111111 lr=4111111111111111.5",
        "4111111111111111111111111111 0x4111111111111111",
        "max_tokens: 4096, token_type: bearer, next_page_token=abc, usd_per_token: 0.1",
        "File \"/usr/lib/python3.11/site-packages/flask/app.py\", line 1473, in wsgi_app",
        "<Response 200 bytes [200 OK]> std::vector::token",
        "has_password: true, password: None, \"token\": null, pin=%s",
        "https://example.org:8443/a/b?x=1#y http://[::1]:80/",
        "task-management-for-everyone risk-assessment-2024-final disk-usage-statistics-1",
        "a @ b, @decorator, x@y, 50%, a%b, ==, =, :, ::, %, @",
    ] {
        assert_eq!(shown(text), text);
    }
}

#[test]
fn addresses_are_found_in_every_writing() {
    for (text, expected) in [
        ("<ann@example.org>", "<[REDACTED:EMAIL_ADDRESS]>"),
        ("'ann@example.org'", "'[REDACTED:EMAIL_ADDRESS]'"),
        ("b'ann@example.org'", "b'[REDACTED:EMAIL_ADDRESS]'"),
        ("o'brien@example.org.", "[REDACTED:EMAIL_ADDRESS]."),
        ("x ann%40example.org%20y", "x [REDACTED:EMAIL_ADDRESS]%20y"),
        ("mail%3Dann%2Bx%40example.org", "mail%3D[REDACTED:EMAIL_ADDRESS]"),
        ("müller@exämple.de→", "[REDACTED:EMAIL_ADDRESS]→"),
        ("用户@例子.公司", "[REDACTED:EMAIL_ADDRESS]"),
        ("ann@example.org.2", "[REDACTED:EMAIL_ADDRESS].2"),
        ("a@b.co,c@d.co", "[REDACTED:EMAIL_ADDRESS],[REDACTED:EMAIL_ADDRESS]"),
        ("a\\nann@example.org", "a\\n[REDACTED:EMAIL_ADDRESS]"),
    ] {
        assert_eq!(shown(text), expected);
    }
}

#[test]
fn cards_are_found_alone_beside_other_numbers_and_in_pairs() {
    for (text, expected) in [
        ("4111-1111-1111-1111", "[REDACTED:CREDIT_CARD]"),
        ("2026-11-23 4111 1111 1111 1111 2026", "2026-11-23 [REDACTED:CREDIT_CARD] 2026"),
        ("378282246310005 5555555555554444", "[REDACTED:CREDIT_CARD] [REDACTED:CREDIT_CARD]"),
        ("password=a1 4111 1111 1111 1111", "password=[REDACTED:PASSWORD] [REDACTED:CREDIT_CARD]"),
        ("{\"n\":4111111111111111}", "{\"n\":[REDACTED:CREDIT_CARD]}"),
        ("pay 3782 822463 10005.", "pay [REDACTED:CREDIT_CARD]."),
    ] {
        assert_eq!(shown(text), expected);
    }
}

#[test]
fn a_private_key_is_hidden_to_its_end_or_to_the_end_of_the_text() {
    let begin = concat!("-----BEGIN PRIVATE", " KEY-----");
    let end = concat!("-----END PRIVATE", " KEY-----");
    assert_eq!(shown(&format!("a\n{begin}\nMIIE\n{end}\nb")), "a\n[REDACTED:PRIVATE_KEY]\nb");
    assert_eq!(shown(&format!("a {begin}\\nMIIE\\nmore")), "a [REDACTED:PRIVATE_KEY]");
    let public = "-----BEGIN PUBLIC KEY-----\nMIIE\n-----END PUBLIC KEY-----";
    assert_eq!(shown(public), public);
}

#[test]
fn a_token_in_any_part_of_a_sentence_is_hidden_whole() {
    let jwt = rules::all().find(|rule| rule.name == "jwt").unwrap().secret;
    let parts: Vec<&str> = jwt.split('.').collect();
    for (text, expected) in [
        (format!("see {jwt}. Next"), "see [REDACTED:JWT]. Next".to_string()),
        (format!("{}.{}", parts[0], parts[1]), "[REDACTED:JWT]".to_string()),
        (format!("{}.{}.", parts[0], parts[1]), "[REDACTED:JWT].".to_string()),
        (format!("{}..{}.{}.{}", parts[0], parts[1], parts[2], parts[2]), "[REDACTED:JWT]".to_string()),
        (format!("x{jwt}"), "x[REDACTED:JWT]".to_string()),
        (format!("{jwt},{jwt}"), "[REDACTED:JWT],[REDACTED:JWT]".to_string()),
    ] {
        assert_eq!(shown(&text), expected);
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

/// CWE-1333: whoever writes a log line chooses how long its redaction takes, unless it is linear.
#[test]
fn four_times_the_text_takes_about_four_times_as_long_whatever_it_says() {
    let redactor = redactor();
    let mut hostile: Vec<String> = PIECES.iter().map(|piece| (*piece).to_string()).collect();
    for rule in rules::all() {
        let cut = |part: usize| rule.secret.chars().take(part).collect::<String>();
        let whole = rule.secret.chars().count();
        if prefixes::route(rule) == prefixes::Route::Word {
            // Rows that are found by prefix differ in their letters alone.
            hostile.push(format!("{} ", cut(whole - 1)));
            continue;
        }
        hostile
            .extend(rule.literals.iter().flat_map(|l| [(*l).to_string(), format!(".{l}"), format!("-{l} ")]));
        hostile.extend([whole / 3, whole / 2, whole - 1].map(cut));
        hostile.push(format!("{}[REDACTED:", rule.secret));
    }
    for piece in [
        "a@",
        "@a",
        "a%40",
        "a@b.",
        "password=",
        "password=[",
        "password={\"",
        "password=\"",
        "password='\\",
        "://a:",
        "://a:b/",
        "://a:b@",
        "4 ",
        "4-",
        "4111 ",
        "41111111-",
        "cookie:",
        "cookie: '",
        "'Cookie: a' ",
        "{'Cookie: a'}",
        "\"Authorization: Digest a\" ",
        "authorization: a ",
        "authorization: Bearer [REDACTED:",
        "a:token>[REDACTED:",
        "<token>",
        "('cookie',",
        "('cookie','",
        "token=\\",
        "token=a,",
        "token=,aaaaaaaa",
        "token=%3D",
        "token%3D",
        "token%3D%22",
        "'''",
        "\\\\",
        "\\\\\"",
        "eyJaaaaaaaaaaa.",
        "-eyJaaaaaaa",
        ".eyJaaaaaaaaaa",
        "Bearer aaaaaaaa ",
        "Basic aaaaaaaa",
        "xx]=",
        "token]]]]=",
        "token        ",
        "token=        ",
        "sk-aaaaaaaaaaaaaaaaaaaa ",
        "%25",
        "\u{1b}[1;1;1;1m",
        "token=null,",
    ] {
        hostile.push(piece.to_string());
    }
    let mut dice = Dice(3);
    for _ in 0..40 {
        hostile.push((0..2 + dice.below(3)).map(|_| dice.pick(PIECES)).collect());
    }
    for piece in hostile {
        assert_linear(&redactor, &piece, 20_000);
    }
}

/// *piece* over and over, *length* bytes of it, takes about four times as long as a quarter of it.
pub(super) fn assert_linear(redactor: &Redactor, piece: &str, length: usize) {
    let long = piece.repeat(1 + length / piece.len());
    let mut at = long.len() / 4;
    while !long.is_char_boundary(at) {
        at += 1;
    }
    // A busy machine only makes a run longer, so the shortest of a few is compared. Quadratic: 16 times.
    let ratio = |rounds: usize| {
        let best = |text: &str| (0..rounds).map(|_| time(redactor, text)).min().unwrap_or_default();
        best(&long).as_secs_f64() / best(&long[..at]).max(Duration::from_micros(100)).as_secs_f64()
    };
    assert!([2, 5, 20].into_iter().any(|rounds| ratio(rounds) < 8.0), "{piece:?} is not linear");
}

/// Processor time of this thread: what else the machine does is not counted.
fn time(redactor: &Redactor, text: &str) -> Duration {
    let now = || {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
    };
    let start = now();
    std::hint::black_box(redactor.scan(text));
    now() - start
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

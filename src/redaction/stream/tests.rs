//! Tests: a stream says what the whole text would, holds back what it says, and costs no more than its bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::super::tests::keys::{COMMENTS, puttys};
use super::super::tests::{Dice, PIECES};
use super::super::{Allow, Detector, Options, identifiers, rules};
use super::*;

/// What a stream told.
#[derive(Default)]
struct Told {
    out: Vec<u8>,
    found: Vec<(String, usize, usize)>,
    redactor: Option<Arc<Redactor>>,
}

impl Receiver for Told {
    fn text(&mut self, text: &[u8]) {
        self.out.extend_from_slice(text);
    }

    fn find(&mut self, finding: &Finding, _: Option<&[u8]>) {
        self.redactor.as_ref().unwrap().mark(finding, &mut self.out);
    }

    fn end(&mut self, finding: &Finding, bytes: (usize, usize), _: (usize, usize)) {
        let rule = self.redactor.as_ref().unwrap().rule(finding).to_string();
        self.found.push((rule, bytes.0, bytes.1));
    }
}

fn streamed<'t>(
    redactor: &Arc<Redactor>,
    values: usize,
    chunks: impl Iterator<Item = &'t [u8]>,
) -> (Vec<u8>, Vec<(String, usize, usize)>) {
    let mut stream = Stream::new(Arc::clone(redactor), values);
    let mut told = Told { redactor: Some(Arc::clone(redactor)), ..Told::default() };
    for chunk in chunks {
        stream.feed(chunk, &mut told).unwrap();
        assert!(stream.held().len() <= stream.hold(), "{} held", stream.held().len());
        assert!(stream.buffer.len() <= stream.hold() + ROOM + 2 * BEHIND + chunk.len());
    }
    stream.finish(&mut told).unwrap();
    assert_eq!(stream.feed(b"x", &mut told), Err(Over));
    (told.out, told.found)
}

/// *text* in pieces as *dice* have it.
fn pieces<'t>(text: &'t [u8], dice: &mut Dice, most: usize) -> Vec<&'t [u8]> {
    let (mut left, mut pieces) = (text, Vec::new());
    while !left.is_empty() {
        let (piece, rest) = left.split_at(left.len().min(dice.below(most + 1)));
        pieces.push(piece);
        left = rest;
    }
    pieces
}

/// The redactor of all that is built in, one of all identifiers, and one of a developer's own.
fn redactors() -> Vec<Arc<Redactor>> {
    let base = Detector { name: "badge", entity: "BADGE", pattern: "BDG-[0-9]{4,6}", ..Detector::default() };
    let detectors = [
        base,
        Detector { name: "case", pattern: "[a-z]{1,9}/case/.{0,9}", literals: &["/case/"], ..base },
        Detector { name: "any", pattern: "abc[^x]{4,40}", context: &["room"], before: 20, after: 20, ..base },
        Detector { name: "late", pattern: "[0-9]{4}-xyz-[a-z]{2}", ..base },
    ];
    let allow = [Allow::Text("hunter2"), Allow::Pattern("[a-z]+@[a-z.]+"), Allow::Text("blue bird-bluebird")];
    let options = Options {
        names: &["customer"],
        allow: &allow,
        deny: &[("bluebird", "CODENAME"), ("bird", "ANIMAL"), ("blue bird is a long word", "CODENAME")],
        detectors: &detectors,
        ..Options::default()
    };
    let all: Vec<&str> = identifiers::rows().map(|row| row.entity).collect();
    let cards: Vec<&str> =
        all.iter().copied().chain(["CREDIT_CARD", "EMAIL_ADDRESS", "BEARER", "JWT", "PASSWORD"]).collect();
    [
        Options { names: &["customer"], ..Options::default() },
        options,
        Options { entities: Some(&all), ..Options::default() },
        Options { entities: Some(&cards), ..options },
    ]
    .into_iter()
    .map(|options| Arc::new(Redactor::build(options).unwrap()))
    .collect()
}

/// In two pieces at every place, byte by byte, and in pieces by chance.
fn check(redactor: &Arc<Redactor>, text: &[u8], dice: &mut Dice) {
    let whole = redactor.redact_bytes(text).into_owned();
    let found: Vec<_> = redactor.scan_bytes(text);
    let found: Vec<_> = found.iter().map(|f| (redactor.rule(f).to_string(), f.start, f.end)).collect();
    let shown = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
    let same = |(out, told): (Vec<u8>, Vec<_>), how: &str| {
        assert_eq!(shown(&out), shown(&whole), "{how}: {:?}", shown(text));
        assert_eq!(told, found, "{how}: {:?}", shown(text));
    };
    same(streamed(redactor, 0, text.chunks(1)), "byte by byte");
    same(streamed(redactor, 64, text.chunks(1)), "byte by byte, with values");
    let step = 1 + text.len() / 300;
    for cut in (0..text.len()).step_by(step) {
        let (one, other) = text.split_at(cut);
        same(streamed(redactor, 0, [one, other].into_iter()), "in two");
    }
    for most in [3, 9, 40] {
        same(streamed(redactor, 0, pieces(text, dice, most).into_iter()), "in pieces");
    }
}

const TEXTS: &[&str] = &[
    "password=hunter2 next",
    "{\"password\": \"hun\\\"ter2\", \"a\": 1}",
    "{\"m\":\"{\\\"token\\\":\\\"a\\\\\\\"b\\\",\\\"x\\\":1}\"}",
    "{\"pin\": 1234, \"b\": 2, \"token\": null, \"otp\": true, \"cvv\": []}",
    "token = \"\"\"a b\"\"\" x",
    "?a=1&access_token=x%26y&b=2 next=%3Fpassword%3Dabc%26user%3Dx",
    "Authorization: Bearer abc.def next\nauthorization: Digest username=\"a\", response=\"b\"\nx",
    "Cookie: a=b; c=\"d\"\nHost: x",
    "curl -H 'Cookie: a=b; c=d' http://x",
    "[('Host', 'x'), ('Cookie', 'a=b'), (b'authorization', b'Bearer abc')]",
    "<user>x</user><password type='x'>p w</password>",
    "redis://:pw@host:6379/0 https://ann:p@ss:w@example.org/x http://a:b/c d@e http://[::1]:80/ x",
    "User(name=x, password=a,b) Server=x;Pwd=a;b=c;User=y",
    "b'{\"token\": \"a\\\\\", Zq9\", \"z\": 2}' b'{\"token\": [\"a\\\\\"]Zq9\", \"b\"], \"z\": 2}'",
    "{'cookies': ImmutableMultiDict([('remember_me', 'Z)q9')]), 'a': 1}",
    "Cookie: [x]; remember_me=Zq9\nHost: x",
    "{\n  \"password\": [\n    \"Zq9\",\n    {\"a\": [1, \"]\"]}\n  ],\n  \"z\": [1]\n}",
    "\u{1b}[36mpassword\u{1b}[0m=\u{1b}[35mZq9\u{1b}[0m \\u001b[36mpin\\u001b[0m: 'Z q'\\u001b[0m",
    "müller@exämple.de→ 用户@例子.公司。 o'brien@example.org, b'ann@example.org' x ann%40example.org%20y",
    "icon@2x.png ann@example.org.2 a\\nann@example.org a@b.co,c@d.co --ann@example.org mail%3Dann%2Bx%40example.org",
    "2026-11-23 4111 1111 1111 1111 2026, 378282246310005 5555555555554444 4111111111111111.5 %204111111111111111",
    "see eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg. Next eyJhbGciOiJIUzI1NiJ9.aaaaaa.bb",
    "[REDACTED:PASSWORD] token=[REDACTED:TOKEN] x[REDACTED:X]y@z.de password=a[REDACTED:X]b ann@[REDACTED:X]",
    "tokens: 4096, max_tokens: 12 tokens: abc Bearer is a word, bearer abcdefgh1234 Basic dXNlcjpwYXNz",
    "BDG-123456 in room abcdefgh y abc1234 room 12, x/case/7 bluebird blue bird-bluebird hunter2 1234-xyz-ab",
    "blue bird is a long wor blue bird is a long word ann@example.org password=hunter2 x",
    "+49 30 901820 tel 030 901820 4111 1111 1111 1111 NHS number 943 476 5919, 943 476 5919; DE89370400440532013000",
    "fe80::1%eth0 2001:db8::1[REDACTED:X] 10.0.0.1-10.0.0.9 v1.2.3.4 00:1b:44:11:3a:b7 001b.4411.3ab7",
    "\u{1b}[1;32m10.1.2.3\u{1b}[0m %2B493090182012 \\n943 476 5919 AB 12 34 56 C",
    "%7B%22password%22%3A%20%22hun%5C%22ter2%22%7D %257B%2522pin%2522%253A%2522a%2522 %22token%22%3A+%5B%22a%5D%22%5D",
    "{\\u0022pin\\u0022:\\u0022a\\\\\\u0022b\\u0022,\\u0022b\\u0022:[1]} password\\u003dhunter2\\u0026a pin\\x3d1 \\x22pin\\x22:[\\x22]",
    "&quot;pin&quot;: &quot;a\\&quot;b&quot;, &#39;token&#39;:[&#39;]&#39;] x",
    "--b\r\nContent-Disposition: form-data; name=\"pin\"\r\nContent-Type: a/b\r\n\r\nx\r\ny\r\n--b--\r\n form-data; name=\\\"pin\\\"\\r\\n\\r\\nx\\r\\n--b",
    "{\"pin\":\n  \"a\"}\npin:\n  abc\ntoken: |\n  a\n\n  b\nuser: x\npassword=\nnext password:\n",
    "{\"name\": \"pin\", \"value\": \"a\"} {\"value\":\"a\",\"x\":1,\"name\":\"pin\"} {\"value\": 1234, \"key\": \"pin\"} {\"value\":\"a\"}",
    "<input name='pin' value='a'> <input value=\"a\" type=\"password\"/> f(name='sid', value='x') value=\"5\"\nname=\"pin\"",
    "a --password hunter2 x --token to --pin \"a b\" ['--pin', 'a'] ---pin a --pin\nx --api-key API_KEY",
    "password：hunter2 pin＝1，2 ['pin', 'a'] [b'cookie', b'a=b'] ['pin', 'a', 'b'] [\\\"pin\\\",\\\"a\\\"] ['pin', '",
    "{\\\"pin\\\":\\r\\n \\\"a b\\\"} \\u0022pin\\u0022:\\t\\u0022a b\\u0022 {\"name\":\"pin\",\"token\":\"a\",\"value\":\"b\"}\n\"pin\":\n12,",
    "--token  API token for x --token  a b form-data; name=\"pin\"\nX-Api-Key: a\n\n1\n--b %22pin%22%3A%2B%22a%22 x",
    "datadog agent uses 9f86d081884c7d659a2feaa0c55ad015, trace_id=9f86d081884c7d659a2feaa0c55ad015",
];

#[test]
fn a_stream_says_what_the_whole_text_would_however_it_is_cut() {
    let mut dice = Dice(5);
    for redactor in redactors() {
        for text in TEXTS {
            check(&redactor, text.as_bytes(), &mut dice);
        }
    }
}

#[test]
fn every_sample_of_every_row_is_streamed_as_it_is_redacted() {
    let mut dice = Dice(6);
    let all = redactors();
    for rule in rules::all() {
        let text = format!("x {} y\n{} z{}", rule.secret, rule.harmless, rule.secret);
        check(&all[0], text.as_bytes(), &mut dice);
    }
    for row in identifiers::rows() {
        let text = format!("x {} y\n{}, {}", row.sample, row.harmless, row.sample);
        for redactor in &all[2..] {
            check(redactor, text.as_bytes(), &mut dice);
        }
    }
}

#[test]
fn pieces_that_were_put_together_by_chance_are_streamed_as_they_are_redacted() {
    let samples: Vec<&str> = identifiers::rows().map(|row| row.sample).collect();
    let mut dice = Dice(7);
    for redactor in redactors() {
        for round in 0..600 {
            let mut text = Vec::new();
            for _ in 0..1 + dice.below(14) {
                let from = if dice.below(4) > 0 { PIECES } else { &samples };
                text.extend_from_slice(dice.pick(from).as_bytes());
                if round % 5 == 0 && dice.below(6) == 0 {
                    text.push(dice.below(256) as u8);
                }
            }
            let whole = redactor.redact_bytes(&text).into_owned();
            for cut in [1, 2, 7] {
                let (out, _) = streamed(&redactor, 0, text.chunks(cut));
                assert_eq!(out, whole, "{:?}", String::from_utf8_lossy(&text));
            }
            let (out, _) = streamed(&redactor, 0, pieces(&text, &mut dice, 20).into_iter());
            assert_eq!(out, whole, "{:?}", String::from_utf8_lossy(&text));
        }
    }
}

// Beyond its bound nothing is understood, and more is hidden; the stream and the whole text do so alike.
#[test]
fn what_is_longer_than_it_can_be_is_streamed_alike() {
    let long = |unit: &str, length: usize| unit.repeat(1 + length / unit.len());
    let mut texts = Vec::new();
    for length in [250, 257, 600, 1100, 5000] {
        for (before, unit, after) in [
            ("x ", "a", "@example.org y"),
            ("x ", "ü", "@example.org y"),
            ("é", "a.", " y"),
            ("x ", "a%2B", "@example.org y"),
            ("x ann@", "a", " y@b.de"),
            ("x ann@", "abc.", "example.org y"),
            ("x ann@", "漢字", "。y"),
            ("x eyJ", "abc", " y"),
            ("x eyJhbGciOiJIUzI1NiJ9.", "abc", ".c2lnbmF0dXJl y"),
            ("x eyJhbGciOiJIUzI1NiJ9.", "abc", "! y"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIi", "abc", "..x y"),
            ("http://user:", "pass", "@host/x y"),
            ("http://", "user", ":pw@host/x y"),
            ("http://user:pw", "/x", " y@host z"),
            ("password:", " ", "hunter2 y\nz"),
            ("password: ", "[", "] y\nz"),
            ("password: \"", "\\", "\" y\nz"),
            ("password: \"a\\\\\"", " ", ", \"b\": 1 y"),
            ("password: ['a'", "\n ", ", 'b'] y"),
            ("password: 'a", "\\\"", "' y"),
            ("password", "=", "x y"),
            ("password=", "a&b", " y"),
            ("password%3D", "a%20", " y"),
            ("Authorization: Bearer", " ", "x y\nz"),
            ("token=", "a[REDACTED:X]", " y"),
            ("4", "111 ", " 4111 1111 1111 1111 y"),
            ("tel ", "123 ", " 943 476 5919 y"),
            ("nhs ", "a1", " 943 476 5919 y"),
            ("-----BEGIN PRIVATE KEY-----", "abcd\n", "-----END PRIVATE KEY----- y"),
            ("-----BEGIN PRIVATE KEY-----", "-", "END y"),
            ("sk-ant-", "a", " y"),
            ("", "xyz_", " ghp_16C7e42F292c6912E7710c838347Ae178B4a y"),
        ] {
            texts.push(format!("{before}{}{after}", long(unit, length)));
        }
    }
    let mut dice = Dice(8);
    for redactor in redactors() {
        for text in &texts {
            let text = text.as_bytes();
            let whole = redactor.redact_bytes(text).into_owned();
            for most in [1, 13, 600] {
                let (out, _) = streamed(&redactor, 0, pieces(text, &mut dice, most).into_iter());
                assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&whole));
            }
        }
    }
}

// What is left of a URL's endless password, where another find has taken all of it that had come by then.
#[test]
fn a_password_that_another_find_began_in_is_streamed_alike_wherever_it_is_cut() {
    let redactors = redactors();
    for length in [508, 511, 512, 513, 520, 700] {
        for (before, after) in [("p://", "~ y"), ("p://u:", "~/x y"), ("p://", "/~ y"), ("x p://", "")] {
            for unit in ["A", "token='a/b', "] {
                let text = format!("{before}{}{after}", unit.repeat(length / unit.len() + 1));
                for redactor in &redactors[..2] {
                    let whole = redactor.redact_bytes(text.as_bytes()).into_owned();
                    for cut in 500..text.len() {
                        let (one, other) = text.as_bytes().split_at(cut);
                        let (out, _) = streamed(redactor, 20, [one, other].into_iter());
                        assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&whole), "{cut}");
                    }
                }
            }
        }
    }
}

// The first line of a key may be of any length; what was read of it is cut off by then.
#[test]
fn a_private_key_that_began_long_before_its_value_ends_is_streamed_as_it_is_redacted() {
    let mut dice = Dice(9);
    for redactor in redactors() {
        for length in [10, 80, 97, 300, 6000] {
            let line = "MIIE".repeat(length / 4);
            for (before, after) in [("X-Private-Key: ", " x"), ("key='x ", "' x"), ("secret=[", "] y")] {
                let key = format!("-----BEGIN PRIVATE KEY-----{line}\nZq9\n-----END PRIVATE KEY-----");
                for text in [format!("{before}{key}{after}"), format!("{before}{key}{line}\n{key}{after}")] {
                    let whole = redactor.redact_bytes(text.as_bytes()).into_owned();
                    for most in [1, 60, 900] {
                        let pieces = pieces(text.as_bytes(), &mut dice, most);
                        let (out, _) = streamed(&redactor, 0, pieces.into_iter());
                        assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&whole));
                    }
                }
            }
        }
    }
}

#[test]
fn a_key_of_puttys_is_streamed_as_it_is_redacted_whatever_its_comment_says() {
    let mut dice = Dice(10);
    let all = redactors();
    for (number, comment) in COMMENTS.iter().enumerate() {
        for (before, after) in
            [("", " x"), ("ppk=", "&a=b"), ("secret: [", "] y"), ("token=x ", "\nPrivate-MAC: 0 z")]
        {
            let text = format!("{before}{}{after}", puttys(comment, ["\n", "%0A", " ", "\\n"][number % 4]));
            check(&all[number % 2], text.as_bytes(), &mut dice);
        }
    }
    for line in ["\n", "\\n", "%0A"] {
        let text = puttys(&format!("{}%250A \\\\n{}", COMMENTS[5], "P ä".repeat(1100)), line) + " x";
        let (out, _) = streamed(&all[0], 0, pieces(text.as_bytes(), &mut dice, 60).into_iter());
        assert_eq!(out, b"[REDACTED:PRIVATE_KEY] x");
    }
    // Far beyond each bound, which is where what is held back is cut off.
    for length in [900, 1020, 1100, 4070, 4100, 17_000] {
        let filler = "P ä".repeat(length / 4);
        for text in [
            puttys(&filler, "\n") + " x",
            puttys("", &filler) + " x",
            puttys("", "\n") + &filler + &puttys("", " "),
        ] {
            let whole = all[0].redact_bytes(text.as_bytes()).into_owned();
            for most in [1, 60, 900] {
                let (out, _) = streamed(&all[0], 0, pieces(text.as_bytes(), &mut dice, most).into_iter());
                assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&whole));
            }
        }
    }
}

#[test]
fn clean_text_leaves_but_for_its_last_word_and_a_mark_leaves_before_its_find_ends() {
    let redactor = Arc::new(Redactor::new(&[]).unwrap());
    let mut stream = Stream::new(Arc::clone(&redactor), 0);
    let mut told = Told { redactor: Some(redactor), ..Told::default() };
    let mut after = |chunk: &str| {
        told.out.clear();
        stream.feed(chunk.as_bytes(), &mut told).unwrap();
        (String::from_utf8(told.out.clone()).unwrap(), String::from_utf8_lossy(stream.held()).into_owned())
    };
    for (chunk, left, held) in [
        ("The answer", "The ", "answer"),
        (" is: f", "answer is: ", "f"),
        ("orty-two.\n", "forty-two.\n", ""),
        ("mail ann@exam", "mail ", "ann@exam"),
        ("ple.com now", "[REDACTED:EMAIL_ADDRESS] ", "now"),
        (" token=abcdefghijklmnop,", "now token=[REDACTED:TOKEN]", ","),
        ("qrstuvwxyz", "", ",qrstuvwxyz"),
        (" ", "", " "),
        (" é", "  ", "é"),
        ("! -----BEGIN RSA PRIVATE KEY-----\nMII", "é! [REDACTED:PRIVATE_KEY]", "nothing"),
    ] {
        let (out, kept) = after(chunk);
        assert_eq!(out, left, "{chunk:?}");
        assert!(kept == held || held == "nothing", "{chunk:?}: {kept:?}");
    }
}

#[test]
fn a_long_stream_of_single_bytes_costs_a_bounded_number_of_tries_for_each() {
    let redactor = Arc::new(Redactor::new(&[]).unwrap());
    for unit in [
        "a",
        "a ",
        "=",
        "eyJ",
        "eyJaaaaaaaaaaa.",
        "@a",
        "http://a:",
        "password: ",
        "\\\"",
        "4 ",
        "x@y.",
        "token=[",
        "-----BEGIN",
    ] {
        let mut stream = Stream::new(Arc::clone(&redactor), 0);
        let mut told = Told { redactor: Some(Arc::clone(&redactor)), ..Told::default() };
        let text = unit.repeat(20_000 / unit.len());
        let mut read = 0;
        for byte in text.as_bytes().chunks(1) {
            let before = stream.tries;
            stream.feed(byte, &mut told).unwrap();
            // A try reads what is held, and the blocks of marks round it.
            read += (stream.tries - before) * (128 + stream.held().len());
        }
        assert!(read < 400 * text.len(), "{unit:?}: {} bytes were read for each", read / text.len());
    }
}

#[test]
fn after_a_panic_in_what_receives_it_the_stream_is_over() {
    struct Fails;
    impl Receiver for Fails {
        fn text(&mut self, _: &[u8]) {
            panic!("no room");
        }
        fn find(&mut self, _: &Finding, _: Option<&[u8]>) {}
        fn end(&mut self, _: &Finding, _: (usize, usize), _: (usize, usize)) {}
    }
    let redactor = Arc::new(Redactor::new(&[]).unwrap());
    let mut stream = Stream::new(redactor, 0);
    let failed =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| stream.feed(b"some text ", &mut Fails)));
    assert!(failed.is_err() && stream.is_over());
    assert_eq!(stream.feed(b"x", &mut Fails), Err(Over));
    assert_eq!(stream.finish(&mut Fails), Err(Over));
}

// Half of a pair is three bytes, as Python passes it, and each piece that leaves is read as characters.
#[test]
fn half_of_a_pair_before_a_long_word_leaves_as_a_whole() {
    for unit in ["a.", "%25", "x"] {
        let mut text = b"x \xed\xa0\x80".to_vec();
        text.extend(unit.repeat(300).bytes());
        let redactor = Arc::new(Redactor::new(&[]).unwrap());
        let mut stream = Stream::new(Arc::clone(&redactor), 0);
        let mut told = Told { redactor: Some(redactor), ..Told::default() };
        for byte in text.chunks(1) {
            stream.feed(byte, &mut told).unwrap();
            let end = told.out.len();
            assert!(end < 3 || !matches!(end, 3 | 4), "{unit}: {end} bytes have left");
        }
        stream.finish(&mut told).unwrap();
        assert_eq!(told.out, text);
    }
}

//! The cases follow the classes of JSONTestSuite: what must be accepted, what must not, what a
//! parser may choose. Where it may choose, we refuse, except for what is only unusual.
#![allow(clippy::unwrap_used, clippy::panic)]

use serde_json::{Value, json};

use super::super::value::parse_value;
use super::*;

fn read(text: impl AsRef<[u8]>) -> Result<Value, Reason> {
    parse_value(text.as_ref(), &Bounds::default())
        .map(|parsed| parsed.value)
        .map_err(|rejection| rejection.reason)
}

fn within(text: &str, bounds: Bounds) -> Result<usize, Reason> {
    parse_value(text.as_bytes(), &bounds).map(|parsed| parsed.values).map_err(|rejection| rejection.reason)
}

#[test]
fn what_the_grammar_allows_is_read() {
    for (text, value) in [
        ("[]", json!([])),
        ("{}", json!({})),
        (" \t\r\n[ 1 , 2 ] \n", json!([1, 2])),
        ("null", Value::Null),
        ("true", json!(true)),
        ("false", json!(false)),
        ("\"\"", json!("")),
        ("0", json!(0)),
        ("-0", json!(0)),
        ("-0.0", json!(-0.0)),
        ("-1", json!(-1)),
        ("123.456e-7", json!(123.456e-7)),
        ("1E+2", json!(100.0)),
        ("0e0", json!(0.0)),
        ("5e-324", json!(5e-324)),
        ("1e-400", json!(0.0)),
        ("9223372036854775807", json!(i64::MAX)),
        ("-9223372036854775808", json!(i64::MIN)),
        ("18446744073709551615", json!(u64::MAX)),
        (r#""\"\\\/\b\f\n\r\t""#, json!("\"\\/\u{8}\u{c}\n\r\t")),
        (r#""\u00e9\uD83D\ude00\u0000""#, json!("é😀\0")),
        ("\"é😀\u{7f}\u{2028}\"", json!("é😀\u{7f}\u{2028}")),
        (r#"{"":{"a":[{}]}}"#, json!({"": {"a": [{}]}})),
        (r#"{"__proto__":{"admin":true}}"#, json!({"__proto__": {"admin": true}})),
    ] {
        assert_eq!(read(text), Ok(value), "{text}");
    }
}

#[test]
fn what_the_grammar_does_not_allow_is_malformed() {
    for text in [
        "",
        " ",
        "[",
        "]",
        "{",
        "}",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1,,2]",
        "[]]",
        "[1}",
        "{]",
        ",",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{a:1}",
        "{'a':1}",
        "{1:1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\"::1}",
        "{null:1}",
        "1 2",
        "[] []",
        "{}x",
        "nul",
        "nulll",
        "True",
        "TRUE",
        "nan",
        "undefined",
        "01",
        "-01",
        "00",
        "-",
        "+1",
        "1.",
        ".5",
        "-.5",
        "1.e1",
        "1e",
        "1e+",
        "1E-",
        "1.2.3",
        "1e1.5",
        "0x10",
        "1_000",
        "1,000",
        "--1",
        "- 1",
        "infinity",
        "-I",
        "Inf",
        "\"",
        "\"a",
        "'a'",
        "\"\\\"",
        "\"\\x41\"",
        "\"\\u12\"",
        "\"\\u123g\"",
        "\"\\u\"",
        "\"\\a\"",
        "\"\\\u{e9}\"",
        "\"\n\"",
        "\"\t\"",
        "\"a\u{0}\"",
        "\"a\u{1f}\"",
        "// c\n1",
        "/* c */1",
        "1 // c",
        "#1",
        "\u{b}1",
        "\u{c}1",
        "\u{a0}1",
        "\u{2060}1",
        "[1\u{0}]",
        "a",
        "é",
        "*",
    ] {
        assert_eq!(read(text), Err(Reason::Malformed), "{text:?}");
    }
}

#[test]
fn a_member_named_twice_is_refused_at_any_depth_and_in_any_spelling() {
    // Duplicate members have bypassed checks: CVE-2017-12635 (CouchDB, "roles" given twice).
    for text in [
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"\u0061":2}"#,
        r#"[[{"x":{"roles":[],"b":0,"roles":["admin"]}}]]"#,
        r#"{"":0,"":0}"#,
        "{\"é\":1,\"\\u00e9\":2}",
    ] {
        assert_eq!(read(text), Err(Reason::DuplicateKey), "{text}");
    }
    // The same name in two objects is nothing unusual, nor are names equal only after folding.
    assert!(read(r#"[{"a":{"a":1}},{"a":1,"A":2}]"#).is_ok());
    assert!(read("{\"\u{e9}\":1,\"e\u{301}\":2}").is_ok());
}

#[test]
fn numbers_that_are_not_finite_are_refused() {
    for text in
        ["NaN", "[NaN]", "Infinity", "-Infinity", "1e309", "-1e309", "1e999999999", "{\"a\":-Infinity}"]
    {
        assert_eq!(read(text), Err(Reason::NonFinite), "{text}");
    }
    assert_eq!(read("1.7976931348623157e308"), Ok(json!(f64::MAX)));
}

#[test]
fn half_of_a_surrogate_pair_is_refused_escaped_or_encoded() {
    for text in [
        &br#""\ud800""#[..],
        br#""\uDFFF""#,
        br#""\ud800\ud800""#,
        br#""\ud800\u0041""#,
        br#""\ud800\n""#,
        br#""\ud800x""#,
        br#"{"\udead":1}"#,
        b"\"\xed\xa0\x80\"",
        b"\"\xed\xa0\x80\xed\xb0\x80\"",
    ] {
        assert_eq!(read(text), Err(Reason::Surrogate), "{text:?}");
    }
}

#[test]
fn only_utf_8_without_a_mark_is_read() {
    let foreign = Err(Reason::Encoding { invalid: false });
    for text in [
        &b"\xef\xbb\xbf1"[..],
        b"\xff\xfe1\0",
        b"\xfe\xff\x001",
        b"\xff\xfe\0\x001\0\0\0",
        b"\0\0\xfe\xff\0\0\x001",
        b"1\0",
        b"\x001",
        b"\0\0\x001",
        b"\"\0x\0\"\0",
    ] {
        assert_eq!(read(text), foreign, "{text:?}");
    }
    let invalid = Err(Reason::Encoding { invalid: true });
    for text in [&b"\"\xff\""[..], b"\"\xc3\"", b"\"\xc0\xaf\"", b"\"\xf4\x90\x80\x80\"", b"{\"\\n\xe9\":1}"]
    {
        assert_eq!(read(text), invalid, "{text:?}");
    }
}

#[test]
fn each_bound_passes_at_its_limit_and_refuses_beyond() {
    let bounds = Bounds::new(20, 3, 4, 5).unwrap();
    assert_eq!(within("[[[1]]]", bounds), Ok(4));
    assert_eq!(within("[[[[]]]]", bounds), Err(Reason::TooDeep));
    assert_eq!(within(r#"{"a":[{}]}"#, bounds), Ok(3));
    assert_eq!(within(r#"[{"a":{"b":[]}}]"#, bounds), Err(Reason::TooDeep));
    assert_eq!(within("                   1", bounds), Ok(1));
    assert_eq!(within("                    1", bounds), Err(Reason::TooLarge));
    let bounds = Bounds::new(100, 3, 4, 5).unwrap();
    assert_eq!(within(r#"{"a":{"a":1,"b":2},"c":3}"#, bounds), Ok(5));
    assert_eq!(within(r#"{"a":{"a":1,"b":2},"c":3,"d":4}"#, bounds), Err(Reason::TooManyKeys));
    assert_eq!(within("-12345", bounds), Ok(1));
    assert_eq!(within("123456", bounds), Err(Reason::NumberTooLong));
    assert_eq!(within("1.234", bounds), Ok(1));
    assert_eq!(within("-1.2345", bounds), Err(Reason::NumberTooLong));
    assert_eq!(within("10e10", bounds), Ok(1));
    assert_eq!(within("10e100", bounds), Err(Reason::NumberTooLong));
}

#[test]
fn long_integers_are_kept_up_to_the_bound() {
    let digits = "9".repeat(309);
    assert_eq!(read(&digits), Ok(json!(f64::MAX)));
    assert_eq!(read(format!("-{digits}")), Ok(json!(f64::MIN)));
    assert_eq!(read(format!("{digits}0")), Err(Reason::NumberTooLong));
    assert_eq!(read("1".repeat(100_000)), Err(Reason::NumberTooLong));
    assert_eq!(read(format!("0.{}1", "0".repeat(100_000))), Err(Reason::NumberTooLong));
}

#[test]
fn a_hundred_thousand_brackets_are_refused_without_descending() {
    // CVE-2024-27454 and its like: recursion without a limit. CWE-674.
    assert_eq!(read("[".repeat(100_000)), Err(Reason::TooDeep));
    assert_eq!(read("{\"a\":".repeat(100_000)), Err(Reason::TooDeep));
    let deepest = Bounds::new(1 << 20, Bounds::DEEPEST, 1 << 20, 309).unwrap();
    let nested = format!("{}{}", "[".repeat(Bounds::DEEPEST), "]".repeat(Bounds::DEEPEST));
    assert_eq!(within(&nested, deepest), Ok(Bounds::DEEPEST));
}

#[test]
fn only_what_every_reader_refuses_is_called_a_syntax_error() {
    for (text, is_syntax) in [
        ("[1,]", true),
        ("\"\n\"", true),
        ("NaN", false),
        ("1e999", false),
        (r#"{"a":1,"a":2}"#, false),
        (r#""\ud800""#, false),
        ("\u{feff}1", false),
    ] {
        assert_eq!(read(text).unwrap_err().is_syntax(), is_syntax, "{text}");
    }
}

#[test]
fn a_rejection_says_where_and_never_what() {
    let rejection = parse_value(br#"{"card":4111111111111111,"card":1}"#, &Bounds::default()).unwrap_err();
    assert_eq!(rejection.offset, Some(0));
    assert_eq!(rejection.to_string(), "an object names a member twice (byte 0)");
    let rejection = parse_value(br#"[1, 2, x]"#, &Bounds::default()).unwrap_err();
    assert_eq!((rejection.reason.code(), rejection.offset), ("json.malformed", Some(7)));
}

/// A small generator, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }

    fn document(&mut self, depth: usize, out: &mut String) {
        const SCALARS: [&str; 12] = [
            "null",
            "true",
            "false",
            "0",
            "-1",
            "1.5e3",
            "\"a\"",
            "\"\\u00e9\\n\"",
            "\"é\"",
            "12345678901",
            "{}",
            "[]",
        ];
        let kind = if depth == 0 { 0 } else { self.below(4) };
        match kind {
            2 => {
                let members = self.below(4);
                let parts: Vec<String> = (0..members)
                    .map(|i| {
                        let mut value = String::new();
                        self.document(depth - 1, &mut value);
                        format!("\"k{}\":{value}", if self.below(12) == 0 { 0 } else { i })
                    })
                    .collect();
                out.push_str(&format!("{{{}}}", parts.join(",")));
            }
            3 => {
                let parts: Vec<String> = (0..self.below(4))
                    .map(|_| {
                        let mut value = String::new();
                        self.document(depth - 1, &mut value);
                        value
                    })
                    .collect();
                out.push_str(&format!("[{}]", parts.join(" , ")));
            }
            _ => out.push_str(SCALARS[self.below(SCALARS.len())]),
        }
    }
}

#[test]
fn it_agrees_with_another_parser_except_for_its_own_refusals() {
    const NOISE: [u8; 20] = *b"{}[],:\"\\ 0123.eE-+nu";
    let mut random = Random(7);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..40_000 {
        let mut text = String::new();
        random.document(4, &mut text);
        let mut bytes = text.into_bytes();
        for _ in 0..random.below(3) {
            let at = random.below(bytes.len());
            bytes[at] = NOISE[random.below(NOISE.len())];
        }
        let theirs = serde_json::from_slice::<Value>(&bytes);
        match (read(&bytes), theirs) {
            (Ok(ours), Ok(theirs)) => {
                accepted += 1;
                // `-0` is an integer here and in Python, a double there.
                assert_eq!(ours.to_string().replace("-0.0", "0"), theirs.to_string().replace("-0.0", "0"));
            }
            (Err(Reason::Malformed | Reason::Encoding { .. }), Err(_)) => refused += 1,
            (Err(Reason::DuplicateKey | Reason::NonFinite | Reason::Surrogate), _) => refused += 1,
            (ours, theirs) => panic!("{:?}: {ours:?}, {theirs:?}", String::from_utf8_lossy(&bytes)),
        }
    }
    assert!(accepted > 10_000 && refused > 5_000, "{accepted} {refused}");
}

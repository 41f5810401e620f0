//! Tests: values that once escaped, each in the text that let it out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

fn redactor() -> Redactor {
    Redactor::new(&[]).unwrap()
}

fn shown(text: &str) -> String {
    let redactor = redactor();
    let once = redactor.redact(text).into_owned();
    assert_eq!(redactor.redact(&once), once, "from {text:?}");
    once
}

// CWE-248: a lone surrogate, as Python passes it, is three bytes, and a cut into them is no text.
#[test]
fn the_tail_of_an_escape_is_never_cut_out_of_a_character() {
    let redactor = redactor();
    let surrogate = b"\\x\xed\xa0\x80ann@b.co";
    assert_eq!(&*redactor.redact_bytes(surrogate), b"\\[REDACTED:EMAIL_ADDRESS]");
    for (text, expected) in [
        ("\\xéann@b.co", "\\[REDACTED:EMAIL_ADDRESS]"),
        ("\\u12éann@b.co", "\\[REDACTED:EMAIL_ADDRESS]"),
        ("\\x0aann@b.co", "\\x0a[REDACTED:EMAIL_ADDRESS]"),
        ("\\u000aann@b.co", "\\u000a[REDACTED:EMAIL_ADDRESS]"),
        ("\\@b.co", "\\@b.co"),
        ("\\x@b.co", "\\[REDACTED:EMAIL_ADDRESS]"),
    ] {
        assert_eq!(shown(text), expected);
    }
}

#[test]
fn cookies_in_a_list_or_an_object_are_hidden_whole_and_json_stays_json() {
    for (text, expected) in [
        (r#"{"cookies": {"remember_me": "Zq9"}, "a": 1}"#, r#"{"cookies": "[REDACTED:COOKIE]", "a": 1}"#),
        (r#"{"Set-Cookie": ["remember_me=Zq9; Path=/"]}"#, r#"{"Set-Cookie": "[REDACTED:COOKIE]"}"#),
        ("{'Cookie': ['remember_me=Zq9'], 'a': 1}", "{'Cookie': '[REDACTED:COOKIE]', 'a': 1}"),
        (
            "{'cookies': ImmutableMultiDict([('remember_me', 'Z)q9')]), 'a': 1}",
            "{'cookies': '[REDACTED:COOKIE]', 'a': 1}",
        ),
        ("cookies=ImmutableMultiDict([('remember_me', 'Zq9')]) x", "cookies=[REDACTED:COOKIE] x"),
        ("'password': SecretStr('Z q9'), 'a'", "'password': '[REDACTED:PASSWORD]', 'a'"),
        (r#"{"cookies": null, "a": 1}"#, r#"{"cookies": null, "a": 1}"#),
        (r#"{"cookies": 12, "a": 1}"#, r#"{"cookies": "[REDACTED:COOKIE]", "a": 1}"#),
        ("'Cookie': a=b; remember_me=Zq9", "'Cookie': '[REDACTED:COOKIE]'"),
        ("Cookie: [x]; remember_me=Zq9\nHost: x", "Cookie: [REDACTED:COOKIE]\nHost: x"),
        ("%22token%22%3A%5B%22Zq9%22%2C%22b%5D%22%5D%7D", "%22token%22%3A[REDACTED:TOKEN]%7D"),
    ] {
        assert_eq!(shown(text), expected);
    }
}

#[test]
fn a_target_hides_objects_and_lists_encoded_or_not() {
    let redactor = redactor();
    for target in [
        r#"/a?q={"cookies":{"remember_me":"Zq9"}}"#,
        r#"/a?q={"token":["Zq9"]}"#,
        "/a?q=%7B%22cookies%22%3A%7B%22remember_me%22%3A%22Zq9%22%7D%7D",
        "/a?q=%7B%22cookies%22:%7B%22remember_me%22:%22Zq9%22%7D%7D",
        "/a?q=%7B%22token%22%3A%5B%22a%22%2C%22Zq9%22%5D%7D",
        "/a?q=%257B%2522cookies%2522%253A%257B%2522x%2522%253A%2522Zq9%2522%257D%257D",
    ] {
        let out = target::redact(&redactor, target);
        assert!(!out.contains("Zq9") && out.contains("[REDACTED:"), "{target} -> {out}");
        assert_eq!(target::redact(&redactor, &out), out);
    }
}

// A repr doubles the backslash before a quote, and then the quote seems to close the value.
#[test]
fn a_quote_that_a_repr_has_escaped_twice_does_not_end_a_value() {
    for (text, expected) in [
        (r#"b'{"token": "\\"Zq9hunter", "z": 2}'"#, r#"b'{"token": "[REDACTED:TOKEN]", "z": 2}'"#),
        (r#"b'{"token": "a\\"Zq9", "z": 2}'"#, r#"b'{"token": "[REDACTED:TOKEN]", "z": 2}'"#),
        (r#"b'{"token": "a\\", Zq9", "z": 2}'"#, r#"b'{"token": "[REDACTED:TOKEN]", "z": 2}'"#),
        (r#"b'{"token": ["a\\"]Zq9", "b"], "z": 2}'"#, r#"b'{"token": "[REDACTED:TOKEN]", "z": 2}'"#),
        (r#"{"token":"a\\","b":"c"}"#, r#"{"token":"[REDACTED:TOKEN]","b":"c"}"#),
        (r#"{"token": "a\\" , "b": "c"}"#, r#"{"token": "[REDACTED:TOKEN]" , "b": "c"}"#),
        (r#"{"token": "a\\" }"#, r#"{"token": "[REDACTED:TOKEN]" }"#),
        (r#"{"token": ["a\\", "b"], "z": 2}"#, r#"{"token": "[REDACTED:TOKEN]", "z": 2}"#),
        ("('a\\\\', token='a\\\\', b=1)", "('a\\\\', token='[REDACTED:TOKEN]', b=1)"),
        ("token='a\\\\'", "token='[REDACTED:TOKEN]'"),
    ] {
        assert_eq!(shown(text), expected);
    }
}

#[test]
fn an_apostrophe_in_a_list_inside_nested_json_does_not_end_it() {
    let mut text = serde_json::json!({"token": ["'Zq9", "it's"], "z": {"pin": ["Zq9'"]}}).to_string();
    for _ in 0..3 {
        text = serde_json::json!({ "w": text }).to_string();
        let mut value: serde_json::Value = serde_json::from_str(&shown(&text)).unwrap();
        while let Some(inner) = value["w"].as_str() {
            value = serde_json::from_str(inner).unwrap();
        }
        assert_eq!(value, serde_json::json!({"token": "[REDACTED:TOKEN]", "z": {"pin": "[REDACTED:PIN]"}}));
    }
}

#[test]
fn json_that_was_printed_over_several_lines_stays_json_and_says_nothing() {
    let value =
        serde_json::json!({"password": ["Zq9", {"a": [1, "Zq9]"]}], "cookies": {"x": "Zq9"}, "z": [1]});
    let printed = serde_json::to_string_pretty(&value).unwrap();
    for text in [printed.clone(), printed.replace('\n', "\r\n"), printed.replace('\n', "\n\n")] {
        let expected =
            serde_json::json!({"password": "[REDACTED:PASSWORD]", "cookies": "[REDACTED:COOKIE]", "z": [1]});
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown(&text)).unwrap(), expected);
    }
    for (text, expected) in [
        ("{'password': ['Zq9',\n    'Zq9 '\n    'Zq9']}", "{'password': '[REDACTED:PASSWORD]'}"),
        ("password=[Zq9\nnext line", "password=[REDACTED:PASSWORD]\nnext line"),
        ("password=['Zq9\n', next]", "password=[REDACTED:PASSWORD]\n', next]"),
    ] {
        assert_eq!(shown(text), expected);
    }
    let endless = format!("password=[{}", "1,\n".repeat(60_000));
    let out = shown(&endless);
    assert!(out.len() > 100_000 && out.starts_with("password=[REDACTED:PASSWORD]\n1,"));
}

#[test]
fn colours_between_a_name_and_its_value_do_not_hide_it() {
    for (text, expected) in [
        (
            "^[36mpassword^[0m=^[35mZq9^[0m ^[36mn^[0m=1",
            "^[36mpassword^[0m=^[35m[REDACTED:PASSWORD]^[0m ^[36mn^[0m=1",
        ),
        ("^[1;38;5;36mpin^[0m: ^[1m^[35m'Z q9'^[0m", "^[1;38;5;36mpin^[0m: ^[1m^[35m'[REDACTED:PIN]'^[0m"),
        ("^[mcookie^[m=^[35mZq9^[m", "^[mcookie^[m=^[35m[REDACTED:COOKIE]^[m"),
        ("^[36mdevicem^[0m=1 ^[36m^[0m=2 ^[36mn^[0m=3", "^[36mdevicem^[0m=1 ^[36m^[0m=2 ^[36mn^[0m=3"),
    ] {
        for escape in ["\u{1b}", "\\x1b", "\\u001b"] {
            assert_eq!(shown(&text.replace('^', escape)), expected.replace('^', escape));
        }
    }
}

#[test]
fn names_in_the_plural_with_an_index_in_pairs_and_in_tags_are_read() {
    for (text, expected) in [
        ("SECRET_KEY_FALLBACKS=['Zq9', 'b'] x", "SECRET_KEY_FALLBACKS=[REDACTED:SECRET] x"),
        ("user[password][]=Zq9&b=1", "user[password][]=[REDACTED:PASSWORD]&b=1"),
        ("password[0]=Zq9", "password[0]=[REDACTED:PASSWORD]"),
        ("form['password'][0][1] = 'Zq9'", "form['password'][0][1] = '[REDACTED:PASSWORD]'"),
        ("user%5Bpassword%5D%5B0%5D=Zq9", "user%5Bpassword%5D%5B0%5D=[REDACTED:PASSWORD]"),
        ("[('password', ['Zq9', 'b']), ('a', 1)]", "[('password', '[REDACTED:PASSWORD]'), ('a', 1)]"),
        ("(\"pin\", 1234)", "(\"pin\", \"[REDACTED:PIN]\")"),
        ("('password', None)", "('password', None)"),
        ("('token', {'a': ('Zq9', 1)})", "('token', '[REDACTED:TOKEN]')"),
        ("<password type='x'>Zq9</password>", "<password type='x'>[REDACTED:PASSWORD]</password>"),
        (
            "<w:Password a=\"1\" b >Zq9</w:Password>",
            "<w:Password a=\"1\" b >[REDACTED:PASSWORD]</w:Password>",
        ),
        ("<password/><user id='a'>ann</user>", "<password/><user id='a'>ann</user>"),
        ("tokens: 4096, used", "tokens: 4096, used"),
        ("tokens: ['Zq9']", "tokens: [REDACTED:TOKEN]"),
    ] {
        assert_eq!(shown(text), expected);
    }
    for name in ["user[password][]", "password[0]", "password[0][]", "a[tokens]"] {
        assert!(redactor().is_secret_name(name), "{name}");
    }
}

#[test]
fn what_is_glued_together_is_found_at_once() {
    let redactor = redactor();
    let pieces = "Bearer |Bearer+|Basic |dXNlcjpwYXNz|+|sk-ant-|aaaaaaaaaaaaaaaaaaaa|4111111111111111|/|-|=|.| |7|_|\n|        Authorization: |%20|eyJhbGciOiJ|SK0|token=|\u{1b}[1m|[REDACTED:X]|\"|[0]|[|]|<password a='|>|('token',";
    let pieces: Vec<&str> = pieces.split('|').collect();
    let mut state = 7u64;
    for _ in 0..40_000 {
        let mut below = |most: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % most
        };
        let text: String =
            (0..1 + below(9)).map(|_| pieces[below(pieces.len())]).collect::<Vec<_>>().concat();
        let once = redactor.redact(&text);
        assert_eq!(redactor.redact(&once), once, "from {text:?}");
    }
    let text = concat!("Bearer Basic dXNlcjpwYXNz+sk-", "ant-aaaaaaaaaaaaaaaaaaaa4111111111111111");
    assert_eq!(shown(text), "Bearer Basic [REDACTED:BASIC_AUTH]");
}

//! Tests: values that once escaped, each in the text that let it out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod doubts;
mod otherwise;
mod outside;
mod several;

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

// A bare value ends at a blank, and with its head hidden the rest was no card, key or account any more.
#[test]
fn a_secret_that_begins_inside_a_value_and_goes_on_after_it_is_hidden_to_its_end() {
    let mut said = Wrong::default();
    for (text, expected) in [
        (
            "url=x;conn_password=a Password=Zq9",
            "url=x;conn_password=[REDACTED:PASSWORD] Password=[REDACTED:PASSWORD]",
        ),
        ("Authorization: Bearer a.b.c", "Authorization: Bearer [REDACTED:BEARER]"),
        ("auth: Basic dXNlcjpwYXNz x", "auth: Basic [REDACTED:BASIC_AUTH] x"),
        ("creditCard=4155 5245 1958 4712 x", "creditCard=[REDACTED:CREDIT_CARD] x"),
        ("card_number: Visa:4155 5245 1958 4712, x", "card_number: [REDACTED:CREDIT_CARD], x"),
        ("token=4155 5245 1958 4712 4111 1111 1111 1111", "token=[REDACTED:TOKEN] [REDACTED:CREDIT_CARD]"),
        ("token=4155 5245 1958 4713 x", "token=[REDACTED:TOKEN] 5245 1958 4713 x"),
        ("secret=x,Bearer abcdefgh1234567890 y", "secret=[REDACTED:SECRET] y"),
        ("secret: password: Zq9 y", "secret: [REDACTED:SECRET] y"),
        ("token: Token = Zq9 y", "token: [REDACTED:TOKEN] y"),
        ("a=1&token=x&password = Zq9 y", "a=1&token=[REDACTED:TOKEN] y"),
        ("password={x}Zq9 y", "password=[REDACTED:PASSWORD] y"),
        ("f(password=${x}:Zq9) y", "f(password=[REDACTED:PASSWORD]) y"),
        ("password=[a b]Zq9 y", "password=[REDACTED:PASSWORD] y"),
        (r#"{"token": ["a"]}Zq9"#, r#"{"token": "[REDACTED:TOKEN]"}Zq9"#),
    ] {
        said.check(text, expected, Options::default());
    }
}

// Before, a BEGIN line was looked for in the last 96 bytes of a value alone.
#[test]
fn a_private_key_with_a_long_first_line_is_hidden_to_its_end() {
    let line = "MIIEaB7+".repeat(40);
    let key = format!("-----BEGIN RSA PRIVATE KEY-----{line}\nZq9\n-----END RSA PRIVATE KEY-----");
    let public = key.replace("RSA PRIVATE", "RSA PUBLIC");
    for (text, expected) in [
        (format!("X-Private-Key: {key} x"), "X-Private-Key: [REDACTED:PRIVATE_KEY] x"),
        (format!("private_key = \"{key}\" x"), "private_key = \"[REDACTED:PRIVATE_KEY]\" x"),
        (format!("password={key} x"), "password=[REDACTED:PASSWORD] x"),
        // One that is over with its value, or is no private key, does not reach beyond it.
        (format!("password=\"{}\nZq8 x", key.replace('\n', " ")), "password=\"[REDACTED:PASSWORD]\nZq8 x"),
        (
            format!("password=\"{public} x"),
            "password=\"[REDACTED:PASSWORD]\nZq9\n-----END RSA PUBLIC KEY----- x",
        ),
    ] {
        assert_eq!(shown(&text), expected, "{text}");
    }
}

// Identifiers of one letter and a dot are everywhere in minified programs.
#[test]
fn what_only_begins_as_a_token_stays() {
    for text in [
        "s.getBoundingClientRectangle1 s.addEventListenerABCDEFGHI(x)",
        "s.aaaaaaaaaaaaaaaaaaaaaa11 this.s.Zk7WqT9rVb3LxN5mHc2DyPf",
        "aio_read_callback_with_context_and_9",
        "1000.0123456789abcdef.5 version 1000.1 at 11000.25",
        "LTAIPEIBANKHOLDS LTAI12345678901_x",
        "ATTAINMENT0123456789abcdef",
        "mailgun 9f86d081884c7d659a2feaa0c55ad015-9f86d081-9f86d08",
        "the PuTTY-User-Key-File-3 format",
    ] {
        assert_eq!(shown(text), text);
    }
}

// A dash is part of words: what ends where a private key begins was taken for longer than it is.
#[test]
fn a_secret_that_a_private_key_is_glued_to_is_found() {
    for (text, entity) in [
        (concat!("twitch i8gm3sc0ozkqmcmp", "8x601tvrutk3sj"), "TWITCH_TOKEN"),
        (concat!("rollbar 38515351cbdb2ceb", "f041d6fda4b0c14b"), "ROLLBAR_TOKEN"),
        (concat!("5HueCGU8rMjxEXxiPuD5BDku4MkF", "qeZyd4dZ1jvhTVqvbTLvyTJ"), "WALLET_KEY"),
    ] {
        let before = text.rsplit_once(' ').map_or(String::new(), |(name, _)| format!("{name} "));
        let key = "-----BEGIN PRIVATE KEY-----\nZq9";
        assert_eq!(
            shown(&format!("{text}{key}")),
            format!("{before}[REDACTED:{entity}][REDACTED:PRIVATE_KEY]")
        );
    }
}

#[test]
fn a_private_key_is_hidden_whole_whatever_name_announces_it() {
    for kind in ["RSA PRIVATE", "OPENSSH PRIVATE", "PRIVATE", "EC PRIVATE"] {
        let key = format!("-----BEGIN {kind} KEY-----\nMIIEZq9\n7aB+/=\n-----END {kind} KEY-----");
        let escaped = key.replace('\n', "\\n");
        let indented = key.replace('\n', "\n  ");
        for (before, after) in [
            ("signingKey=", " x"),
            ("signingKey=", "\nx=1"),
            ("signingKey: ", "\nx"),
            ("signingKey: \"", "\"\nx"),
            ("signing_key = '", "'\nx"),
            ("signing_key = \"\"\"", "\"\"\"\nx"),
            ("signing_key = [", "]\nx"),
            ("signing_key = ['", "']\nx"),
            ("signingKey: |\n  ", "\nx"),
            ("signingKey: >-\n  ", "\nx"),
            ("<secret>", "</secret>x"),
            ("{\"secret\": \"", "\", \"x\": 1}"),
            ("Authorization: ", "\nx"),
            ("Cookie: a=", "\nx"),
            ("secret=abc", "\nx"),
        ] {
            for key in [&key, &escaped, &indented] {
                let text = format!("{before}{key}{after}");
                let out = shown(&text);
                assert!(!out.contains("Zq9") && !out.contains("7aB"), "{text:?} -> {out:?}");
                assert!(out.contains('x'), "{text:?} -> {out:?}");
                every_stream_says_so(&text, &out, Options::default());
            }
        }
    }
    // A key that is cut off in its quotes takes nothing after them.
    let cut = concat!("{\"secret\": \"-----BEGIN PRIVATE", " KEY-----\\nMIIE\", \"x\": 1}");
    assert_eq!(shown(cut), "{\"secret\": \"[REDACTED:SECRET]\", \"x\": 1}");
}

#[test]
fn an_identifier_that_a_value_begins_with_is_hidden_to_its_end() {
    let mut said = Wrong::default();
    let entities = ["IBAN_CODE", "PHONE_NUMBER", "CREDIT_CARD", "SECRET", "PASSWORD"];
    let options =
        Options { entities: Some(&entities), names: &["iban", "phone", "account"], ..Options::default() };
    for (text, expected) in [
        ("iban=DE89 3704 0044 0532 0130 00 x", "iban=[REDACTED:SECRET] x"),
        ("account=IBAN:DE89 3704 0044 0532 0130 00 x", "account=[REDACTED:SECRET] x"),
        ("phone: +49 30 901820 x", "phone: [REDACTED:SECRET] x"),
        ("phone=(030) 901820, x", "phone=[REDACTED:SECRET], x"),
        ("password=4155 5245 1958 4712 x", "password=[REDACTED:PASSWORD] x"),
    ] {
        said.check(text, expected, options);
    }
}

#[test]
fn references_and_masks_are_no_secrets_and_what_only_resembles_them_is() {
    let mut said = Wrong::default();
    for text in [
        "password=********",
        "password=*, x",
        "{\"password\": \"********\", \"a\": 1}",
        "{\\\"password\\\": \\\"****\\\"}",
        "password=${DB_PASSWORD}",
        "password: \"${DB_PASSWORD}\"",
        "export TOKEN=$GITHUB_TOKEN; x",
        "Authorization: Bearer ${TOKEN}\nx",
        "password: {{ db.password }}",
        "password: '{{ .Values.password }}'",
        "token: ${{ secrets.GITHUB_TOKEN }}",
        "password = os.environ[\"X\"]",
        "password = os.environ.get('X')",
        "f(password=os.getenv(\"X\"), a=1)",
        "password: process.env.X,\n",
        "password: process.env['X'];",
        "def f() -> Token:  # comment",
        "password=None, token=null; secret: true",
        "Cookie: ${COOKIE}\nx",
    ] {
        said.check(text, text, Options::default());
    }
    for (text, expected) in [
        ("password=$ecret1", "password=[REDACTED:PASSWORD]"),
        ("password=$ECRET1", "password=[REDACTED:PASSWORD]"),
        ("password=$password", "password=[REDACTED:PASSWORD]"),
        ("password=${x}y", "password=[REDACTED:PASSWORD]"),
        ("password=${X:-Zq9}", "password=[REDACTED:PASSWORD]"),
        ("password=${X}:${Y}", "password=[REDACTED:PASSWORD]"),
        ("password=***Zq9", "password=[REDACTED:PASSWORD]"),
        ("password=Zq9***", "password=[REDACTED:PASSWORD]"),
        ("password='****' x", "password='****' x"),
        ("password='*** Zq9' x", "password='[REDACTED:PASSWORD]' x"),
        ("password='${X} Zq9' x", "password='[REDACTED:PASSWORD]' x"),
        ("password={{ x | default('Zq9') }} x", "password=[REDACTED:PASSWORD] x"),
        ("password={{x}}Zq9 x", "password=[REDACTED:PASSWORD] x"),
        ("password=os.environ.get('X', 'Zq9') x", "password=[REDACTED:PASSWORD] x"),
        ("password=process.env.X+Zq9 x", "password=[REDACTED:PASSWORD] x"),
        ("password=#Zq9", "password=[REDACTED:PASSWORD]"),
        ("Cookie: ${A}; sid=Zq9\nx", "Cookie: [REDACTED:COOKIE]\nx"),
        ("password=\\${X}", "password=[REDACTED:PASSWORD]"),
    ] {
        said.check(text, expected, Options::default());
    }
    let long = format!("password={}", "*".repeat(200));
    assert_eq!(shown(&long), "password=[REDACTED:PASSWORD]");
}

/// What was not said as expected: all of it, since one case alone seldom tells what is wrong.
#[derive(Default)]
struct Wrong(Vec<String>);

impl Wrong {
    fn check(&mut self, text: &str, expected: &str, options: Options<'_>) {
        let redactor = Redactor::build(options).unwrap();
        let once = redactor.redact(text).into_owned();
        if once != expected || redactor.redact(&once) != once {
            self.0.push(format!("{text:?} -> {once:?}, not {expected:?}"));
        }
        every_stream_says_so(text, &once, options);
    }
}

impl Drop for Wrong {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(self.0.is_empty(), "{}", self.0.join("\n"));
        }
    }
}

/// Cut once at each place, and into single bytes.
fn every_stream_says_so(text: &str, expected: &str, options: Options<'_>) {
    #[derive(Default)]
    struct Said(Vec<u8>, Option<std::sync::Arc<Redactor>>);
    impl Receiver for Said {
        fn text(&mut self, text: &[u8]) {
            self.0.extend_from_slice(text);
        }
        fn find(&mut self, finding: &Finding, _: Option<&[u8]>) {
            self.1.as_ref().unwrap().mark(finding, &mut self.0);
        }
        fn end(&mut self, _: &Finding, _: (usize, usize), _: (usize, usize)) {}
    }
    let redactor = std::sync::Arc::new(Redactor::build(options).unwrap());
    let bytes = text.as_bytes();
    let cuts = (0..bytes.len()).map(|at| vec![&bytes[..at], &bytes[at..]]);
    for chunks in cuts.chain([bytes.chunks(1).collect()]) {
        let mut stream = Stream::new(std::sync::Arc::clone(&redactor), 0);
        let mut said = Said(Vec::new(), Some(std::sync::Arc::clone(&redactor)));
        for chunk in chunks {
            stream.feed(chunk, &mut said).unwrap();
        }
        stream.finish(&mut said).unwrap();
        assert_eq!(String::from_utf8(said.0).unwrap(), expected, "{text:?}");
    }
}

//! Tests: what may be a value or none is hidden.

use super::otherwise::{all_are, all_stay};

#[test]
fn a_value_may_begin_with_the_signs_that_follow_a_text() {
    for value in [")-Zq9xK7wPlm", "}#Zq9xK7wPlm", "), Zq9xK7wPlm", "]:/Zq9xK7wPlm"] {
        for (before, after) in [
            ("password=\"", "\""),
            ("password='", "'"),
            ("password: \"", "\" x"),
            ("password: '", "', b='c'"),
            ("app --password '", "' --verbose"),
            ("app --password \"", "\""),
        ] {
            for start in ["user=ann@example.com ".to_string(), "a word ".repeat(60)] {
                let shown = start.replace("ann@example.com", "[REDACTED:EMAIL_ADDRESS]");
                all_are(&[(
                    &format!("{start}{before}{value}{after}"),
                    &format!("{shown}{before}[REDACTED:PASSWORD]{after}"),
                )]);
            }
        }
    }
}

#[test]
fn the_quote_that_closes_one_value_opens_none_before_the_next() {
    all_are(&[
        (
            "client_id=\"dGVzdA==\" client_secret=\"+Zq9xK7wPlm\"",
            "client_id=\"dGVzdA==\" client_secret=\"[REDACTED:SECRET]\"",
        ),
        (
            "msg=\"user login:\" password=\"+Zq9xK7wPlm\"",
            "msg=\"user login:\" password=\"[REDACTED:PASSWORD]\"",
        ),
        (
            "msg=\"user login:\" password=\")-Zq9xK7wPlm\"",
            "msg=\"user login:\" password=\"[REDACTED:PASSWORD]\"",
        ),
        ("cmd --id 'abc=' --password '+Zq9xK7wPlm'", "cmd --id 'abc=' --password '[REDACTED:PASSWORD]'"),
        ("a='b' it's 'c:' password=',Zq9xK7wPlm'", "a='b' it's 'c:' password='[REDACTED:PASSWORD]'"),
        ("x=\" password=\"+Zq9xK7wPlm\"", "x=\" password=\"[REDACTED:PASSWORD]\""),
    ]);
    all_stay(&[
        "say(\"it's\", \"password:\", x)",
        "say('user', 'password:', x)",
        r#"{"id":"dGVzdA==","msg":"Enter password:","level":"INFO"}"#,
        r#"{"a":"b","m":"{\"id\":\"x=\",\"b\":\"token:\",\"c\":\"d\"}"}"#,
    ]);
}

#[test]
fn a_value_that_ends_as_base64_does_is_no_label() {
    all_are(&[
        ("print(\"token:\", \"Zq9xK7wPlm==\")", "print(\"token:\", \"[REDACTED:TOKEN]\")"),
        ("print(\"token:\", \"Zq9xK7wPlm:\")", "print(\"token:\", \"[REDACTED:TOKEN]\")"),
    ]);
    all_stay(&["print(\"token:\", \"User name:\")", "[\"token:\", \"user_id=\", \"x-name: \", \"Größe:\"]"]);
}

#[test]
fn a_private_key_is_hidden_whatever_stands_between_its_lines() {
    let begin = concat!("-----BEGIN PRIVATE", " KEY-----");
    let end = concat!("-----END PRIVATE", " KEY-----");
    let line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7";
    for between in [
        "\x1b[0m\n",
        "#015#012",
        "<BR>",
        "</p>\n<p>",
        "\"\n  + b\"",
        "\"\n b\"",
        "^M\n",
        "&nbsp;",
        "\u{A0}",
        "\u{2028}",
        "\"},{\"line\":\"",
        "\"}\n{\"time\":\"2026-11-30T20:00:00Z\",\"stream\":\"stdout\",\"line\":\"",
    ] {
        all_are(&[
            (&format!("a {begin}{between}{line}{between}{line}"), "a [REDACTED:PRIVATE_KEY]"),
            (&format!("a {begin}{between}{line}{between}{end} b"), "a [REDACTED:PRIVATE_KEY] b"),
            (&format!("a {begin}{between}{end} b"), "a [REDACTED:PRIVATE_KEY] b"),
        ]);
    }
    all_stay(&[&format!("use {begin} to begin.{}", " and more words".repeat(40))]);
}

#[test]
fn a_card_in_any_few_groups_or_behind_its_name_is_hidden() {
    for number in [
        "4111 11111111 1111",
        "411111 1111111111",
        "378 2822 4631 0005",
        "4222 2222 2222 2",
        "62 0000 0000 0000 0005",
        "5555-555555-554444",
        "37828 22463 10005",
        "4111-111111111111",
    ] {
        all_are(&[(&format!("paid by {number} 12/29"), "paid by [REDACTED:CREDIT_CARD] 12/29")]);
    }
    all_are(&[
        ("card number 4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "card number [REDACTED:CREDIT_CARD]"),
        ("Visa: 41 11 11 11 11 11 11 11.", "Visa: [REDACTED:CREDIT_CARD]."),
        ("PAN 41-11-11-11-11-11-11-11", "PAN [REDACTED:CREDIT_CARD]"),
    ]);
    all_stay(&["pages 4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "Japan 41-11-11-11-11-11-11-11"]);
}

#[test]
fn the_content_of_an_element_is_read_far_and_may_begin_with_any_sign() {
    let long = "Z q9 ".repeat(300);
    for value in [format!(" {long}"), format!("\n{long}"), format!("@{long}"), format!("\"{long}")] {
        let blanks = &value[..value.len() - value.trim_start().len()];
        all_are(&[(
            &format!("<password>{value}</password> x"),
            &format!("<password>{blanks}[REDACTED:PASSWORD]</password> x"),
        )]);
    }
    for value in ["@Zq9xK7wPlm", "(Zq9xK7wPlm", "/Zq9xK7wPlm==", "*Zq9xK7wP", "?Zq9xK7wP", "&Zq9xK7wP"] {
        all_are(&[
            (&format!("<user>ann</user><password>{value}"), "<user>ann</user><password>[REDACTED:PASSWORD]"),
            (&format!("x\n  <password>{value}\ny"), "x\n  <password>[REDACTED:PASSWORD]\ny"),
            (
                &format!("{{\"a\":\"<password>{value}\",\"b\":1}}"),
                "{\"a\":\"<password>[REDACTED:PASSWORD]\",\"b\":1}",
            ),
        ]);
    }
    all_stay(&[
        "POST /users/<user>/tokens/<token>/revoke-them-all",
        "see <token>(is-required) and <pin>.example.org",
    ]);
}

#[test]
fn one_word_behind_an_option_in_quotes_is_its_value() {
    all_are(&[
        ("'--token': hunter\nx", "'--token': '[REDACTED:TOKEN]'\nx"),
        ("'--password': hunter", "'--password': '[REDACTED:PASSWORD]'"),
        ("'--token': hunter, '--a': 1", "'--token': '[REDACTED:TOKEN]', '--a': 1"),
    ]);
    all_stay(&["Invalid value for '--token': too short, see the help"]);
}

#[test]
fn what_was_cut_off_in_a_text_of_json_ends_with_that() {
    all_are(&[
        (
            r#"{"m":"<password><![CDATA[Z, q9","b":1}"#,
            r#"{"m":"<password><![CDATA[[REDACTED:PASSWORD]","b":1}"#,
        ),
        (
            r#"{"m":"{\"a\":\"<password><![CDATA[Zq9\",\"b\":1}"}"#,
            r#"{"m":"{\"a\":\"<password><![CDATA[[REDACTED:PASSWORD]\",\"b\":1}"}"#,
        ),
        (
            "<password><![CDATA[Z\", \"q9]]></password>",
            "<password><![CDATA[[REDACTED:PASSWORD]]]></password>",
        ),
        (
            r#"{"m":"form-data; name=\"password\"\r\n\r\nZ \"q9\"","b":1}"#,
            r#"{"m":"form-data; name=\"password\"\r\n\r\n[REDACTED:PASSWORD]","b":1}"#,
        ),
        (
            r#"{"m":"form-data; name=\"password\"\r\n\r\nZ', 'q9\r\n--x","b":1}"#,
            r#"{"m":"form-data; name=\"password\"\r\n\r\n[REDACTED:PASSWORD]\r\n--x","b":1}"#,
        ),
    ]);
}

//! Tests: where the text ends in which a name or a value stands: at a quote, at a tag, at what Markdown sets.

use super::otherwise::{all_are, all_stay};
use super::*;

#[test]
fn a_text_that_ends_in_a_sign_takes_nothing_behind_its_quote() {
    all_stay(&[
        r#"{"msg":"Enter password:","level":"INFO"}"#,
        r#"{"prompt":"Password: ","x":"y"}"#,
        r#"{"a":"token=", "b":[1]} ["secret:"] {"log":"Cookie: "}"#,
        r#"{"log":"password= ","user":"ann"}"#,
        r#"{"m":"{\"a\":\"token:\",\"b\":\"c\"}"}"#,
        r#"{"a":"use --password ","b":"c"} {"a":"use --password","b":"c"}"#,
        "input('Token: '), input('User: ')",
        "getpass.getpass(\"Password: \")",
        "{'q': 'token=', 'b': 'c'}",
        r#"["Password:", "Name:", "x"]"#,
        "msg=\"enter password:\" level=info",
        "url = '?token=' + token; x = \"secret=\" . $secret . 'y'; cout << \"pin: \" << pin;",
        r#"{&quot;msg&quot;:&quot;Password:&quot;,&quot;b&quot;:1}"#,
        "Error: Invalid value for '--password': too short",
        "Invalid value for \"--token\": must not be empty.",
    ]);
    all_are(&[
        ("print('password:', 'Z q9')", "print('password:', '[REDACTED:PASSWORD]')"),
        (r#"["Password:","Zq9"]"#, r#"["Password:","[REDACTED:PASSWORD]"]"#),
        ("'password: ' + 'Z q9'", "'password: ' + '[REDACTED:PASSWORD]'"),
        ("'Token: ' 'Zq9'", "'Token: ' '[REDACTED:TOKEN]'"),
        (
            r#"{"label":"Password: ","value":"Z q9"}"#,
            r#"{"label":"Password: ","value":"[REDACTED:PASSWORD]"}"#,
        ),
        (r#"{"a":"token=","password":"Zq9"}"#, r#"{"a":"token=","password":"[REDACTED:PASSWORD]"}"#),
        (
            r#"{"log":"Cookie: ","token":"Zq9","c":"d"}"#,
            r#"{"log":"Cookie: ","token":"[REDACTED:TOKEN]","c":"d"}"#,
        ),
        (
            r#"{"a":"use --password ","password":"Zq9"}"#,
            r#"{"a":"use --password ","password":"[REDACTED:PASSWORD]"}"#,
        ),
        (
            "{'--password': 'Zq9', '--pin': 12}",
            "{'--password': '[REDACTED:PASSWORD]', '--pin': '[REDACTED:PIN]'}",
        ),
        // What only looks like that is a value.
        ("password=\"'Z q9'\"", "password=\"[REDACTED:PASSWORD]\""),
        ("password=\"+Z q9\"", "password=\"[REDACTED:PASSWORD]\""),
        ("password=\" x=1 Zq9\"", "password=\"[REDACTED:PASSWORD]\""),
        (r#"{"password":", Z q9","a":"),"}"#, r#"{"password":"[REDACTED:PASSWORD]","a":"),"}"#),
        ("('password', '): Zq9')", "('password', '[REDACTED:PASSWORD]')"),
        ("['--password', '], Zq9']", "['--password', '[REDACTED:PASSWORD]']"),
        ("<input name='password' value='), Zq9'>", "<input name='password' value='[REDACTED:PASSWORD]'>"),
        ("password = '', token = ''", "password = '', token = ''"),
        ("msg=\"password=\"Zq9 b\"\"", "msg=\"password=\"[REDACTED:PASSWORD]\"\""),
    ]);
}

#[test]
fn json_in_json_is_read_five_deep_and_what_is_deeper_is_no_quote() {
    let mut text =
        serde_json::json!({"password": "Z q9", "pin": 123_456, "token": ["Zq9", "b"], "a": 1}).to_string();
    for depth in 1..=5 {
        text = serde_json::json!({ "m": text }).to_string();
        let made = shown(&text);
        assert!(!made.contains("q9") && !made.contains("123456"), "{depth}: {made}");
        every_stream_says_so(&text, &made, Options::default());
        let mut value: serde_json::Value = serde_json::from_str(&made).unwrap();
        while let Some(inner) = value["m"].as_str() {
            value = serde_json::from_str(inner).unwrap();
        }
        let expected = serde_json::json!({
            "password": "[REDACTED:PASSWORD]", "pin": "[REDACTED:PIN]", "token": "[REDACTED:TOKEN]", "a": 1
        });
        assert_eq!(value, expected, "{depth}");
    }
}

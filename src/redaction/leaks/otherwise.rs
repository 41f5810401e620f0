//! Tests: names and values that are written otherwise than `name=value`, each of which once escaped.

use super::*;

/// Each text, in a stream and whole, becomes what stands beside it.
pub(super) fn all_are(cases: &[(&str, &str)]) {
    let mut said = Wrong::default();
    for (text, expected) in cases {
        said.check(text, expected, Options::default());
    }
}

/// Each text stays, in a stream and whole.
pub(super) fn all_stay(texts: &[&str]) {
    let mut said = Wrong::default();
    for text in texts {
        said.check(text, text, Options::default());
    }
}

// RFC 3986 §2.1: `quote(json.dumps(…))` has `%3A%20`, `urlencode` has `%3A+`, `encodeURI` keeps the colon.
#[test]
fn json_that_is_percent_encoded_as_a_whole_is_read() {
    all_are(&[
        ("%7B%22password%22%3A%22Zq9%22%7D", "%7B%22password%22%3A%22[REDACTED:PASSWORD]%22%7D"),
        (
            "%7B%22password%22%3A%20%22Zq9%22%2C%20%22b%22%3A%201%7D",
            "%7B%22password%22%3A%20%22[REDACTED:PASSWORD]%22%2C%20%22b%22%3A%201%7D",
        ),
        ("%7B%22pin%22%3A+%22Zq9%22%7D x", "%7B%22pin%22%3A+%22[REDACTED:PIN]%22%7D x"),
        ("%7B%22password%22:%20%22Zq9%22%7D", "%7B%22password%22:%20%22[REDACTED:PASSWORD]%22%7D"),
        ("%22password%22%3A%22a%5C%22Zq9%22%7D", "%22password%22%3A%22[REDACTED:PASSWORD]%22%7D"),
        (
            "%22password%22%3A%22a%5C%5C%22%2C%22b%22%3A1",
            "%22password%22%3A%22[REDACTED:PASSWORD]%22%2C%22b%22%3A1",
        ),
        ("%7B%22pin%22%3A%201234%2C%22b%22%3A1%7D", "%7B%22pin%22%3A%20[REDACTED:PIN]%2C%22b%22%3A1%7D"),
        ("%22token%22%3A%20%5B%22a%5DZq9%22%5D%7D", "%22token%22%3A%20[REDACTED:TOKEN]%7D"),
        // A form in a form.
        (
            "a=%2522password%2522%253A%2B%2522Zq9%2522&b=1",
            "a=%2522password%2522%253A%2B%2522[REDACTED:PASSWORD]%2522&b=1",
        ),
        ("pin%3A%2BZq9&b=1", "pin%3A[REDACTED:PIN]&b=1"),
        ("password%3D+Zq9%26a%3D1", "password%3D[REDACTED:PASSWORD]%26a%3D1"),
        // Encoded twice and three times, as a `next` in a `next`.
        (
            "%257B%2522pin%2522%253A%2520%2522Zq9%2522%252C%2522b%2522%253A1",
            "%257B%2522pin%2522%253A%2520%2522[REDACTED:PIN]%2522%252C%2522b%2522%253A1",
        ),
        ("next=%252Fa%253Fpin%253DZq9%2526b%253D1", "next=%252Fa%253Fpin%253D[REDACTED:PIN]%2526b%253D1"),
        ("%252522pin%252522%25253A%252522Zq9%252522", "%252522pin%252522%25253A%252522[REDACTED:PIN]%252522"),
    ]);
    all_stay(&[
        "%7B%22user%22%3A%20%22ann%22%7D",
        "100%25 token%25",
        "%22password%22%3A%20%22%22%7D",
        "%3A%20%253A%2",
    ]);
}

// RFC 8259 §7: .NET writes a quote in a text as `\u0022`, nginx and Python's reprs of bytes have `\x22` and `\x3d`.
#[test]
fn quotes_and_signs_that_are_escaped_by_their_number_are_read() {
    all_are(&[
        (
            r"{\u0022password\u0022:\u0022Z q9\u0022,\u0022b\u0022:1}",
            r"{\u0022password\u0022:\u0022[REDACTED:PASSWORD]\u0022,\u0022b\u0022:1}",
        ),
        (r"{\u0022pin\u0022: 1234,\u0022b\u0022:1}", r"{\u0022pin\u0022: [REDACTED:PIN],\u0022b\u0022:1}"),
        (
            r#"{"m":"{\u0022token\u0022:[\u0022a]Zq9\u0022],\u0022b\u0022:1}"}"#,
            r#"{"m":"{\u0022token\u0022:[REDACTED:TOKEN],\u0022b\u0022:1}"}"#,
        ),
        // A quote in the value: escaped by the inner JSON, or by its number there too.
        (r"\u0022token\u0022:\u0022a\\\u0022Zq9\u0022}", r"\u0022token\u0022:\u0022[REDACTED:TOKEN]\u0022}"),
        (r"\u0022token\u0022:\u0022a\\u0022Zq9\u0022}", r"\u0022token\u0022:\u0022[REDACTED:TOKEN]\u0022}"),
        (r"\u0022token\u0022:\u0022a\\\\\u0022,x", r"\u0022token\u0022:\u0022[REDACTED:TOKEN]\u0022,x"),
        // The same in a repr.
        (r"'{\\u0022pin\\u0022:\\u0022Zq9\\u0022}'", r"'{\\u0022pin\\u0022:\\u0022[REDACTED:PIN]\\u0022}'"),
        (
            r"\\u0022pin\\u0022:\\u0022a\\\\\\u0022Zq9\\u0022 x",
            r"\\u0022pin\\u0022:\\u0022[REDACTED:PIN]\\u0022 x",
        ),
        // One that is cut off takes nothing behind the text that it stands in.
        (
            r#"{"m":"\u0022pin\u0022:\u0022Zq9","b":1}"#,
            r#"{"m":"\u0022pin\u0022:\u0022[REDACTED:PIN]","b":1}"#,
        ),
        (r"password\u003dZq9\u0026user\u003dann", r"password\u003d[REDACTED:PASSWORD]\u0026user\u003dann"),
        (r"password\u003DZq9 x", r"password\u003D[REDACTED:PASSWORD] x"),
        (r"pin\x3d1", r"pin\x3d[REDACTED:PIN]"),
        (r"\u0022pin\u0022\u003a\u0022Zq9\u0022", r"\u0022pin\u0022\u003a\u0022[REDACTED:PIN]\u0022"),
        (
            r"{\x22password\x22:\x22a\x5C\x22Zq9\x22,\x22b\x22:1}",
            r"{\x22password\x22:\x22[REDACTED:PASSWORD]\x22,\x22b\x22:1}",
        ),
        (r"'a\npin=1234'", r"'a\npin=[REDACTED:PIN]'"),
        (r"secret=x\u0026password\u003dZq9 y", r"secret=[REDACTED:SECRET] y"),
    ]);
    all_stay(&[
        r"{\u0022user\u0022:\u0022ann\u0022}",
        r"C:\x3d\token \u003c \u003d \x3c\x3a",
        r"password\u003e1 password\x3c",
        r"\u0022password\u0022 is missing",
    ]);
}

#[test]
fn json_that_is_escaped_for_a_page_is_read() {
    all_are(&[
        (
            "{&quot;password&quot;: &quot;Z q9&quot;, &quot;b&quot;: 1}",
            "{&quot;password&quot;: &quot;[REDACTED:PASSWORD]&quot;, &quot;b&quot;: 1}",
        ),
        (
            "{&#39;password&#39;: &#39;Zq9&#39;, &#39;pin&#39;: 12}",
            "{&#39;password&#39;: &#39;[REDACTED:PASSWORD]&#39;, &#39;pin&#39;: [REDACTED:PIN]}",
        ),
        ("{&#34;pin&#34;:1234,&#34;b&#34;:2}</p>", "{&#34;pin&#34;:[REDACTED:PIN],&#34;b&#34;:2}</p>"),
        ("&#x27;token&#x27;: [&#x27;a]Zq9&#x27;], x", "&#x27;token&#x27;: [REDACTED:TOKEN], x"),
        (r"&quot;token&quot;:&quot;a\&quot;Zq9&quot;}", "&quot;token&quot;:&quot;[REDACTED:TOKEN]&quot;}"),
        ("<p>&quot;pin&quot;: &quot;Zq9</p>", "<p>&quot;pin&quot;: &quot;[REDACTED:PIN]</p>"),
        ("password=&quot;Z q9&quot; x", "password=&quot;[REDACTED:PASSWORD]&quot; x"),
    ]);
    all_stay(&["&quot;user&quot;: &quot;ann&quot;", "a &amp; b; token; &nbsp;: x", "password: &quot;&quot;"]);
}

// RFC 7578 §4.2
#[test]
fn a_part_of_a_multipart_body_is_hidden_by_its_name() {
    let head = "--b\r\nContent-Disposition: form-data; name=\"password\"";
    for (before, after, expected) in [
        ("", "\r\n\r\nZq9\r\n--b--\r\nx", "\r\n\r\n[REDACTED:PASSWORD]\r\n--b--\r\nx"),
        (
            "",
            "\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nZq9\r\nZq9\r\n--b\r\n",
            "\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n[REDACTED:PASSWORD]\r\n--b\r\n",
        ),
        ("", "\r\n\r\n\r\n--b--", "\r\n\r\n\r\n--b--"),
        ("", "\r\n\r\nZq9", "\r\n\r\n[REDACTED:PASSWORD]"),
    ] {
        let text = format!("{before}{head}{after}");
        let expected = format!("{before}{head}{expected}");
        all_are(&[
            (&text, &expected),
            (&text.replace("\r\n", "\n"), &expected.replace("\r\n", "\n")),
            (&format!("{} y", text.replace("\r\n", "\\r\\n")), &{
                let end = if expected.ends_with(']') { "" } else { " y" };
                format!("{}{end}", expected.replace("\r\n", "\\r\\n"))
            }),
        ]);
    }
    let body = serde_json::json!({"body": format!("{head}\r\n\r\nZ\"q9\r\n--b--\r\n"), "a": 1}).to_string();
    let value: serde_json::Value = serde_json::from_str(&shown(&body)).unwrap();
    assert_eq!(value["body"], format!("{head}\r\n\r\n[REDACTED:PASSWORD]\r\n--b--\r\n"));
    all_are(&[
        (
            "form-data; name=\"user[password][]\"\r\n\r\nZq9\r\n--b",
            "form-data; name=\"user[password][]\"\r\n\r\n[REDACTED:PASSWORD]\r\n--b",
        ),
        ("form-data; name=\"pin\"\n\nZq9\n-- x", "form-data; name=\"pin\"\n\n[REDACTED:PIN]\n-- x"),
    ]);
    all_stay(&[
        "Content-Disposition: form-data; name=\"user\"\r\n\r\nann\r\n--b",
        "Content-Disposition: form-data; name=\"password\"\r\n",
        "the part name=\"password\"\n\nis missing\n--",
        "form-data; name=\"password\" is missing\n\nx",
        "form-data; name=\"password\"\n2026 INFO started\n\nnext\n--b",
        "form-data; name=\"password\"\nContent-Type: text/plain; charset=x1\n\nnext\n--b",
    ]);
    // What stands between the name and the value is no less secret for that.
    all_are(&[
        (
            "form-data; name=\"pin\"\r\nX-Api-Key: Zq9\r\n\r\n1234\r\n--b",
            "form-data; name=\"pin\"\r\nX-Api-Key: [REDACTED:API_KEY]\r\n\r\n1234\r\n--b",
        ),
        (
            "form-data; name=\"password\"\n2026 INFO api_key=Zq9\n2026 INFO Cookie: a=Zq9\n\nnext",
            "form-data; name=\"password\"\n2026 INFO api_key=[REDACTED:API_KEY]\n2026 INFO Cookie: [REDACTED:COOKIE]\n\nnext",
        ),
        (
            "form-data; name=\"pin\"\nContent-Type: text/plain; token=Zq9\n\n1\n--b",
            "form-data; name=\"pin\"\nContent-Type: text/plain; token=[REDACTED:TOKEN]\n\n1\n--b",
        ),
        (
            "form-data; name=\"pin\"\ncontent-type: TEXT/plain;charset=\"UTF-8\"\nContent-Transfer-Encoding: 8bit\nContent-Length: 4\n\nZq9\n--b",
            "form-data; name=\"pin\"\ncontent-type: TEXT/plain;charset=\"UTF-8\"\nContent-Transfer-Encoding: 8bit\nContent-Length: 4\n\n[REDACTED:PIN]\n--b",
        ),
    ]);
    // One without a boundary does not hide the rest of a log.
    let endless = format!("{head}\r\n\r\n{}", "a line\r\n".repeat(2000));
    let made = shown(&endless);
    assert!((4000..4200).contains(&(endless.len() - made.len())), "{}", endless.len() - made.len());
}

#[test]
fn a_value_below_its_name_is_hidden_where_the_text_says_that_it_is_one() {
    all_are(&[
        (
            "{\"password\":\n   \"Z q9\",\n \"x\": 1}",
            "{\"password\":\n   \"[REDACTED:PASSWORD]\",\n \"x\": 1}",
        ),
        ("{\"pin\" :\r\n\r\n 1234}", "{\"pin\" :\r\n\r\n \"[REDACTED:PIN]\"}"),
        ("{'token':\n['Zq9',\n 'Zq9']}", "{'token':\n'[REDACTED:TOKEN]'}"),
        ("password:\n  Zq9\nuser: x", "password:\n  [REDACTED:PASSWORD]\nuser: x"),
        ("db:\n  password:\n    'Z q9'\n  x: 1", "db:\n  password:\n    '[REDACTED:PASSWORD]'\n  x: 1"),
        ("- password:\n    Zq9", "- password:\n    [REDACTED:PASSWORD]"),
        ("a: 1\npassword: |\n  Zq9 a\n\n  Zq9\nuser: x", "a: 1\npassword: |\n  [REDACTED:PASSWORD]\nuser: x"),
        ("  token: >-\r\n    Zq9\r\n  user: x", "  token: >-\r\n    [REDACTED:TOKEN]\r\n  user: x"),
    ]);
    all_stay(&[
        "password=\n2026-11-30 12:00:00 INFO started",
        "password=\n  indented",
        "password:\n2026-11-30 12:00:00 INFO started",
        "password: \n",
        "password: \n  must have eight letters\n",
        "ValueError: bad password:\n  hunter",
        "if not token:\n    return\nclass Token:\n    pass",
        "secrets:\n  - db\n  - web",
        "secrets:\n  db:\n    file: x",
        "\"password\":\nis missing",
        "the token:\n\"GET / HTTP/1.1\" 200",
        "token:\nuser: x",
        "missing \"token\":\n{\"level\":\"info\",\"b\":1}",
        "bad 'token':\n['a', 'b']",
        "\"password\":\n2026-11-30 12:00:00 INFO x",
        "\"session\":\n10.0.0.1 - - \"GET /\"",
        "\"token\":\n- a\n- b",
    ]);
    all_are(&[
        ("{\"pin\":\n -12.5e1\n}", "{\"pin\":\n \"[REDACTED:PIN]\"\n}"),
        ("{\"a\": 1, \"pin\":\n12, \"b\":\n2}", "{\"a\": 1, \"pin\":\n\"[REDACTED:PIN]\", \"b\":\n2}"),
        ("{b'pin':\n  b'Zq9'}", "{b'pin':\n  b'[REDACTED:PIN]'}"),
    ]);
    // JSON that was printed, in JSON.
    all_are(&[
        (
            r#"{"m":"{\r\n  \"password\":\r\n  \"Z q9\",\r\n \"b\":1}"}"#,
            r#"{"m":"{\r\n  \"password\":\r\n  \"[REDACTED:PASSWORD]\",\r\n \"b\":1}"}"#,
        ),
        (r#"{"m":"{\"pin\":\n\t1234,\"b\":1}"}"#, r#"{"m":"{\"pin\":\n\t\"[REDACTED:PIN]\",\"b\":1}"}"#),
        (r#"{"m":"{\"pin\":\n [\"Z q9\"]}"}"#, r#"{"m":"{\"pin\":\n \"[REDACTED:PIN]\"}"}"#),
        (
            r"\u0022password\u0022:\t\u0022Z q9\u0022,",
            r"\u0022password\u0022:\t\u0022[REDACTED:PASSWORD]\u0022,",
        ),
    ]);
    // A stack is not hidden as a whole.
    let trace = format!("Password: >\n{}", "    at com.foo.Bar\n".repeat(1000));
    let made = shown(&trace);
    assert!((4000..4200).contains(&(trace.len() - made.len())), "{}", trace.len() - made.len());
}

#[test]
fn a_value_is_hidden_by_the_name_beside_it_in_either_order() {
    all_are(&[
        (
            r#"{"name": "password", "value": "Z q9"}"#,
            r#"{"name": "password", "value": "[REDACTED:PASSWORD]"}"#,
        ),
        (r#"{"value":"Zq9","name":"password"}"#, r#"{"value":"[REDACTED:PASSWORD]","name":"password"}"#),
        (
            r#"{"Key": "pin", "on": true, "Value": 1234, "x": 1}"#,
            r#"{"Key": "pin", "on": true, "Value": "[REDACTED:PIN]", "x": 1}"#,
        ),
        (
            r#"[{"name": "user", "value": "ann"}, {"name": "Cookie", "value": "a=b; c=d"}]"#,
            r#"[{"name": "user", "value": "ann"}, {"name": "Cookie", "value": "[REDACTED:COOKIE]"}]"#,
        ),
        (
            r#"{"m": "{\"value\":\"Z\\\"q9\",\"name\":\"pin\"}"}"#,
            r#"{"m": "{\"value\":\"[REDACTED:PIN]\",\"name\":\"pin\"}"}"#,
        ),
        (
            "{\n  \"name\": \"token\",\n  \"value\": \"Zq9\"\n}",
            "{\n  \"name\": \"token\",\n  \"value\": \"[REDACTED:TOKEN]\"\n}",
        ),
        ("{'value': 'Zq9', 'key': 'token'}", "{'value': '[REDACTED:TOKEN]', 'key': 'token'}"),
        (
            "<input name=\"password\" value=\"Z q9\">",
            "<input name=\"password\" value=\"[REDACTED:PASSWORD]\">",
        ),
        (
            "<input\n value='Zq9'\n name='password'>",
            "<input\n value='[REDACTED:PASSWORD]'\n name='password'>",
        ),
        (
            "<input type=\"password\" value=\"Zq9\"/>",
            "<input type=\"password\" value=\"[REDACTED:PASSWORD]\"/>",
        ),
        (
            "<input name=\"user\" value=\"ann\"><input value=\"Zq9\" id=\"pin\">",
            "<input name=\"user\" value=\"ann\"><input value=\"[REDACTED:PIN]\" id=\"pin\">",
        ),
        (
            r#"{"html": "<input name=\"pin\" value=\"Zq9\">"}"#,
            r#"{"html": "<input name=\"pin\" value=\"[REDACTED:PIN]\">"}"#,
        ),
        // What is found between them does not part them.
        (
            r#"{"name":"password","email":"a@b.org","value":"Zq9"}"#,
            r#"{"name":"password","email":"[REDACTED:EMAIL_ADDRESS]","value":"[REDACTED:PASSWORD]"}"#,
        ),
        (
            r#"{"name":"password","token":"abc","value":"Zq9"}"#,
            r#"{"name":"password","token":"[REDACTED:TOKEN]","value":"[REDACTED:PASSWORD]"}"#,
        ),
        (
            "<input name=\"password\" data-token=\"abc\" value=\"Zq9\">",
            "<input name=\"password\" data-token=\"[REDACTED:TOKEN]\" value=\"[REDACTED:PASSWORD]\">",
        ),
        (
            "<meta name=\"csrf-token\" content=\"Zq9\">",
            "<meta name=\"csrf-token\" content=\"[REDACTED:TOKEN]\">",
        ),
        (
            "Cookie(version=0, name='sid', value='Zq9', port=None)",
            "Cookie(version=0, name='sid', value='[REDACTED:SESSION]', port=None)",
        ),
    ]);
    all_stay(&[
        r#"{"name": "user", "value": "ann"}"#,
        r#"{"name": "password"}, {"value": "ann"}"#,
        r#"{"value": "ann"}, {"name": "password"}"#,
        r#"{"name": "password", "value": null, "id": 1}"#,
        r#"{"value": "a \"name\": \"password\"", "id": 1}"#,
        "<input name=\"password\"><input value=\"Send\">",
        "<input name=\"user\" type=\"text\" value=\"ann\"> <input type=\"password\">",
        "value=\"5\" x\nname=\"token\"",
        "name=\"token\" unit=\"1\"\nvalue=\"5\"",
        "value=5 name=token value: 5",
    ]);
}

#[test]
fn an_argument_of_a_command_is_hidden_and_a_sentence_about_it_is_not() {
    all_are(&[
        ("mysql --password Zq9 -u root", "mysql --password [REDACTED:PASSWORD] -u root"),
        ("--db-password  'Z q9' x", "--db-password  '[REDACTED:PASSWORD]' x"),
        ("`app --api_key Zq9`", "`app --api_key [REDACTED:API_KEY]`"),
        ("['a', '--password', 'Z q9', '-u']", "['a', '--password', '[REDACTED:PASSWORD]', '-u']"),
        ("[\"--token\",\"Zq9\"]", "[\"--token\",\"[REDACTED:TOKEN]\"]"),
        ("--token  Zq9 and more words", "--token  [REDACTED:TOKEN] and more words"),
        ("--token  hunter x", "--token  [REDACTED:TOKEN] x"),
        ("--password=Zq9 --token Zq9", "--password=[REDACTED:PASSWORD] --token [REDACTED:TOKEN]"),
    ]);
    all_stay(&[
        "use --password to log in, or --token; it is an option",
        "The --password option and the --token flag are old.",
        "usage: app [--password PASSWORD] [--api-key API_KEY] [--token TEXT] --secret <secret>",
        "app --password --user ann --password-file x --max-tokens 12 --no-password db",
        "app --password ${PASSWORD} --token \"$TOKEN\" | less",
        "app --password | less; app --password && x --password\nnext",
        "['--password', '--user'] a--password x ---password x __token x",
        "see https://example.org/a/--token x",
        "  --token    API token for the service\n  --password  the one",
        "--password expects a word, --token wird gebraucht, --pin before use",
    ]);
}

#[test]
fn full_width_signs_are_read() {
    all_are(&[
        ("password：Zq9 next", "password：[REDACTED:PASSWORD] next"),
        ("pin＝1234，x", "pin＝[REDACTED:PIN]"),
        ("你的password： Zq9", "你的password： [REDACTED:PASSWORD]"),
        ("Cookie：a=b; c=d\nx", "Cookie：[REDACTED:COOKIE]\nx"),
    ]);
    all_stay(&["用户：小明", "注意：password", "max_tokens：4096"]);
}

#[test]
fn a_list_of_a_name_and_its_value_is_read_and_one_of_names_stays() {
    all_are(&[
        ("['password', 'Z q9']", "['password', '[REDACTED:PASSWORD]']"),
        ("[\"password\",\"Zq9\"]", "[\"password\",\"[REDACTED:PASSWORD]\"]"),
        ("[b'authorization', b'Bearer Zq9']", "[b'authorization', b'Bearer [REDACTED:BEARER]']"),
        ("[[b'host', b'x'], [b'cookie', b'a=b; c']]", "[[b'host', b'x'], [b'cookie', b'[REDACTED:COOKIE]']]"),
        (r#"{"h": "[[\"pin\", \"Zq9\" ]]"}"#, r#"{"h": "[[\"pin\", \"[REDACTED:PIN]\" ]]"}"#),
        ("('Authorization', 'Bearer Zq9')", "('Authorization', 'Bearer [REDACTED:BEARER]')"),
    ]);
    all_stay(&[
        "missing: ['password', 'email', 'name']",
        "['password'] [\"token\"] ['password', 'email'",
        "['password', 4, 5] ['password', None] [INFO] x[0] [password, x]",
        "['user', 'ann']",
    ]);
    for length in [500, 508, 512, 520, 3000] {
        let (text, expected) =
            (format!("['pin', '{}'] x", "a".repeat(length)), "['pin', '[REDACTED:PIN]'] x");
        assert_eq!(shown(&text), expected);
        every_stream_says_so(&text, expected, Options::default());
    }
}

//! Tests: values of names, and what only looks like one.

use super::*;

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

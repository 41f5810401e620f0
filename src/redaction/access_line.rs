//! The access log: one line of JSON for each request, without secrets.
//!
//! Every text of the line that a peer has a hand in is redacted on its own, so nothing that a client sends can swallow a neighbouring
//! field; then cut to a bounded length, so that no secret is shown because its end was cut off; then escaped,
//! so that a line is one line (CWE-117).

use std::net::Ipv4Addr;

use super::{Redactor, target};
use crate::json;
use crate::time::UnixTime;

/// What is told of a request.
#[derive(Debug, Clone, Copy)]
pub struct Access<'a> {
    /// Identifies the request in all logs.
    pub request_id: &'a str,
    /// The client's address, if it is known.
    pub client: Option<&'a str>,
    /// The request's method.
    pub method: &'a str,
    /// The URL rule that matched, as it was written. None if none did.
    pub route: Option<&'a str>,
    /// Path and query as they came.
    pub target: &'a str,
    /// The answer's status.
    pub status: i64,
    /// Microseconds from the request's arrival to the end of its answer.
    pub micros: i64,
    /// Bytes of the answer's body, if they were counted.
    pub size: Option<i64>,
    /// Who called, if that is known.
    pub principal: Option<&'a str>,
    /// Codes of refusals and findings, such as `limit.exceeded`. The first 32 are shown.
    pub codes: &'a [&'a str],
    /// Whether the answer was sent to its end.
    pub complete: bool,
}

/// Appends the line, with its line break.
pub fn render(out: &mut Vec<u8>, redactor: &Redactor, access: &Access<'_>, now: UnixTime) {
    out.reserve(384);
    let shown = |out: &mut Vec<u8>, text: &str| {
        if is_no_secret(text) {
            out.push(b'"');
            out.extend_from_slice(text.as_bytes());
            out.push(b'"');
        } else {
            json::string(out, &redactor.redact(text), TEXT);
        }
    };
    let optional = |out: &mut Vec<u8>, text: Option<&str>| match text {
        Some(text) => shown(out, text),
        None => out.extend_from_slice(b"null"),
    };
    out.extend_from_slice(b"{\"time\":\"");
    json::time(out, now);
    out.extend_from_slice(b"\",\"request_id\":");
    // Random, and ours: what looks like a card number in it is none, and would break the tie to other logs.
    json::string(out, access.request_id, TEXT);
    out.extend_from_slice(b",\"client\":");
    optional(out, access.client);
    out.extend_from_slice(b",\"method\":");
    shown(out, access.method);
    out.extend_from_slice(b",\"route\":");
    match access.route {
        // The developer's words, the same for all requests.
        Some(route) => json::string(out, route, TEXT),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"target\":");
    json::string(out, &target::redact(redactor, access.target), TARGET);
    out.extend_from_slice(b",\"status\":");
    json::number(out, access.status);
    out.extend_from_slice(b",\"us\":");
    json::number(out, access.micros);
    out.extend_from_slice(b",\"bytes\":");
    match access.size {
        Some(size) => json::number(out, size),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"principal\":");
    optional(out, access.principal);
    out.extend_from_slice(b",\"codes\":[");
    for (i, code) in access.codes.iter().take(CODES).enumerate() {
        if i > 0 {
            out.push(b',');
        }
        shown(out, code);
    }
    out.extend_from_slice(b"],\"complete\":");
    out.extend_from_slice(if access.complete { b"true}\n" } else { b"false}\n" });
}

/// Whether *text* is a method or an address, which are no secret and need no escape. Looking for secrets costs more than
/// the rest of the line.
fn is_no_secret(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_method = bytes.len() <= 8 && bytes.iter().all(u8::is_ascii_uppercase);
    is_method || (bytes.len() <= 15 && text.parse::<Ipv4Addr>().is_ok())
}

/// Characters of a target that are shown.
const TARGET: usize = 2048;
/// Characters of any other text that are shown.
const TEXT: usize = 512;
const CODES: usize = 32;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use serde_json::{Value, json};

    const PLAIN: Access<'_> = Access {
        request_id: "01JDC",
        client: Some("192.0.2.7"),
        method: "POST",
        route: Some("/predict"),
        target: "/predict?token=hunter2",
        status: 200,
        micros: 1234,
        size: Some(17),
        principal: Some("ann@example.org"),
        codes: &["limit.exceeded"],
        complete: true,
    };

    fn line(access: &Access<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        render(&mut out, &Redactor::new(&[]).unwrap(), access, UnixTime(1_795_460_400.123_456));
        out
    }

    #[test]
    fn a_line_says_what_happened_without_its_secrets() {
        let text = String::from_utf8(line(&PLAIN)).unwrap();
        assert_eq!(
            text,
            concat!(
                r#"{"time":"2026-11-23T19:00:00.123456Z","request_id":"01JDC","client":"192.0.2.7","method":"POST","#,
                r#""route":"/predict","target":"/predict?token=[REDACTED:TOKEN]","status":200,"us":1234,"bytes":17,"#,
                r#""principal":"[REDACTED:EMAIL_ADDRESS]","codes":["limit.exceeded"],"complete":true}"#,
                "\n"
            )
        );
        let unknown = Access { client: None, route: None, size: None, principal: None, codes: &[], ..PLAIN };
        let value: Value = serde_json::from_slice(&line(&unknown)).unwrap();
        assert_eq!(value["client"], Value::Null);
        assert_eq!(value["codes"], json!([]));
    }

    // CWE-117: a client's bytes never make a second line, nor a field.
    #[test]
    fn no_text_can_forge_a_line_or_a_field() {
        let hostile = [
            "/x\n{\"time\":\"forged\"}",
            "/x\",\"status\":200,\"principal\":\"root",
            "/\r\n\u{85}\u{2028}\u{2029}\u{0}\u{1b}[2J",
            "/?password={\"a\":[\"",
            "/?Cookie: a=b; c=d",
            "/-----BEGIN PRIVATE KEY-----",
            "/\\",
            "/?token=\\\",\"x\":\"",
        ];
        for text in hostile {
            let forged = Access {
                request_id: text,
                client: Some(text),
                method: text,
                route: Some(text),
                target: text,
                principal: Some(text),
                codes: &[text, text],
                status: 403,
                ..PLAIN
            };
            let line = line(&forged);
            assert_eq!(line.iter().filter(|b| **b < b' ').count(), 1);
            let text = std::str::from_utf8(&line).unwrap();
            assert!(!text.contains(['\u{85}', '\u{2028}', '\u{2029}', '\u{7f}']));
            let value: Value = serde_json::from_slice(&line).unwrap();
            assert_eq!(value["status"], 403);
            assert_eq!(value["complete"], true);
            assert_eq!(value.as_object().unwrap().len(), 12);
        }
    }

    #[test]
    fn what_is_not_searched_has_nothing_to_find() {
        let redactor = Redactor::new(&["mykey"]).unwrap();
        let mut state = 1_u64;
        let mut next = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for _ in 0..20_000 {
            let method: String = (0..next(9)).map(|_| char::from(b'A' + next(26) as u8)).collect();
            let address = format!("{}.{}.{}.{}", next(256), next(256), next(256), next(256));
            for text in [method, address] {
                assert!(!is_no_secret(&text) || redactor.redact(&text) == text, "{text}");
            }
        }
        for text in ["GET ", "get", "G\"T", "é", "1.1.1.1\n", "::1", "1.1.1.256", "PASSWORDS"] {
            assert!(!is_no_secret(text), "{text}");
        }
    }

    #[test]
    fn long_texts_are_cut_after_redaction_not_before() {
        let target = format!("/{}?x=ghp_{}", "a".repeat(2028), "A1".repeat(40));
        let value: Value = serde_json::from_slice(&line(&Access { target: &target, ..PLAIN })).unwrap();
        let shown = value["target"].as_str().unwrap();
        assert_eq!(shown.chars().count(), 2049);
        assert!(shown.ends_with("?x=[REDACTED:GITHUB…"), "{}", &shown[2020..]);
    }
}

#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;

fn plain() -> CookiePolicy {
    CookiePolicy::new(&[]).unwrap()
}

fn with(rules: &[(&str, Rule)]) -> CookiePolicy {
    let rules: Vec<_> = rules.iter().map(|(name, rule)| ((*name).to_owned(), *rule)).collect();
    CookiePolicy::new(&rules).unwrap()
}

fn refused(rules: &[(&str, Rule)]) -> String {
    let rules: Vec<_> = rules.iter().map(|(name, rule)| ((*name).to_owned(), *rule)).collect();
    CookiePolicy::new(&rules).err().unwrap().to_string()
}

fn over_tls(line: &str) -> String {
    plain().harden(line, true).line.unwrap().into_owned()
}

fn notes(line: &str, tls: bool) -> Vec<&'static str> {
    plain().harden(line, tls).notes.iter().map(Note::code).collect()
}

const READABLE: Rule = Rule { http_only: Some(false), same_site: None, secure: None, partitioned: None };
const CROSS: Rule =
    Rule { http_only: None, same_site: Some(SameSite::None), secure: None, partitioned: Some(true) };
const NEVER_SECURE: Rule = Rule { http_only: None, same_site: None, secure: Some(false), partitioned: None };

#[test]
fn a_cookie_gets_what_it_lacks_and_keeps_what_it_has() {
    for (line, sent) in [
        ("a=1", "a=1; Secure; HttpOnly; SameSite=Lax"),
        ("a=1; SameSite=Strict", "a=1; SameSite=Strict; Secure; HttpOnly"),
        ("a=1; samesite=none; HTTPONLY", "a=1; samesite=none; HTTPONLY; Secure"),
        ("a=1; Secure; HttpOnly; SameSite=Lax", "a=1; Secure; HttpOnly; SameSite=Lax"),
        (
            "a=1; Path=/b; Domain=c.d; Max-Age=0",
            "a=1; Path=/b; Domain=c.d; Max-Age=0; Secure; HttpOnly; SameSite=Lax",
        ),
        // Browsers read no value of these two.
        ("a=1; Secure=false; HttpOnly=0", "a=1; Secure=false; HttpOnly=0; SameSite=Lax"),
        // Of several the last counts, so that what is added counts.
        ("a=1; SameSite=Strict; SameSite=None", "a=1; SameSite=Strict; SameSite=None; Secure; HttpOnly"),
        (
            "a=1; SameSite=None; SameSite=foo",
            "a=1; SameSite=None; SameSite=foo; Secure; HttpOnly; SameSite=Lax",
        ),
        ("a=1; SameSite", "a=1; SameSite; Secure; HttpOnly; SameSite=Lax"),
        // What stands in the value is no attribute; a quote does not end at a semicolon.
        ("a=Secure HttpOnly", "a=Secure HttpOnly; Secure; HttpOnly; SameSite=Lax"),
        ("a=\"x; Secure\"; HttpOnly", "a=\"x; Secure\"; HttpOnly; Secure; SameSite=Lax"),
        (
            "a=1; Securely; X-HttpOnly; Same-Site=Lax",
            "a=1; Securely; X-HttpOnly; Same-Site=Lax; Secure; HttpOnly; SameSite=Lax",
        ),
        (
            "a=1 ; \t Secure\t;HttpOnly = x ;SameSite = Lax ",
            "a=1 ; \t Secure\t;HttpOnly = x ;SameSite = Lax ",
        ),
        ("a=1; ; ", "a=1; Secure; HttpOnly; SameSite=Lax"),
        ("a=", "a=; Secure; HttpOnly; SameSite=Lax"),
    ] {
        assert_eq!(over_tls(line), sent);
        assert_eq!(over_tls(sent), sent, "twice is once");
    }
    let http = plain();
    assert_eq!(http.harden("a=1", false).line.unwrap(), "a=1; HttpOnly; SameSite=Lax");
}

#[test]
fn an_attribute_that_browsers_ignore_for_its_length_is_as_if_it_were_not_there() {
    let most = "x".repeat(1024);
    assert_eq!(
        over_tls(&format!("a=1; Secure={most}")),
        format!("a=1; Secure={most}; HttpOnly; SameSite=Lax")
    );
    let long = format!("a=1; Secure={most}x; HttpOnly={most}x");
    assert_eq!(over_tls(&long), format!("{long}; Secure; HttpOnly; SameSite=Lax"));
    // An octet on the wire is two in UTF-8.
    let latin = "é".repeat(1024);
    assert!(Cookie::read(&format!("a=1; Secure={latin}")).secure);
    assert!(!Cookie::read(&format!("a=1; Secure={latin}é")).secure);
}

#[test]
fn a_line_without_a_name_does_not_leave() {
    for line in ["", ";", "=", "=session=1", "session", "  = x", "Secure; a=1", ";a=1"] {
        let hardened = plain().harden(line, true);
        assert_eq!(hardened.line, None, "{line:?}");
        assert!(hardened.notes.has(Note::Nameless));
    }
}

#[test]
fn what_a_name_promises_is_kept_or_told() {
    assert_eq!(over_tls("__Host-a=1"), "__Host-a=1; Path=/; Secure; HttpOnly; SameSite=Lax");
    assert_eq!(notes("__Host-a=1", true), ["repaired"]);
    assert_eq!(notes("__Host-a=1; Path=/", true), [""; 0]);
    assert_eq!(notes("__Host-a=1; Path=", true), ["repaired"]);
    assert_eq!(notes("__Host-a=1; Path=/; Path=/b", true), ["prefix_path"]);
    assert_eq!(notes("__Host-a=1; Path=/b; Path=/", true), [""; 0]);
    assert_eq!(notes("__hOST-a=1; Path=/; Domain=a.b", true), ["prefix_domain"]);
    assert_eq!(notes("__Host-Http-a=1; Path=/; Domain=a.b; Domain=", true), [""; 0]);
    assert_eq!(notes("__Secure-a=1; Domain=a.b; Path=/b", true), [""; 0]);
    // Secure is demanded by the name, over whatever it goes; without, it could only be dropped.
    let http = plain();
    for name in ["__Secure-a", "__secure-a", "__Http-a", "__Host-a", "__Host-Http-a"] {
        let line = format!("{name}=1; Path=/");
        let hardened = http.harden(&line, false);
        assert_eq!(hardened.line.unwrap(), format!("{line}; Secure; HttpOnly; SameSite=Lax"));
        assert!(hardened.notes.has(Note::Repaired));
    }
    assert_eq!(http.harden("__Hosta=1", false).line.unwrap(), "__Hosta=1; HttpOnly; SameSite=Lax");
    let rules = with(&[("__*", Rule { http_only: Some(false), secure: Some(false), ..Rule::default() })]);
    assert_eq!(
        rules.harden("__Http-a=1", true).line.unwrap(),
        "__Http-a=1; Secure; HttpOnly; SameSite=Lax",
        "a name outranks a rule"
    );
}

#[test]
fn what_browsers_drop_is_told() {
    assert_eq!(notes("a=1; SameSite=None", false), ["none_insecure"]);
    assert_eq!(notes("a=1; Partitioned", false), ["partitioned_insecure"]);
    assert_eq!(notes("a=1; SameSite=None; Partitioned", true), [""; 0]);
    assert_eq!(notes("a=1; SameSite=None; Secure", false), [""; 0]);
    assert_eq!(notes(&format!("a={}", "x".repeat(4095)), true), [""; 0]);
    assert_eq!(notes(&format!("a={}", "x".repeat(4096)), true), ["oversized"]);
    assert_eq!(notes(&format!("a={}", "é".repeat(4095)), true), [""; 0]);
    assert_eq!(notes("a=1; Path=/, b=2; Path=/", true), ["joined"]);
    assert_eq!(notes("a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT,b=2", true), ["joined"]);
    assert_eq!(notes("a=1, b=2; Expires=Wed, 21 Oct 2026 07:28:00 GMT", true), [""; 0]);
}

#[test]
fn the_most_specific_rule_says_what_it_says_and_the_wider_ones_the_rest() {
    let policy = with(&[
        ("*", Rule { same_site: Some(SameSite::Strict), ..Rule::default() }),
        ("ui_*", READABLE),
        ("ui_embed*", CROSS),
        ("ui_embed_old", Rule { secure: Some(true), partitioned: Some(false), ..Rule::default() }),
    ]);
    for (line, sent) in [
        ("a=1", "a=1; HttpOnly; SameSite=Strict"),
        ("ui=1", "ui=1; HttpOnly; SameSite=Strict"),
        ("UI_a=1", "UI_a=1; HttpOnly; SameSite=Strict"),
        ("ui_a=1", "ui_a=1; SameSite=Strict"),
        // Without Secure, neither would be kept.
        ("ui_embed=1", "ui_embed=1; SameSite=Lax"),
        ("ui_embed_old=1", "ui_embed_old=1; Secure; SameSite=None"),
    ] {
        assert_eq!(policy.harden(line, false).line.unwrap(), sent);
    }
    assert_eq!(
        policy.harden("ui_embed=1", true).line.unwrap(),
        "ui_embed=1; Secure; SameSite=None; Partitioned"
    );
    // What is taken back is taken back where it was set.
    assert_eq!(
        policy.harden("ui_embed=; Max-Age=0", true).line.unwrap(),
        "ui_embed=; Max-Age=0; Secure; SameSite=None; Partitioned"
    );
}

#[test]
fn what_passes_by_a_rule_is_marked() {
    let policy = with(&[("r", READABLE), ("s", NEVER_SECURE)]);
    let excepted = |line, tls| policy.harden(line, tls).excepted;
    assert!(excepted("r=1", true) && excepted("r=1", false) && excepted("s=1", true));
    assert!(!excepted("s=1", false) && !excepted("a=1", true) && !excepted("r=1; HttpOnly", true));
    // Browsers need it more than the rule does not want it.
    assert_eq!(
        policy.harden("s=1; SameSite=None", true).line.unwrap(),
        "s=1; SameSite=None; Secure; HttpOnly"
    );
}

#[test]
fn a_rule_that_browsers_would_answer_by_dropping_the_cookie_is_refused() {
    let insecure = |more: Rule| Rule { secure: Some(false), ..more };
    for (rules, word) in [
        (vec![("", READABLE)], "no name"),
        (vec![("a b", READABLE)], "no name"),
        (vec![("a*b", READABLE)], "no name"),
        (vec![("a**", READABLE)], "no name"),
        (vec![("a;b", READABLE)], "no name"),
        (vec![("a", READABLE), ("a", CROSS)], "twice"),
        (vec![("*", READABLE)], "every cookie"),
        (vec![("*", NEVER_SECURE)], "every cookie"),
        (vec![("*", CROSS)], "every cookie"),
        (vec![("__Host-a", NEVER_SECURE)], "promises Secure"),
        (vec![("__secure-*", NEVER_SECURE)], "promises Secure"),
        (vec![("__Http-a", READABLE)], "promises HttpOnly"),
        (vec![("a", insecure(Rule { same_site: Some(SameSite::None), ..Rule::default() }))], "needs Secure"),
        (vec![("a", insecure(Rule { partitioned: Some(true), ..Rule::default() }))], "needs Secure"),
        // Each alone is possible.
        (vec![("a*", CROSS), ("ab", NEVER_SECURE)], "needs Secure"),
    ] {
        let message = refused(&rules);
        assert!(message.contains(word), "{message}");
    }
    let many: Vec<_> = (0..257).map(|at| (format!("a{at}"), READABLE)).collect();
    assert!(CookiePolicy::new(&many).is_err());
}

#[test]
fn a_line_of_a_million_separators_is_read_once() {
    let line = format!("a=1{}", ";,x=".repeat(250_000));
    let sent = over_tls(&line);
    assert!(sent.starts_with("a=1;,x=") && sent.ends_with("; Secure; HttpOnly; SameSite=Lax"));
}

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;
use crate::headers::{NonceError, REMOVED};
use std::collections::HashSet;

const NONCE: &str = "AAAAAAAAAAAAAAAAAAAAAA";

#[derive(Debug, PartialEq)]
struct Failed;

impl From<Refusal> for Failed {
    fn from(_: Refusal) -> Self {
        Self
    }
}

impl From<NonceError> for Failed {
    fn from(_: NonceError) -> Self {
        Self
    }
}

fn policy(profile: Profile, overrides: &[(&str, Option<&str>)]) -> HeaderPolicy {
    HeaderPolicy::new(profile, &options(overrides)).unwrap()
}

fn options(overrides: &[(&str, Option<&str>)]) -> Options {
    let overrides =
        overrides.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect();
    Options { overrides, ..Options::default() }
}

fn sent(policy: &HeaderPolicy, headers: &[(&str, &str)], tls: bool) -> Vec<(String, String)> {
    answered(policy, headers, tls, false).unwrap()
}

fn answered(
    policy: &HeaderPolicy,
    headers: &[(&str, &str)],
    tls: bool,
    not_modified: bool,
) -> Result<Vec<(String, String)>, Failed> {
    let sent = policy.apply(headers, tls, not_modified, || Nonce::parse(NONCE).map_err(Failed::from))?;
    Ok(sent.into_iter().map(|(name, value)| (name.to_owned(), value.into_owned())).collect())
}

fn value<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut found = headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
    let value = found.next().map(|(_, value)| value.as_str());
    assert!(found.next().is_none(), "{name} is on the wire twice");
    value
}

#[test]
fn data_gets_what_was_measured() {
    let sent = sent(&policy(Profile::Api, &[]), &[], true);
    assert_eq!(sent.len(), 12);
    for (name, expected) in [
        ("Strict-Transport-Security", "max-age=63072000; includeSubDomains"),
        (CSP, "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
        ("Cross-Origin-Embedder-Policy", "require-corp"),
        ("Cache-Control", "no-store, max-age=0"),
    ] {
        assert_eq!(value(&sent, name), Some(expected));
    }
    assert_eq!(value(&sent, "Permissions-Policy").unwrap().split(", ").count(), 29);
}

#[test]
fn pages_get_a_nonce_in_scripts_and_styles() {
    let policy = policy(Profile::Html, &[]);
    assert!(policy.uses_nonce());
    let sent = sent(&policy, &[], true);
    assert_eq!(sent.len(), 12);
    let csp = value(&sent, CSP).unwrap();
    assert_eq!(
        csp,
        format!(
            "default-src 'none'; script-src 'nonce-{NONCE}' 'strict-dynamic'; style-src 'self' 'nonce-{NONCE}'; \
             img-src 'self'; font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; \
             form-action 'self'; frame-ancestors 'none'; object-src 'none'; require-trusted-types-for 'script'; \
             upgrade-insecure-requests"
        )
    );
    assert_eq!(value(&sent, "Origin-Agent-Cluster"), Some("?1"));
    assert_eq!(value(&sent, "Cross-Origin-Embedder-Policy"), None);
}

// RFC 6797 §7.2; helmetjs/helmet#429.
#[test]
fn what_only_tls_can_keep_is_sent_over_tls_only() {
    for profile in [Profile::Api, Profile::Html] {
        let policy = policy(profile, &[("Strict-Transport-Security", Some("max-age=300"))]);
        let plain = sent(&policy, &[], false);
        assert_eq!(value(&plain, "Strict-Transport-Security"), None);
        assert!(!value(&plain, CSP).unwrap().contains("upgrade-insecure-requests"));
        assert_eq!(value(&sent(&policy, &[], true), "strict-transport-security"), Some("max-age=300"));
    }
}

#[test]
fn a_mixed_application_answers_by_content_type() {
    let policy = policy(Profile::Mixed, &[]);
    for page in [
        "text/html",
        "TEXT/HTML; charset=UTF-8",
        "text/html ;a=b",
        "Application/XHTML+XML;charset=utf-8",
        "\ttext/html",
    ] {
        let sent = sent(&policy, &[("cOnTeNt-TyPe", page)], true);
        assert!(value(&sent, CSP).unwrap().contains("'strict-dynamic'"), "{page}");
        assert_eq!(value(&sent, "Cross-Origin-Embedder-Policy"), None);
    }
    for data in [
        "application/json",
        "text/html2",
        "text/plain;text/html",
        "image/svg+xml",
        "application/json, text/html",
        "",
    ] {
        let sent = sent(&policy, &[("Content-Type", data)], true);
        assert!(value(&sent, CSP).unwrap().starts_with("default-src 'none'; base-uri"), "{data}");
        assert_eq!(value(&sent, "Cross-Origin-Embedder-Policy"), Some("require-corp"));
        assert_eq!(value(&sent, "Origin-Agent-Cluster"), None);
    }
    assert!(value(&sent(&policy, &[], true), CSP).unwrap().starts_with("default-src 'none'; base-uri"));
    // Which of two types a browser takes is its own affair: the stricter policy holds.
    let two = [("Content-Type", "text/html"), ("Content-Type", "application/json")];
    assert!(answered(&policy, &two, true, false).unwrap().iter().all(|(_, value)| !value.contains("nonce")));
}

// RFC 9111 §3.2: a 304 replaces the headers of the stored response.
#[test]
fn a_304_does_not_lock_out_the_page_that_it_confirms() {
    for profile in [Profile::Html, Profile::Mixed] {
        let sent = answered(&policy(profile, &[]), &[("ETag", "\"1\"")], true, true).unwrap();
        assert_eq!(value(&sent, CSP), None);
        assert_eq!(value(&sent, "X-Content-Type-Options"), Some("nosniff"));
        assert!(value(&sent, "Strict-Transport-Security").is_some());
    }
    let sent = answered(&policy(Profile::Mixed, &[]), &[], true, true).unwrap();
    assert_eq!(value(&sent, "Cross-Origin-Embedder-Policy"), None);
    assert!(value(&answered(&policy(Profile::Api, &[]), &[], true, true).unwrap(), CSP).is_some());
}

// Flask-Talisman 1.1.0 overwrites a view's stricter policy.
#[test]
fn what_the_view_set_stays() {
    let policy = policy(Profile::Html, &[]);
    let view = [
        ("content-security-policy", "default-src 'none'"),
        ("X-FRAME-OPTIONS", "SAMEORIGIN"),
        ("cache-control", "public, max-age=60"),
        ("X-XSS-Protection", "0"),
    ];
    let sent = sent(&policy, &view, true);
    for (name, expected) in view {
        assert_eq!(value(&sent, name), Some(expected));
    }
}

#[test]
fn no_header_is_on_the_wire_twice() {
    let policy = policy(Profile::Mixed, &[("x-frame-options", Some("SAMEORIGIN")), ("X-Own", Some("1"))]);
    for content_type in ["text/html", "application/json"] {
        for tls in [false, true] {
            let names: Vec<String> = sent(&policy, &[("Content-Type", content_type), ("x-OWN", "2")], tls)
                .iter()
                .map(|(name, _)| name.to_ascii_lowercase())
                .collect();
            assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
        }
    }
}

#[test]
fn the_removal_list_is_dropped_whole_unless_kept() {
    let api = policy(Profile::Api, &[]);
    for name in REMOVED {
        let upper = name.to_ascii_uppercase();
        let sent = sent(&api, &[(name, "1"), (&upper, "2"), ("X-Request-Id", "3")], false);
        assert_eq!(value(&sent, name), None, "{name}");
        assert_eq!(value(&sent, "x-request-id"), Some("3"));
    }
    let keeps = Options { keep: vec!["Server".to_owned()], ..Options::default() };
    let keeps = HeaderPolicy::new(Profile::Api, &keeps).unwrap();
    let sent = sent(&keeps, &[("server", "mine"), ("X-Powered-By", "theirs")], false);
    assert_eq!((value(&sent, "Server"), value(&sent, "X-Powered-By")), (Some("mine"), None));
}

// Even a header that is about to be dropped, or one that ours would have replaced, is looked at.
#[test]
fn a_response_that_would_split_is_refused() {
    let api = policy(Profile::Api, &[]);
    for name in ["X-A", "Server", "X-Frame-Options", "Content-Type", "Location"] {
        for value in ["a\r\nSet-Cookie: b=c", "a\n", "a\0", "\u{560a}"] {
            assert_eq!(answered(&api, &[(name, value)], false, false), Err(Failed), "{name} {value:?}");
        }
    }
    for name in ["", "X A", "X-A:", "X-A\r\nX-B", "X-\u{e9}"] {
        assert_eq!(answered(&api, &[(name, "a")], false, false), Err(Failed), "{name:?}");
    }
    let refusal = api.examine("X-A", "hunter2\n", &mut Seen::default()).unwrap_err();
    assert!(!refusal.to_string().contains("hunter2") && refusal.to_string().contains("X-A"));
}

#[test]
fn overrides_replace_remove_and_add() {
    let changed = policy(
        Profile::Html,
        &[
            ("cross-origin-embedder-policy", Some("require-corp")),
            ("X-Frame-Options", None),
            ("Content-Security-Policy", None),
            (
                "Content-Security-Policy-Report-Only",
                Some("script-src 'nonce' 'strict-dynamic'; report-to csp"),
            ),
            ("Reporting-Endpoints", Some("csp=\"https://reports.example/csp\"")),
        ],
    );
    let sent = sent(&changed, &[], true);
    assert_eq!(value(&sent, "Cross-Origin-Embedder-Policy"), Some("require-corp"));
    assert_eq!(value(&sent, "X-Frame-Options"), None);
    assert_eq!(value(&sent, CSP), None);
    assert!(changed.csp(true).is_none() && changed.uses_nonce());
    let report_only = value(&sent, "Content-Security-Policy-Report-Only").unwrap();
    assert_eq!(report_only, format!("script-src 'nonce-{NONCE}' 'strict-dynamic'; report-to csp"));
}

#[test]
fn an_override_that_cannot_be_meant_is_refused() {
    let own = Some(vec![("default-src".to_owned(), Setting::Text("'self'".to_owned()))]);
    let twice = Options { csp: own, ..options(&[("content-security-policy", Some("default-src 'self'"))]) };
    assert!(HeaderPolicy::new(Profile::Html, &twice).is_err());
    for (overrides, hint) in [
        (&[("X-Frame-Option", None)][..], "Did you mean X-Frame-Options?"),
        (&[("Server", Some("mine"))][..], "keep"),
        (&[("Content-Length", Some("0"))][..], "one response"),
        (&[("Set-Cookie", Some("a=b"))][..], "one response"),
        (&[("X A", Some("1"))][..], "not a header name"),
        (&[("X-A", Some("a\r\nb"))][..], "one line"),
        (&[("X-A", Some("1")), ("x-a", None)][..], "twice"),
        (&[("Content-Security-Policy", Some("script-src self"))][..], "\"'self'\""),
    ] {
        let message = HeaderPolicy::new(Profile::Api, &options(overrides)).err().unwrap().to_string();
        assert!(message.contains(hint), "{message}");
    }
    let many: Vec<(String, Option<String>)> =
        (0..60).map(|i| (format!("X-Own-{i}"), Some("1".to_owned()))).collect();
    assert!(HeaderPolicy::new(Profile::Api, &Options { overrides: many, ..Options::default() }).is_err());
}

#[test]
fn a_mixed_application_changes_the_policy_of_its_pages_only() {
    let own = Some(vec![("default-src".to_owned(), Setting::Text("'self'".to_owned()))]);
    let mixed = HeaderPolicy::new(Profile::Mixed, &Options { csp: own, ..Options::default() }).unwrap();
    assert_eq!(value(&sent(&mixed, &[("Content-Type", "text/html")], true), CSP), Some("default-src 'self'"));
    assert!(value(&sent(&mixed, &[], true), CSP).unwrap().contains("frame-ancestors 'none'"));
    assert!(!mixed.uses_nonce());
}

fn reach(policy: &HeaderPolicy, headers: &[(&str, &str)]) -> Sharing {
    let mut seen = Seen::default();
    for (name, value) in headers {
        policy.examine(name, value, &mut seen).unwrap();
    }
    policy.sharing(&seen, policy.chosen(&seen, true, false))
}

#[test]
fn who_may_keep_a_response_is_what_the_strictest_of_its_lines_says() {
    let strict = policy(Profile::Html, &[]);
    let shared = policy(Profile::Html, &[("Cache-Control", Some("public, max-age=60"))]);
    let silent = policy(Profile::Html, &[("Cache-Control", None)]);
    assert_eq!(reach(&strict, &[]), Sharing::Private);
    assert_eq!(reach(&shared, &[]), Sharing::Shared);
    // A cache may guess (RFC 9111 §4.2.2).
    assert_eq!(reach(&silent, &[]), Sharing::Shared);
    for policy in [&strict, &shared, &silent] {
        assert_eq!(reach(policy, &[("cache-control", "public")]), Sharing::Shared);
        assert_eq!(reach(policy, &[("CACHE-CONTROL", "no-cache")]), Sharing::Asked);
        assert_eq!(
            reach(policy, &[("Cache-Control", "public"), ("Cache-Control", "private")]),
            Sharing::Private
        );
        assert_eq!(
            reach(policy, &[("Cache-Control", "private"), ("X-Accel-Expires", "60")]),
            Sharing::Shared
        );
        assert!(policy.is_of_caching("cache-control") && policy.is_of_caching("Surrogate-Control"));
        assert!(!policy.is_of_caching("Vary"));
    }
}

#[test]
fn the_report_only_policy_is_about_pages_where_both_are_sent() {
    let only = Some(vec![
        ("script-src".to_owned(), Setting::Text("'nonce'".to_owned())),
        ("report-uri".to_owned(), Setting::Text("/csp".to_owned())),
    ]);
    let options = Options { csp_report_only: only, ..Options::default() };
    let mixed = HeaderPolicy::new(Profile::Mixed, &options).unwrap();
    let page = sent(&mixed, &[("Content-Type", "text/html")], true);
    assert_eq!(
        value(&page, REPORT_ONLY),
        Some(format!("script-src 'nonce-{NONCE}'; report-uri /csp").as_str())
    );
    assert!(value(&page, CSP).unwrap().contains(&format!("'nonce-{NONCE}'")));
    assert_eq!(value(&sent(&mixed, &[("Content-Type", "application/json")], true), REPORT_ONLY), None);
    let both = Options {
        overrides: vec![(REPORT_ONLY.to_owned(), Some("default-src 'self'".to_owned()))],
        ..options
    };
    assert!(HeaderPolicy::new(Profile::Mixed, &both).is_err());
}

#[test]
fn features_are_opened_over_those_of_the_profile() {
    let permissions = Some(vec![("camera".to_owned(), Some(vec!["self".to_owned()]))]);
    let options = Options { permissions, ..Options::default() };
    for profile in [Profile::Api, Profile::Html, Profile::Mixed] {
        let sent = sent(&HeaderPolicy::new(profile, &options).unwrap(), &[], true);
        let features = value(&sent, PERMISSIONS).unwrap();
        assert!(features.contains("camera=(self)") && features.contains("usb=()"), "{features}");
        assert_eq!(features.split(", ").count(), 29);
    }
    let both = Options { overrides: vec![(PERMISSIONS.to_owned(), None)], ..options };
    assert!(HeaderPolicy::new(Profile::Api, &both).is_err());
}

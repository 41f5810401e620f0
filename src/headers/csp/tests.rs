#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;

fn list(items: &[&str]) -> Setting {
    Setting::List(items.iter().map(|item| (*item).to_owned()).collect())
}

fn text(value: &str) -> Setting {
    Setting::Text(value.to_owned())
}

fn build(settings: &[(&str, Setting)]) -> Result<Csp, ConfigError> {
    Csp::build(
        &settings.iter().map(|(name, setting)| ((*name).to_owned(), setting.clone())).collect::<Vec<_>>(),
    )
}

fn sent(settings: &[(&str, Setting)]) -> String {
    build(settings).unwrap().template(true).unwrap().fixed().unwrap().to_owned()
}

fn refusal(name: &str, setting: Setting) -> String {
    build(&[(name, setting)]).unwrap_err().to_string()
}

#[test]
fn directives_are_sent_in_their_order_and_nothing_is_added() {
    let policy = sent(&[
        ("default_src", text("'self'")),
        ("IMG-SRC", list(&["'self'", "data:", "https://*.example.com:8443/a/"])),
        ("media-src", Setting::Absent),
        ("font-src", Setting::Flag(false)),
        ("sandbox", Setting::Flag(true)),
        ("upgrade-insecure-requests", Setting::Flag(true)),
    ]);
    assert_eq!(
        policy,
        "default-src 'self'; img-src 'self' data: https://*.example.com:8443/a/; sandbox; upgrade-insecure-requests"
    );
}

#[test]
fn insecure_requests_are_upgraded_over_tls_only() {
    let csp =
        build(&[("img-src", text("'self'")), ("upgrade-insecure-requests", Setting::Flag(true))]).unwrap();
    assert_eq!(csp.template(false).unwrap().fixed(), Some("img-src 'self'"));
    assert!(build(&[("upgrade-insecure-requests", Setting::Flag(true))]).unwrap().template(false).is_none());
}

#[test]
fn a_nonce_is_joined_into_all_its_places() {
    let csp =
        build(&[("script-src", list(&["'nonce'", "'strict-dynamic'"])), ("style-src", text("'NONCE'"))])
            .unwrap();
    let template = csp.template(true).unwrap();
    assert!(template.uses_nonce() && template.fixed().is_none());
    let nonce = Nonce::parse("AAAAAAAAAAAAAAAAAAAAAA").unwrap();
    assert_eq!(
        template.render(&nonce),
        "script-src 'nonce-AAAAAAAAAAAAAAAAAAAAAA' 'strict-dynamic'; style-src 'nonce-AAAAAAAAAAAAAAAAAAAAAA'"
    );
}

// Flask-Talisman 1.1.0 takes `self` as it stands; browsers look for a host called "self".
#[test]
fn a_keyword_without_quotes_is_refused_with_the_cure() {
    for word in [
        "self",
        "none",
        "Unsafe-Inline",
        "unsafe-eval",
        "strict-dynamic",
        "report-sample",
        "wasm-unsafe-eval",
    ] {
        for token in [word.to_owned(), format!("\"{word}\"")] {
            let message = refusal("script-src", list(&[&token]));
            assert!(message.contains(&format!("Write \"'{word}'\"")), "{message}");
        }
    }
    for word in ["nonce", "nonce-abc", "nonce-AAAAAAAAAAAAAAAAAAAAAA"] {
        assert!(refusal("script-src", list(&[word])).contains("Write \"'nonce'\""));
    }
    assert!(refusal("script-src", text("sha256-abc")).contains("without single quotes"));
    assert!(refusal("require-trusted-types-for", text("script")).contains("Write \"'script'\""));
    assert!(refusal("trusted-types", text("none")).contains("Write \"'none'\""));
}

#[test]
fn a_misspelt_name_or_keyword_is_refused_with_the_right_one() {
    for (name, meant) in [
        ("scrpt-src", "script-src"),
        ("script", "script-src"),
        ("frame_ancestor", "frame-ancestors"),
        ("object-scr", "object-src"),
        ("reqire-trusted-types-for", "require-trusted-types-for"),
        ("upgrade-insecure-request", "upgrade-insecure-requests"),
    ] {
        let message = refusal(name, text("'self'"));
        assert!(message.contains(&format!("Did you mean \"{meant}\"?")), "{message}");
    }
    for (token, meant) in
        [("'slef'", "'self'"), ("'unsafe-inlin'", "'unsafe-inline'"), ("'noncee'", "'nonce'")]
    {
        let message = refusal("script-src", text(token));
        assert!(message.contains(&format!("Did you mean \"{meant}\"?")), "{message}");
    }
    assert!(refusal("utterly-wrong", text("'self'")).contains("not a directive"));
    assert!(refusal("plugin-types", text("a/b")).contains("object-src"));
    assert!(refusal("sandbox", text("allow-script")).contains("allow-scripts"));
}

// Flask-Talisman 1.1.0 sends `evil; script-src *` from one list item as two directives.
#[test]
fn a_value_cannot_begin_another_directive_or_policy() {
    for value in [
        "evil; script-src *",
        "a.example, script-src *",
        "a.example\r\nSet-Cookie: a=b",
        "a.example\nb",
        "a.example\tb",
        "a\0",
        "\u{1}",
        "b\u{fc}cher.example",
        "\u{7f}",
        "a.example\u{2028}",
    ] {
        for setting in [text(value), list(&["'self'", value])] {
            let message = refusal("img-src", setting);
            assert!(message.contains("in its value"), "{message}");
        }
        for name in ["report-uri", "report-to", "sandbox", "trusted-types", "frame-ancestors"] {
            assert!(refusal(name, list(&[value])).contains("in its value"));
        }
    }
    assert!(refusal("img-src", list(&["'self' https://a.example"])).contains("one source in each item"));
    for name in ["img-src 'self'; script-src", "img-src;", "img-src\n", "", " img-src", "img\u{212a}src"] {
        assert!(refusal(name, text("'self'")).contains("not a directive"), "{name:?}");
    }
}

#[test]
fn a_directive_stands_once_however_it_is_spelt() {
    for twin in ["script-src", "SCRIPT-SRC", "script_src", "Script_Src"] {
        let twice = [("script-src", text("'self'")), (twin, Setting::Absent)];
        assert!(build(&twice).unwrap_err().to_string().contains("stands twice"), "{twin}");
    }
    assert!(Csp::parse("img-src 'self'; IMG-SRC *").unwrap_err().to_string().contains("stands twice"));
}

#[test]
fn none_stands_alone_and_emptiness_is_spelt_out() {
    assert!(refusal("img-src", text("'none' https:")).contains("alone"));
    assert!(refusal("img-src", list(&["'self'", "'NONE'"])).contains("alone"));
    assert_eq!(sent(&[("img-src", text("'None'"))]), "img-src 'none'");
    for empty in [text(""), text("   "), list(&[]), list(&[""])] {
        assert!(refusal("img-src", empty).contains("'none'"));
    }
    assert!(refusal("img-src", Setting::Flag(true)).contains("needs a value"));
    assert!(refusal("upgrade-insecure-requests", text("1")).contains("True"));
    assert!(build(&[]).unwrap_err().to_string().contains("allows everything"));
    assert!(refusal("img-src", Setting::Absent).contains("allows everything"));
}

// CSP3 §7.1: a nonce is unique to each response.
#[test]
fn a_nonce_that_is_fixed_at_start_up_is_refused() {
    assert!(refusal("script-src", text("'nonce-AAAAAAAAAAAAAAAAAAAAAA'")).contains("same in every response"));
    assert!(refusal("script-src", text("'nonce-'")).contains("same in every response"));
    assert!(refusal("img-src", text("'nonce'")).contains("no meaning in img-src"));
    assert!(refusal("script-src-attr", text("'nonce'")).contains("no meaning"));
    assert!(refusal("script-src", text("'strict-dynamic'")).contains("'nonce'"));
}

#[test]
fn a_hash_must_be_long_enough_to_match() {
    let digest = format!("{}=", "a".repeat(43));
    assert_eq!(
        sent(&[("script-src", text(&format!("'SHA256-{digest}'")))]),
        format!("script-src 'sha256-{digest}'")
    );
    for bad in
        ["'sha256-'", "'sha256-abc='", "'sha384-abc'", "'sha512-!!'", &format!("'sha256-{}'", "a".repeat(44))]
    {
        assert!(refusal("script-src", text(bad)).contains("matches nothing"), "{bad}");
    }
    assert!(refusal("script-src", text("'md5-abc'")).contains("not a keyword"));
}

#[test]
fn a_source_is_a_host_a_scheme_or_a_keyword() {
    for good in [
        "*",
        "https:",
        "data:",
        "example.com",
        "*.example.com",
        "https://example.com",
        "wss://example.com:*",
        "localhost:5000",
        "https://example.com/a/b.js",
        "127.0.0.1",
        "my_host.internal",
    ] {
        assert_eq!(sent(&[("connect-src", text(good))]), format!("connect-src {good}"));
    }
    for (bad, hint) in [
        ("data", "\"data:\""),
        ("HTTPS", "\"https:\""),
        ("https://a.example/?q", "query"),
        ("https://a.example/#f", "query"),
        ("a.*.example", "*.example.com"),
        ("*example.com", "*.example.com"),
        ("https://", "neither"),
        ("a..b", "neither"),
        ("a.example:port", "port"),
        ("'self", "quotes"),
        ("'", "quotes"),
        ("''", "quotes"),
        ("[::1]", "port"),
        ("<script>", "neither"),
        ("1a://b", "scheme"),
    ] {
        let message = refusal("connect-src", text(bad));
        assert!(message.contains(hint), "{bad}: {message}");
    }
    assert!(refusal("frame-ancestors", text("'unsafe-inline'")).contains("takes only"));
    assert!(refusal("report-uri", text("'self'")).contains("quotes"));
    assert_eq!(
        sent(&[("trusted-types", text("dompurify 'allow-duplicates'"))]),
        "trusted-types dompurify 'allow-duplicates'"
    );
    assert_eq!(sent(&[("webrtc", text("'block'"))]), "webrtc 'block'");
}

#[test]
fn a_policy_in_one_line_is_read_as_the_same_policy() {
    let csp =
        Csp::parse(" default-src 'none' ;; img-src  'self' data: ; upgrade-insecure-requests; ").unwrap();
    assert_eq!(
        csp.template(true).unwrap().fixed().unwrap(),
        "default-src 'none'; img-src 'self' data:; upgrade-insecure-requests"
    );
    assert!(Csp::parse("").is_err());
    assert!(Csp::parse("default-src 'none', script-src *").is_err());
    assert!(Csp::parse("default-src").unwrap_err().to_string().contains("needs a value"));
}

#[test]
fn without_its_nonce_a_policy_allows_what_is_left_and_nothing_in_its_place() {
    let csp = Csp::parse("script-src 'nonce'; style-src 'self' 'nonce'; img-src *").unwrap();
    let template = csp.template(true).unwrap();
    assert_eq!(template.bare(), "script-src 'none'; style-src 'self'; img-src *");
    let longer = csp.with("report-uri /r", "report-uri /r; report-to r");
    assert!(longer.template(true).unwrap().bare().ends_with("img-src *; report-uri /r; report-to r"));
    assert_eq!(Csp::parse("img-src *").unwrap().template(false).unwrap().bare(), "img-src *");
}

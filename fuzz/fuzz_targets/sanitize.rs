//! Cleaning: it is done once and for all, and what it promises to leave out is out.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rampart::sanitize::{
    Form, HtmlPolicy, Names, Sites, TextRules, clean_text, csv_cell, safe_filename, safe_redirect,
};

static RICH: LazyLock<HtmlPolicy> = LazyLock::new(|| HtmlPolicy::named("rich").expect("a policy"));
static NAMES: LazyLock<Names> = LazyLock::new(|| Names::new("file", 64).expect("a fallback"));
static SITES: LazyLock<Sites> = LazyLock::new(|| Sites::new(["www.example.com"]).expect("a host"));

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for form in [Form::Nfc, Form::Nfkc] {
        for (lines, limit) in [(true, None), (false, Some(20))] {
            let rules = TextRules { form, lines, limit };
            let once = clean_text(text, rules);
            assert_eq!(clean_text(&once, rules), once);
            assert!(!once.chars().any(|c| c.is_control() && !(lines && matches!(c, '\n' | '\t'))));
            assert!(limit.is_none_or(|limit| once.chars().count() <= limit));
        }
    }
    let html = RICH.clean(text);
    assert_eq!(RICH.clean(&html), html);
    assert!(!html.contains("<script") && !html.contains("<svg") && !html.contains("<img"));

    let name = safe_filename(text, &NAMES);
    assert_eq!(safe_filename(&name, &NAMES), name);
    assert!(!name.is_empty() && name.len() <= 64 && !name.contains(['/', '\\', ':', '\0']));
    assert!(!name.starts_with(['.', '-', ' ']) && !name.ends_with(['.', ' ']));

    let cell = csv_cell(text);
    assert_eq!(csv_cell(&cell), cell);
    assert!(!cell.starts_with(['=', '@', '\t', '\r', '\n']));

    if let Some(target) = safe_redirect(text, &SITES) {
        let base = url::Url::parse("https://www.example.com/").expect("an address");
        let url = base.join(target).expect("an address");
        assert_eq!(url.host_str(), Some("www.example.com"));
    }
});

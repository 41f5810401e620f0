//! Heads: what passes names one place, and is the same place for whoever decodes it.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rampart::hygiene::{Head, Methods, Rules};

static RULES: LazyLock<[Rules; 2]> = LazyLock::new(|| {
    [false, true].map(|encoded_slashes| Rules {
        methods: Methods::new(["GET", "OPTIONS"]).expect("methods"),
        encoded_slashes,
    })
});

fuzz_target!(|data: &[u8]| {
    // As WSGI shows bytes.
    let shown: String = data.iter().map(|&b| char::from(b)).collect();
    let mut parts = shown.split('\n');
    let mut next = || parts.next().unwrap_or_default();
    let (path, target, query, length, transfer) = (next(), next(), next(), next(), next());
    let head = Head {
        method: "GET",
        path,
        target,
        query,
        length,
        host: "example.com",
        transfer: (!transfer.is_empty()).then_some(transfer),
        ..Head::default()
    };
    let [strict, loose] = &*RULES;
    if strict.judge(&head).is_ok() {
        assert!(loose.judge(&head).is_ok(), "what is refused with slashes is refused without");
    }
    if loose.judge(&head).is_err() {
        return;
    }
    let bytes: Vec<u8> = path.chars().map(|c| u8::try_from(u32::from(c)).expect("a byte")).collect();
    let read = String::from_utf8(bytes).expect("UTF-8");
    assert!(read.is_empty() || (read.starts_with('/') && !read.starts_with("//") && !read.starts_with("/\\")));
    assert!(!read.chars().any(char::is_control));
    assert!(!read.split(['/', '\\']).any(|segment| segment == "." || segment == ".."));
    assert!(!length.bytes().any(|b| !b.is_ascii_digit()) && (length.is_empty() || transfer.trim().is_empty()));
    if let Ok(url) = url::Url::parse("http://example.com/").expect("an address").join(target) {
        assert_eq!(url.host_str(), Some("example.com"), "{target:?}");
    }
});

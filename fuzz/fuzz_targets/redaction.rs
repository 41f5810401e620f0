//! Redaction: it stays text, it is done once and for all, and what it finds lies within.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rampart::redaction::Redactor;

static REDACTOR: LazyLock<Redactor> = LazyLock::new(|| Redactor::new(&["customer"]).expect("a redactor"));

fuzz_target!(|data: &[u8]| {
    let mut end = 0;
    for found in REDACTOR.scan_bytes(data) {
        assert!(end <= found.start && found.start < found.end && found.end <= data.len());
        end = found.end;
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let once = REDACTOR.redact(text);
        assert_eq!(once.as_bytes(), &*REDACTOR.redact_bytes(data));
    }
});
